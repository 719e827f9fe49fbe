"""Cancel products and listings, in one transaction.

A product whose bytes have all arrived may be published at the same moment, or was, by a worker that died before it
noted that. It is only marked: a worker cancels it if it is not published, and else the product stays.
"""

import json
from collections.abc import Collection, Iterable

from cdsed.clock import Clock
from cdsed.frozen import frozen
from cdsed.model.product_state import Product
from cdsed.store.database import Database
from cdsed.store.queries import Queries

_SQL = Queries("cancelling")


@frozen
class Cancelled:
    """What a command cancelled.

    Attributes
    ----------
    listings
        How many listings.
    products
        The names of the products that are cancelled now.
    undecided
        The names of those whose bytes have all arrived: each is cancelled, unless it is published first.
    kept
        How many products stay because another listing wants them.
    finished
        How many were finished before.
    lost_bytes
        What had arrived of the cancelled ones.
    """

    listings: int
    products: tuple[str, ...]
    undecided: tuple[str, ...]
    kept: int
    finished: int
    lost_bytes: int


def cancel(
    db: Database, clock: Clock, listings: Collection[int], products: Iterable[int], owner: str | None
) -> Cancelled:
    """Cancel listings, with what only they want, and products, whatever listings want them.

    Finished products stay. The staging of the others is removed by the daemon.

    Parameters
    ----------
    listings, products
        Their numbers.
    owner
        The name of the user who commands it.
    """
    named = list(products)
    with db.write():
        marked = db.rows(_SQL.mark_listings, listings=json.dumps(list(listings)), at=clock.utc_s())
        wanted = db.rows(_SQL.of_listings, listings=json.dumps(list(listings)))
        kept = {row["id"] for row in wanted if row["kept"]} - set(named)
        ids = json.dumps(named + [row["id"] for row in wanted if not row["kept"]])
        finished = db.value(_SQL.finished_of, ids=json.dumps(named))
        finished += db.value(_SQL.finished_of_listings, listings=json.dumps(list(listings)))
        undecided = db.rows(_SQL.mark_arrived, ids=ids)
        before = db.value(_SQL.arrived_bytes, ids=ids)
        cancelled = _cancel(db, clock, ids, f"cancelled by {owner or 'a person'}")
        lost = before - db.value(_SQL.arrived_bytes, ids=ids)
    return Cancelled(
        listings=len(marked),
        products=tuple(cancelled),
        undecided=tuple(row["safename"] for row in undecided),
        kept=len(kept),
        finished=finished,
        lost_bytes=lost,
    )


def cancel_rest(db: Database, clock: Clock, listing: int) -> None:
    """Cancel what a listing has named since it was cancelled: it was still being taken."""
    if db.value(_SQL.is_marked, listing=listing):
        cancel(db, clock, [listing], [], None)


def is_cancelled(db: Database, product: Product) -> bool:
    """Tell whether a product was cancelled after its bytes had arrived, so that it must not be published any more."""
    return bool(db.value(_SQL.is_cancelled, id=product.id))


def undecided(db: Database, clock: Clock) -> int | None:
    """Return the number of a marked product that no worker has; None without one."""
    number: int | None = db.value(_SQL.undecided, now_s=clock.boot_s())
    return number


def changed_at(db: Database, product: int) -> float:
    """Return when the state of a product changed last; compare it with `decide`."""
    return float(db.value(_SQL.changed_at, id=product))


def decide(db: Database, clock: Clock, product: Product, changed_at: float, *, published: bool) -> bool:
    """Cancel a marked product, or let it finish; return False if its state has changed since it was looked for.

    Parameters
    ----------
    published
        Whether it is complete under its final name: then publishing was quicker, and it only has to be noted.
    """
    with db.write():
        if db.row(_SQL.decide, id=product.id, state=product.state, changed_at=changed_at) is None:
            return False
        if not published:
            _cancel(db, clock, json.dumps([product.id]), "cancelled")
    return True


def undo(db: Database, product: int) -> bool:
    """Take back the cancellation of a product that is not decided yet; return whether there was one."""
    return db.row(_SQL.undo, id=product) is not None


def staged(db: Database, clock: Clock, after: int) -> int | None:
    """Return the number of a cancelled product, above `after`, whose staging may be left; None without one."""
    number: int | None = db.value(_SQL.staged, after=after, now_s=clock.boot_s())
    return number


def forget_staging(db: Database, product: int) -> None:
    """Note that the staging of a cancelled product is removed."""
    with db.write():
        db.rows(_SQL.forget_staging, id=product)


def _cancel(db: Database, clock: Clock, ids: str, cause: str) -> list[str]:
    at = clock.utc_s()
    cancelled = db.rows(_SQL.cancel, ids=ids, cause=cause, at=at)
    for statement in (_SQL.forget_objects, _SQL.forget_denials):
        db.rows(statement, ids=ids)
    for statement in (_SQL.requeue_replacing, _SQL.back_to_former):
        db.rows(statement, ids=ids, at=at)
    return [row["safename"] for row in cancelled]
