"""Pauses: what begins no transfer until a person resumes it, a time comes, or a window of the settings ends.

A row of the table is in force. The daemon removes rows whose time is over, so that the query that hands out work need
not compare times. Windows enter rows of their own; a person who resumes one ends it until its own end.
"""

import json
import shlex
from collections.abc import Iterable

from cdsed.clock import Clock, iso
from cdsed.model.operation import Pause
from cdsed.model.product_state import Product
from cdsed.store.database import Database, Row
from cdsed.store.queries import Queries

_SQL = Queries("pauses")
#: Kind and name of what is paused, as in the table.
Target = tuple[str, str]
#: Products without a destination yet, as in the column `place` of the state; see `follow_spools`.
ANY_SPOOL: Target = ("disk", "unknown")


def add(db: Database, clock: Clock, kind: str, name: str, until_at: float | None) -> None:
    """Pause something; if a person has paused it already, only the end changes.

    Parameters
    ----------
    kind, name
        ``all`` with an empty name, ``account`` or ``group`` with its name, ``listing`` with its number, ``disk`` with
        its directory.
    until_at
        Seconds UTC; None: until a person resumes it.
    """
    with db.write():
        db.rows(_SQL.allow_window, kind=kind, name=name)
        db.rows(_SQL.add, kind=kind, name=name, at=clock.utc_s(), until_at=until_at)


def remove(db: Database, kind: str, name: str) -> None:
    """Resume something; a window that pauses it does not pause it again before its own end."""
    with db.write():
        db.rows(_SQL.skip_window, kind=kind, name=name)
        db.rows(_SQL.remove, kind=kind, name=name)


def active(db: Database, clock: Clock) -> tuple[Pause, ...]:
    """Return what is paused now; a listing is named by its file."""
    return tuple(pause for target, pause in in_force(db, clock) if target != ANY_SPOOL)


def keys(db: Database, clock: Clock) -> set[Target]:
    """Return kind and name of what is paused now, as in the state: a listing by its number."""
    return {target for target, _ in in_force(db, clock)} - {ANY_SPOOL}


def in_force(db: Database, clock: Clock) -> list[tuple[Target, Pause]]:
    """Return what is paused now, also `ANY_SPOOL`: a listing is the target by its number, and is named by its file."""
    rows = db.rows(_SQL.in_force, now_at=clock.utc_s())
    return [((row["kind"], row["name"]), _pause(row, row["shown"])) for row in rows]


def held_by(db: Database, kind: str, name: str) -> int:
    """Return how many unfinished products something has; of an account, how many sessions."""
    return int(db.value(_SQL.held_by, kind=kind, name=name))


def end_over(db: Database, clock: Clock) -> list[Pause]:
    """Remove the pauses whose time is over; return those of people.

    If the clock was set back to before one began, it lasts from now as long as it was meant to, not until then.
    """
    now_at = clock.utc_s()
    if db.value(_SQL.any_from_later, now_at=now_at):
        with db.write():
            db.rows(_SQL.begin_again, now_at=now_at)
    ended = [_pause(row, row["shown"]) for row in db.rows(_SQL.over, now_at=now_at)]
    if ended or db.value(_SQL.any_resumed_over, now_at=now_at):
        with db.write():
            db.rows(_SQL.end_over, now_at=now_at)
            db.rows(_SQL.forget_resumed, now_at=now_at)
    return ended


def follow_spools(db: Database, clock: Clock, spools: Iterable[str]) -> None:
    """Pause products without a destination if every spool is paused, and else resume them."""
    values = {"spools": json.dumps(list(spools))}
    row = db.row(_SQL.every_spool, **values)
    if row is None or bool(row["paused"]) == bool(row["noted"]):
        return
    with db.write():
        if row["paused"]:
            add(db, clock, *ANY_SPOOL, None)
        else:
            remove(db, *ANY_SPOOL)


def disk_is_paused(db: Database, place: str) -> bool:
    """Tell whether a directory that products are written to is paused."""
    return bool(db.value(_SQL.disk_is_paused, place=place))


def of_product(db: Database, clock: Clock, product: Product) -> list[Pause]:
    """Return the pauses that hold one product."""
    holding = {(row["kind"], row["name"]) for row in db.rows(_SQL.of_product, product=product.id)}
    return [pause for target, pause in in_force(db, clock) if target in holding - {ANY_SPOOL}]


def sentence(pause: Pause) -> str:
    """Return what is paused, by what, since when, and until when."""
    what, end = _what_and_end(pause)
    return f"{what} since {iso(pause.since_at)}, {end}"


def reason(pause: Pause) -> str:
    """Return what is paused, by what, and until when, for a sentence that names more than one."""
    return " ".join(_what_and_end(pause))


def resuming(kind: str, *names: str) -> str:
    """Return the command that resumes things of a kind."""
    return "cdsed resume" if kind == "all" else f"cdsed resume {kind} {shlex.join(names)}"


def _what_and_end(pause: Pause) -> tuple[str, str]:
    what = "everything" if pause.kind == "all" else f"{pause.kind} {pause.name}"
    by = "a person" if pause.source == "person" else "a time window of the settings"
    end = f"until `{resuming(pause.kind, pause.name)}`" if pause.until_at is None else f"until {iso(pause.until_at)}"
    return f"{what} is paused by {by}", end


def _pause(row: Row, name: str) -> Pause:
    return Pause(row["kind"], name, row["source"], row["since_at"], row["until_at"])
