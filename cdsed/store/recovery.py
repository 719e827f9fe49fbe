"""Complete a state that was made from a backup, or from listings and their reports only."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TypeVar

from cdsed.clock import Clock
from cdsed.errors import StateError
from cdsed.model.listing import ListingHead, ReportRow
from cdsed.model.product_state import SUCCEEDED, State
from cdsed.store import processes, products
from cdsed.store.database import Database, Row, open_read_only
from cdsed.store.queries import Queries

_SQL = Queries("recovery")
_BATCH = 500
_Any = TypeVar("_Any")


def release_all(db: Database, clock: Clock) -> None:
    """Release what workers held when the backup was made, without charging a product; half-done products start again.

    Fences that were used since the backup must not be used again, because a lock file may have one. So they continue
    from the UTC time in milliseconds, a number that no fence has reached.
    """
    with db.write():
        for row in db.rows(_SQL.processes):
            processes.release(db, clock, row["id"])
        db.rows(_SQL.forget_objects)
        db.rows(_SQL.unplan, at=clock.utc_s())
        db.rows(_SQL.lift_fence, least=int(clock.utc_s() * 1000))


def rescan(db: Database, clock: Clock, find: Callable[[Row], tuple[Path, bool] | None]) -> int:
    """Mark unfinished products that are on disk as already present; return their number.

    Parameters
    ----------
    find
        Returns the path of a product, and whether it is there in part, by its name, output directory, layout and
        choice; None if it is not on disk.
    """
    found = 0
    for rows in _batches(db.stream(_SQL.unsettled)):
        places = [(row["id"], find(row)) for row in rows]
        with db.write():
            for product, place in places:
                if place is not None:
                    found += 1
                    _present(db, clock, product, str(place[0]), partial=place[1])
    return found


def finish_delivered(db: Database, clock: Clock, rows: Iterator[ReportRow]) -> None:
    """Mark products that a report names as delivered as present, even if its owner has moved them since."""
    for batch in _batches(rows):
        with db.write():
            for row in batch:
                known = products.find(db, row.safename)
                if known is not None and State(row.state) in SUCCEEDED:
                    _present(db, clock, known.id, str(row.path), partial=row.partial)


def _present(db: Database, clock: Clock, product: int, path: str, *, partial: bool) -> None:
    """Move an unfinished product to `already_present` by allowed transitions; a finished one is not changed."""
    for step in (_SQL.take_back_ready, _SQL.take_back):
        db.rows(step, id=product, at=clock.utc_s())
    db.rows(_SQL.already_present, id=product, path=path, partial=partial, at=clock.utc_s())


def traffic_of(state_dir: Path) -> list[Row]:
    """Return the hourly traffic of a state; an empty list if it cannot be read."""
    try:
        db = open_read_only(state_dir, daemon_runs=True)
        if db is None:
            return []
        try:
            return db.rows(_SQL.traffic)
        finally:
            db.close()
    except StateError:
        return []


def carry_traffic(db: Database, traffic: Iterable[Row]) -> None:
    """Add the hourly traffic of a former state, so that the 30-day volumes stay correct."""
    with db.write():
        for row in traffic:
            db.rows(_SQL.carry_traffic, **row)


def known_paths(db: Database, *, finished: bool) -> set[str]:
    """Return the paths of all listings in the state; with `finished` only of those that are completely taken."""
    return {row["path"] for row in db.rows(_SQL.finished_paths if finished else _SQL.paths)}


def open_listings(db: Database) -> dict[int, Path]:
    """Return the paths of the listings that wait for their report, by number."""
    return {row["id"]: Path(row["path"]) for row in db.rows(_SQL.open_listings)}


def close_reported(db: Database, listing: int, at: float) -> None:
    """Note that a listing was reported at `at` (s UTC), after the backup was made."""
    with db.write():
        db.rows(_SQL.close, id=listing, at=at)


def close_lost(db: Database) -> None:
    """Refuse the partly taken listings whose files are gone, because their other lines are lost."""
    with db.write():
        for row in db.rows(_SQL.taking):
            if not Path(row["path"]).exists():
                db.rows(_SQL.lost, id=row["id"], reason="its file was gone when the state was recovered")


def enter_listing(db: Database, head: ListingHead, path: Path, reported_at: float) -> int:
    """Enter a reported listing with the data of its receipt; return its number."""
    with db.write():
        return int(
            db.value(
                _SQL.enter_listing,
                id=head.id,
                sha256=head.sha256,
                account_group=head.group,
                outputdir=head.outputdir or "",
                priority=head.priority,
                name=head.name,
                owner=head.user,
                path=str(path),
                taken_at=head.taken_at,
                reported_at=reported_at,
                layout=head.layout,
                choice=head.choice.to_json() if head.choice else None,
            )
        )


def enter_report(db: Database, listing: int, head: ListingHead, rows: Iterator[ReportRow], at: float) -> int:
    """Enter the products of a reported listing from its report; a product that a later report has entered stays.

    Returns
    -------
    int
        How many rows the report has.
    """
    count = 0
    for batch in _batches(rows):
        count += len(batch)
        with db.write():
            for row in batch:
                db.rows(
                    _SQL.enter_product,
                    safename=row.safename,
                    state=row.state,
                    account_group=head.group,
                    priority=head.priority,
                    outputdir=head.outputdir,
                    size_bytes=row.size_bytes,
                    attempts=row.attempts,
                    path=row.path,
                    cause=row.cause,
                    layout=head.layout,
                    choice=head.choice.to_json() if head.choice else None,
                    partial=row.partial,
                    at=at,
                )
                db.rows(_SQL.enter_want, listing=listing, safename=row.safename, line=row.line)
    return count


def _batches(rows: Iterator[_Any]) -> Iterator[list[_Any]]:
    while batch := list(islice(rows, _BATCH)):
        yield batch
