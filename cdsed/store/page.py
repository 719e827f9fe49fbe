"""What the web page and the metrics show besides the status: failures by page, traffic by hour, one listing's names."""

from collections import defaultdict
from collections.abc import Mapping

from cdsed.clock import Clock
from cdsed.frozen import frozen
from cdsed.model.product_state import State
from cdsed.store.database import Database
from cdsed.store.queries import Queries

_SQL = Queries("page")

_HOUR_S = 3600
_EPOCH_H = 15 * 24  # the counters begin again after so many hours; traffic is kept for twice as long


@frozen
class Failure:
    """A product with an error: one that is finished, or waits for its next try in `next_try_in_s`."""

    id: int
    safename: str
    state: State
    code: str
    cause: str
    group: str
    attempts: int
    changed_at: float
    next_try_in_s: float | None


@frozen
class Position:
    """Where a page of failures begins: below the product `id` that changed at `changed_at` (s UTC)."""

    changed_at: float
    id: int


NEWEST = Position(1e18, 0)


@frozen
class FailureFilter:
    """Which failures are wanted; an empty text is for all."""

    state: str = ""
    code: str = ""


@frozen
class HourlyTraffic:
    """Bytes of each account in each of some hours, the oldest first; `first_at` is where the first begins (s UTC)."""

    first_at: float
    hours: int
    bytes_of: Mapping[str, tuple[int, ...]]


@frozen
class TrafficCounter:
    """Bytes and requests of an account since `since_at` (s UTC)."""

    account: str
    since_at: float
    size_bytes: int
    requests: int


def failures(db: Database, clock: Clock, before: Position, most: int, wanted: FailureFilter) -> list[Failure]:
    """Return up to `most` failures below a position, the newest first."""
    rows = db.rows(
        _SQL.failures,
        before_at=before.changed_at,
        before_id=before.id,
        most=most,
        state=wanted.state,
        code=wanted.code,
    )
    return [
        Failure(
            id=row["id"],
            safename=row["safename"],
            state=State(row["state"]),
            code=row["code"],
            cause=row["cause"] or "",
            group=row["account_group"],
            attempts=row["attempts"],
            changed_at=row["changed_at"],
            next_try_in_s=None if row["due_s"] is None else max(0.0, row["due_s"] - clock.boot_s()),
        )
        for row in rows
    ]


def traffic(db: Database, clock: Clock, hours: int) -> HourlyTraffic:
    """Return what each account has transferred in the last `hours` hours; the present one is the last."""
    present = int(clock.utc_s() // _HOUR_S)
    first = present - hours + 1
    sums: dict[str, list[int]] = defaultdict(lambda: [0] * hours)
    for row in db.rows(_SQL.traffic, after=first - 1, until=present):
        sums[row["account"]][row["hour"] - first] = row["bytes"]
    return HourlyTraffic(first * _HOUR_S, hours, {name: tuple(each) for name, each in sums.items()})


def traffic_counters(db: Database, clock: Clock) -> list[TrafficCounter]:
    """Return counters that only grow, and begin again every fifteen days, before old traffic is forgotten."""
    first = int(clock.utc_s() // _HOUR_S) // _EPOCH_H * _EPOCH_H
    return [
        TrafficCounter(row["account"], first * _HOUR_S, row["bytes"], row["requests"])
        for row in db.rows(_SQL.traffic_since, first=first)
    ]


def products_of(db: Database, listing: int, most: int) -> dict[str, State]:
    """Return the state of up to `most` products of a listing, by name, in the order in which they were taken."""
    rows = db.rows(_SQL.products_of, listing=listing, most=most)
    return {row["safename"]: State(row["state"]) for row in rows}


def count_of(db: Database, listing: int) -> int | None:
    """Return how many products a listing names; None without such a listing."""
    if db.value(_SQL.has_listing, listing=listing) is None:
        return None
    return int(db.value(_SQL.count_of, listing=listing))
