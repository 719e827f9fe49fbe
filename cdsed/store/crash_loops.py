"""Workers that crash in a loop: the supervisor's record, stored where `cdsed status` can read it."""

from collections.abc import Sequence
from dataclasses import asdict

from cdsed.clock import Clock
from cdsed.frozen import frozen
from cdsed.model.status_report import CrashingWorker
from cdsed.store.database import Database
from cdsed.store.queries import Queries

_SQL = Queries("crash_loops")


@frozen
class Crashing:
    """One row: like `CrashingWorker`, with the next start in seconds of the boot clock."""

    worker: str
    crashes: int
    ending: str
    code: int | None
    start_s: float | None


def note(db: Database, workers: Sequence[Crashing]) -> None:
    """Replace the stored workers; without a change nothing is written."""
    if [Crashing(**row) for row in db.rows(_SQL.all)] == sorted(workers, key=lambda each: each.worker):
        return
    with db.write():
        db.rows(_SQL.forget)
        for each in workers:
            db.rows(_SQL.enter, **asdict(each))


def active(db: Database, clock: Clock, *, running: bool) -> tuple[CrashingWorker, ...]:
    """Return the workers that crash in a loop; none where the daemon does not run, even if a dead one left rows."""
    if not running:
        return ()
    return tuple(
        CrashingWorker(
            name=row["worker"],
            crashes=row["crashes"],
            ending=row["ending"],
            code=row["code"],
            next_start_in_s=None if row["start_s"] is None else max(0.0, row["start_s"] - clock.boot_s()),
        )
        for row in db.rows(_SQL.all)
    )
