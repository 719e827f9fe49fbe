"""Take accepted listings again that the state does not know, so that their owners get a report."""

import logging
from pathlib import Path

from cdsed.inbox import reread
from cdsed.inbox.directory import ACCEPTED, TAKING
from cdsed.store import recovery
from cdsed.store.database import Database

_log = logging.getLogger(__name__)


def return_unknown(db: Database, inbox: Path) -> None:
    """Give accepted listings that the state does not know back to intake.

    They were lost with the end of a truncated log, or the state was rebuilt while the disk of the inbox was away.
    """
    known, unknown = recovery.known_paths(db, finished=False), []
    for listing in reread.accepted(inbox):
        taking = inbox / TAKING / listing.path.relative_to(inbox / ACCEPTED)
        if not listing.reported and not {str(listing.path), str(taking)} & known:
            _log.warning("%s was accepted, and the state does not know it: it is taken again", listing.path)
            unknown.append(listing.path)
    reread.return_to_intake(unknown, inbox)
