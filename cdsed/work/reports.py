"""Write the reports of finished listings."""

import logging
from pathlib import Path

from cdsed.clock import Clock
from cdsed.inbox import receipt
from cdsed.inbox.durable_files import DurableFileBatch
from cdsed.store import listings, notices
from cdsed.store.database import Database
from cdsed.store.listings import Listing
from cdsed.work import listing_log

_log = logging.getLogger(__name__)


def write_reports(db: Database, clock: Clock, finished: list[Listing], seen: int) -> None:
    """Write reports together; if that fails, by directory, because that of one group may not be writable.

    Parameters
    ----------
    finished
        The listings.
    seen
        The number of the newest event that the reports know of.
    """
    folders = {Path(listing.path).parent for listing in finished}
    try:
        with DurableFileBatch() as batch:
            for listing in finished:
                rows = listings.report_rows(db, listing.head.id)
                receipt.write_report(batch, Path(listing.path), listing.head, rows)
    except OSError as error:
        if len(folders) == 1:
            [folder] = folders
            note_unwritten(db, clock, folder, f"no report can be written ({error})")
            return
        for folder in sorted(folders):
            write_reports(db, clock, [each for each in finished if Path(each.path).parent == folder], seen)
        return
    for folder in folders:
        note_unwritten(db, clock, folder, None)
    with db.write():
        for listing in finished:
            listings.reported(db, clock, listing.head.id, seen=seen)
    for listing in finished:
        listing_log.finished(listing)


def note_unwritten(db: Database, clock: Clock, folder: Path, why: str | None) -> None:
    """Enter in log and status why no receipt or report can be written in a folder; None: it was written."""
    if notices.note(db, clock, notices.unwritten(folder), why and f"{why}; check {folder}") and why:
        _log.error("%s; check %s", why, folder)


def forget_unwritten(db: Database, clock: Clock) -> None:
    """Withdraw what was said of folders before the start: perhaps they belong to another inbox by now."""
    for name in notices.of_unwritten(db):
        notices.note(db, clock, name, None)
