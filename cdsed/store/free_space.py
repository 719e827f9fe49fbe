"""How much space is free where products are written: the workers ask the disks, so that no status hangs at one."""

import json
from collections.abc import Iterable
from pathlib import Path

from cdsed.clock import Clock
from cdsed.model.operation import DiskStatus
from cdsed.store.database import Database
from cdsed.store.queries import Queries

_SQL = Queries("free_space")

#: How often each place is asked, in seconds.
ASKED_EVERY_S = 15.0
_LATE_S = 4 * ASKED_EVERY_S


def is_due(db: Database, clock: Clock, place: Path) -> bool:
    """Tell whether a place has to be asked now: another worker may just have done it."""
    now = clock.utc_s()
    return db.row(_SQL.due, place=str(place), since=now - ASKED_EVERY_S, now=now) is None


def note(db: Database, clock: Clock, place: Path, free_bytes: int | None, error: str | None = None) -> None:
    """Note the free space of a place, or why it cannot be asked."""
    with db.write(durable=False):
        db.rows(_SQL.note, place=str(place), free_bytes=free_bytes, error=error, at=clock.utc_s())


def forget_others(db: Database, places: Iterable[Path]) -> None:
    """Forget all places but these, which the settings name."""
    with db.write():
        db.rows(_SQL.forget_others, places=json.dumps([str(place) for place in places]))


def of_all(db: Database, clock: Clock, *, running: bool) -> tuple[DiskStatus, ...]:
    """Return what is known of each place; without a running daemon no free space, because it may have changed."""
    found = []
    for row in db.rows(_SQL.all, now_s=clock.boot_s()):
        silent_s = clock.utc_s() - row["at"]
        error = row["reason"] or row["error"]
        if error is None and silent_s > _LATE_S:
            error = f"it has not answered for {silent_s:.0f} s"
        free_bytes = None if error else row["free_bytes"]
        found.append(DiskStatus(row["place"], free_bytes, error) if running else DiskStatus(row["place"], None))
    return tuple(found)
