"""Standing queries: how far each has come, what it has seen, and runs whose files are still to be written.

A run becomes part of the state in one transaction: its products, its report and the new mark. Its files are written
after that, from the state. So a process that is killed at any moment neither loses a product nor asks for it again.
"""

import json
from collections.abc import Iterable

from cdsed.clock import Clock
from cdsed.config.standing_queries import StandingQuery
from cdsed.frozen import frozen
from cdsed.model.catalogue_change import ChangedProduct, DeletedProduct
from cdsed.store.database import Database, Row
from cdsed.store.queries import Queries

_SQL = Queries("standing")
_SEEN_FOR_S = 366 * 86_400.0  # after that, a change of a product counts as new
_IDS_MAX = 10_000


@frozen
class QueryState:
    """How far a query has come; see the table ``standing_query``."""

    name: str
    mark_at: float
    mark_assumed: bool
    deleted_at: float
    anchor_at: float
    ran_at: float | None
    found: int
    found_last: int
    listing: str | None
    failures: int
    error: str | None
    paused: bool
    requested: bool


@frozen
class SeenProduct:
    """What a query has seen of a product: its digest, when it changed (s UTC), and whether its deletion is known."""

    md5: str | None
    changed_at: float
    deleted: bool


@frozen
class QueryRun:
    """A run that is in the state, and whose files may not be written yet."""

    id: int
    query: str
    listing: str
    report: str


@frozen
class FoundByRun:
    """What a run adds to the state.

    Attributes
    ----------
    listed, seen, deleted
        Products for its listing, other products that it has seen, and deleted ones that are reported.
    mark_at, deleted_at
        The new marks in seconds UTC; None: as before.
    is_complete
        Whether nothing more changed; else the next run follows at once.
    """

    query: str
    listing: str
    report: str
    listed: tuple[ChangedProduct, ...]
    seen: tuple[ChangedProduct, ...]
    deleted: tuple[DeletedProduct, ...]
    mark_at: float | None
    deleted_at: float | None
    is_complete: bool = True


def get(db: Database, name: str) -> QueryState | None:
    """Return how far a query has come; None before its first look."""
    row = db.row(_SQL.get, name=name)
    return None if row is None else _state(row)


def of_all(db: Database) -> list[QueryState]:
    """Return all queries that were ever configured, by name."""
    return [_state(row) for row in db.rows(_SQL.all_states)]


def begin_as_configured(db: Database, clock: Clock, query: StandingQuery) -> QueryState:
    """Enter a query of the settings unless it is known; return how far it has come.

    With an interval it is due at once, with a schedule of cron at its first time.
    """
    now_at, since = clock.utc_s(), query.published_since
    if (known := get(db, query.name)) is not None:
        return known
    with db.write():
        db.rows(
            _SQL.begin,
            name=query.name,
            mark_at=since.timestamp() if since else now_at,
            anchor_at=now_at if query.cron else 0.0,
            assumed=since is None,
        )
    state = get(db, query.name)
    assert state is not None, "it was just entered"
    return state


def anchor(db: Database, name: str, at: float) -> None:
    """Let the schedule of a query count from a time, because the clock was set back."""
    with db.write():
        db.rows(_SQL.anchor, name=name, at=at)


def seen(db: Database, query: str, ids: Iterable[str]) -> dict[str, SeenProduct]:
    """Return what a query has seen of products, by their ids."""
    wanted = list(ids)
    found: dict[str, SeenProduct] = {}
    for first in range(0, len(wanted), _IDS_MAX):
        rows = db.rows(_SQL.seen, query=query, ids=json.dumps(wanted[first : first + _IDS_MAX]))
        found |= {row["product_id"]: SeenProduct(row["md5"], row["changed_at"], bool(row["deleted"])) for row in rows}
    return found


def add_run(db: Database, clock: Clock, found: FoundByRun) -> None:
    """Add a run to the state: its products, its report and the new mark, in one transaction."""
    with db.write():
        run: int | None = None
        if found.report:
            run = int(db.value(_SQL.begin_run, query=found.query, listing=found.listing, report=found.report))
        for products, number in ((found.listed, run), (found.seen, None)):
            for each in products:
                db.rows(
                    _SQL.keep,
                    query=found.query,
                    product_id=each.product_id,
                    safename=each.safename,
                    md5=each.md5,
                    changed_at=each.changed_at,
                    run=number,
                    s3_path=each.s3_path,
                )
        for gone in found.deleted:
            db.rows(
                _SQL.keep_deleted,
                query=found.query,
                product_id=gone.product_id,
                safename=gone.safename,
                at=gone.deleted_at,
            )
        at = clock.utc_s()
        db.rows(
            _SQL.advance,
            name=found.query,
            mark_at=found.mark_at,
            deleted_at=found.deleted_at,
            at=at,
            found=len(found.listed),
            listing=found.listing,
            requested=not found.is_complete,
        )
        db.rows(_SQL.forget_old, query=found.query, before=at - _SEEN_FOR_S)


def fail(db: Database, name: str, error: str) -> int:
    """Note that a run failed; return how often in a row. The mark stays."""
    with db.write():
        return int(db.value(_SQL.fail, name=name, error=error) or 0)


def unwritten(db: Database) -> list[QueryRun]:
    """Return the runs whose files may not be written yet, oldest first."""
    return [QueryRun(**row) for row in db.rows(_SQL.unwritten)]


def to_list(db: Database, run: int) -> list[Row]:
    """Return the products for the listing of a run: ``product_id``, ``safename``, ``s3_path``."""
    return db.rows(_SQL.to_list, run=run)


def written(db: Database, run: int) -> None:
    """Note that the files of a run are in the inbox."""
    with db.write():
        db.rows(_SQL.listed, run=run)
        db.rows(_SQL.end_run, run=run)


def pause(db: Database, name: str, *, paused: bool) -> bool:
    """Pause or resume a query; return whether that was a change."""
    with db.write():
        return db.row(_SQL.pause, name=name, paused=paused) is not None


def request(db: Database, name: str) -> None:
    """Let a query run at once, whatever its schedule."""
    with db.write():
        db.rows(_SQL.request, name=name)


def on_disk_beginning(db: Database, beginning: str) -> list[str]:
    """Return up to 100 names, with this beginning, of products that are on disk."""
    rows = db.rows(_SQL.names_beginning, first=beginning, last=f"{beginning}\U0010ffff")
    return [row["safename"] for row in rows]


def _state(row: Row) -> QueryState:
    return QueryState(
        **{**row, **{name: bool(row[name]) for name in ("mark_assumed", "paused", "requested")}},
    )
