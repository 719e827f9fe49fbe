"""Digests of large objects, which a process computes while they arrive."""

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass

from cdsed.clock import Clock
from cdsed.model.objects import Digests
from cdsed.store import suspects
from cdsed.store.cutting import LEAST_WHOLE_BYTES
from cdsed.store.database import Database
from cdsed.store.queries import Queries

_SQL = Queries("digesting")


@dataclass(frozen=True, slots=True)
class ArrivingObject:
    """An object whose digests this process computes while it arrives.

    Attributes
    ----------
    arrived_bytes
        So many bytes are on the disk, without a gap from the first one on.
    """

    id: int
    path: str
    size_bytes: int
    safename: str
    staging: str
    destination: str
    arrived_bytes: int


def claim(
    db: Database, clock: Clock, process: int, least_bytes: int = LEAST_WHOLE_BYTES, unless: Collection[int] = ()
) -> int | None:
    """Claim an object in several pieces, of which the first has arrived; return its number, or None.

    `unless` are the numbers of objects that are left alone, and `least_bytes` is the size up to which all are.
    """
    if _to_digest(db, clock, process, least_bytes, unless) is None:
        return None
    with db.write(durable=False):
        number = _to_digest(db, clock, process, least_bytes, unless)
        db.rows(_SQL.claim, id=number, process=process)
    return number


def _to_digest(db: Database, clock: Clock, process: int, least_bytes: int, unless: Collection[int]) -> int | None:
    duty = suspects.duty(db, clock, process)
    of = {"only": duty.only, "least_bytes": least_bytes, "unless": json.dumps(list(unless)), "now_s": clock.boot_s()}
    number: int | None = None if duty.drains else db.value(_SQL.to_digest, **of)
    return number


def claimed(db: Database, clock: Clock, process: int) -> list[ArrivingObject]:
    """Return the claimed objects of a process that it may continue to digest; the others it must let go."""
    duty = suspects.duty(db, clock, process)
    rows = [] if duty.drains else db.rows(_SQL.claimed, process=process, only=duty.only, now_s=clock.boot_s())
    return [ArrivingObject(**row) for row in rows]


def let_go_all(db: Database, process: int) -> None:
    """Release all objects that a process has claimed."""
    with db.write(durable=False):
        db.rows(_SQL.let_go_all, process=process)


def store(db: Database, process: int, number: int, digests: Digests) -> None:
    """Store the digests of a claimed object that is complete, and release it; empty digests only release it."""
    with db.write(durable=False):
        if digests != Digests():
            db.rows(_SQL.store, id=number, process=process, **asdict(digests))
        db.rows(_SQL.let_go, id=number, process=process)
