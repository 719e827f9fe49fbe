"""Which process may work on which product while products are suspected of having killed a worker.

One process works on a suspect and on nothing else meanwhile. Only then is the next death evidence about this product.
The process with the least work takes no new work until it has none; then it takes the suspect.
"""

from cdsed.clock import Clock
from cdsed.frozen import frozen
from cdsed.store import leases
from cdsed.store.database import Database, Row
from cdsed.store.queries import Queries

_SQL = Queries("suspects")


@frozen
class Duty:
    """Which work a process may take.

    Attributes
    ----------
    only
        The one product, a suspect; None: any product that is not a suspect.
    drains
        The process takes no work now: a suspect waits until it has finished its present work.
    """

    only: int | None = None
    drains: bool = False


ANY_WORK = Duty()


def duty(db: Database, clock: Clock, process: int) -> Duty:
    """Return which work a process may take now."""
    if db.row(_SQL.any) is None:
        return ANY_WORK
    held: dict[int, list[Row]] = {}
    for row in db.rows(_SQL.holdings, now_s=clock.boot_s()):
        held.setdefault(row["process"], []).append(row)
    mine = held.get(process, [])
    for row in mine:
        if row["deaths"]:
            return Duty(only=row["product"])
    elsewhere = {row["product"] for rows in held.values() for row in rows}
    at_hand = {number: len(rows) for number, rows in held.items()}
    for suspect in db.rows(_SQL.line, now_s=clock.boot_s()):
        if suspect["id"] not in elsewhere and _is_turn_of(db, clock, suspect, at_hand, process):
            return Duty(drains=True) if mine else Duty(only=suspect["id"])
    return ANY_WORK


def _is_turn_of(db: Database, clock: Clock, suspect: Row, at_hand: dict[int, int], process: int) -> bool:
    """Tell whether of all processes that can work on a suspect, none has less work than this one."""
    group, product = suspect["account_group"], suspect["id"]
    able = db.rows(_SQL.downloaders, group=group, product=product, arrived=suspect["arrived"])
    sessions = {row["id"]: row["sessions"] for row in able}
    if not suspect["arrived"]:
        denied = {row["account"] for row in db.rows(_SQL.denied, product=product)}
        if all(session.account in denied for session in leases.free_sessions(db, clock, [group])):
            sessions = {number: held for number, held in sessions.items() if held}
    return process in sessions and at_hand.get(process, 0) <= min(at_hand.get(number, 0) for number in sessions)
