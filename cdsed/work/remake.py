"""Rebuild a state that is damaged, gone, or to be replaced, from a backup, the accepted listings and the disks.

The new state is complete before it replaces the former one, which is set aside. If the process is killed in between,
the next start finds one of the two and continues.
"""

import logging
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

from cdsed.clock import Clock
from cdsed.config.settings import Settings
from cdsed.errors import StateDiskError, StateError
from cdsed.frozen import frozen
from cdsed.inbox import reread
from cdsed.local.partial import is_marked
from cdsed.local.presence import Presence, presence_of
from cdsed.model.choice import Choice
from cdsed.model.layout import ProductLayout
from cdsed.model.safename import parse
from cdsed.process.lock import is_free
from cdsed.store import backup, files, listings, notices, processes, recovery
from cdsed.store.database import Database, Row, open_state

_ORPHANS_LEAVE_WITHIN_S = 20.0  # a worker whose supervisor died leaves within 10 s

_log = logging.getLogger(__name__)


@frozen
class Recovered:
    """What a new state was made from.

    Attributes
    ----------
    why
        What was wrong with the former one, or which command asked for a new one.
    source
        The name of the backup; None if only accepted listings and the disks were used.
    reported, again
        How many accepted listings were entered from their reports, and how many are taken again.
    present
        How many unfinished products of the backup were found on disk.
    volumes_known
        Whether the quota usage of the former state could still be read.
    """

    why: str
    source: str | None
    reported: int
    again: int
    present: int
    volumes_known: bool

    def lines(self) -> list[str]:
        """Return all of it as lines of text."""
        volumes = "are carried over" if self.volumes_known else "are as of the backup" if self.source else "begin at 0"
        return [
            self.why,
            f"the new state was made from {self.source or 'the accepted listings and the disks, without a backup'}",
            f"{self.reported} listings are finished by their reports, {self.again} are taken again at the next start",
            f"{self.present} products under way were found on disk",
            f"the bytes of the last 30 days {volumes}; numbers of attempts are {self._attempts()}",
        ]

    def notice(self) -> str:
        """Return a summary, which the status shows later."""
        source = self.source or "accepted listings and the disks, without a backup"
        return f"the state was made again from {source}: {self.why.split(';')[0]}; `cdsed state check` tells more"

    def _attempts(self) -> str:
        return "as of the backup" if self.source else "lost, where no report names them"


@frozen
class Source:
    """The backup to make a state from: the newest good one, the one at `path`, or none."""

    newest: bool = False
    path: Path | None = None


def remake(settings: Settings, clock: Clock, why: str, source: Source) -> tuple[Recovered, Path]:
    """Make a new state and replace the present one with it; the caller holds the daemon's lock.

    Returns
    -------
    tuple
        What it was made from, and the directory that has the former one now.

    Raises
    ------
    StateError
        Workers of an older daemon still run, the named backup cannot be used, or the disk fails.
    """
    _await_orphans(settings)
    state_dir = settings.state_dir
    try:
        place = files.workplace(state_dir)
        files.forget_surplus(state_dir)
        name = _copy(settings, source, place)
        traffic = recovery.traffic_of(state_dir)
        db = open_state(place)
        try:
            recovery.release_all(db, clock)
            processes.daemon_stopped(db, clock)  # the daemon that ran when the backup was made did not crash
            recovery.carry_traffic(db, traffic)
            reported, again = _enter_listings(db, clock, settings.inbox.path)
            present = recovery.rescan(db, clock, partial(_place_of, presence_of(settings, clock)))
            made = Recovered(why, name, reported, again, present, bool(traffic))
            notices.note(db, clock, notices.RECOVERED, made.notice())
        finally:
            db.close()
        return made, files.put_in_place(state_dir, "\n".join(made.lines()), clock)
    except OSError as error:
        raise StateDiskError(f"{error.filename or state_dir}: {error.strerror}; the state is as it was") from error


def _place_of(presence: Presence, row: Row) -> tuple[Path, bool] | None:
    """Return where a product is on disk, and whether it is there in part."""
    below = ""
    if row["layout"] is not None:
        with suppress(ValueError):  # an id whose name is not known yet
            below = ProductLayout.parse(row["layout"]).below(parse(row["safename"]))
    outputdir = Path(row["outputdir"]) if row["outputdir"] else None
    found = presence.find(row["safename"], outputdir, below, Choice.from_json(row["choice"]))
    return None if found is None else (found, is_marked(found))


def _await_orphans(settings: Settings) -> None:
    """Wait until no worker of an older daemon runs: it would continue with the state that is set aside."""
    until_s = time.monotonic() + _ORPHANS_LEAVE_WITHIN_S
    while living := [lock.name for lock in settings.sessions_dir.glob("process.*.lock") if not is_free(lock)]:
        if time.monotonic() > until_s:
            raise StateError(f"workers of an older daemon still run (pid {living[0].split('.')[1]}); end them first")
        time.sleep(0.1)


def _copy(settings: Settings, source: Source, place: Path) -> str | None:
    if source.path is not None:
        backup.copy_good(source.path, place)
        return str(source.path)
    found = backup.newest_good(settings.backups_dir, place) if source.newest else None
    if found is None:
        files.workplace(settings.state_dir)  # without what is left of the bad backups
        return None
    return f"the backup {found.path.name}"


def _enter_listings(db: Database, clock: Clock, inbox: Path) -> tuple[int, int]:
    """Enter reported listings as their reports say, and return the others to intake; return how many of each."""
    known = recovery.known_paths(db, finished=True)
    waiting = {path: number for number, path in recovery.open_listings(db).items()}
    message, again, reported = [], [], 0
    for listing in reread.accepted(inbox):
        if listing.path in waiting and listing.reported:
            if reread.is_readable(listing):
                recovery.finish_delivered(db, clock, reread.read_report(listing.path))
            recovery.close_reported(db, waiting[listing.path], listing.reported_at)
            reported += 1
        elif str(listing.path) in known:
            continue
        elif listing.reported and reread.is_readable(listing):
            message.append(listing)
        else:
            again.append(listing.path)
    reread.return_to_intake(again, inbox)
    _enter_reported(db, message)
    recovery.close_lost(db)
    return reported + len(message), len(again)


def _enter_reported(db: Database, message: list[reread.Accepted]) -> None:
    """Enter reported listings, numbered in the order of their reports; the latest report of a product counts."""
    numbers = {}
    for listing in sorted(message, key=lambda listing: listing.reported_at):
        receipt = reread.read_receipt(listing.path)
        assert receipt is not None, f"the receipt of {listing.path} can no longer be read"
        head, counts = receipt
        number = recovery.enter_listing(db, head, listing.path, listing.reported_at)
        listings.count(db, number, counts.lines, counts, ())
        numbers[number] = (listing, head)
    for number, (listing, head) in reversed(numbers.items()):
        recovery.enter_report(db, number, head, reread.read_report(listing.path), listing.reported_at)
