"""Requeue products that wait or failed, when you ask for it."""

from collections.abc import Iterator

from cdsed.clock import Clock
from cdsed.frozen import frozen
from cdsed.model.product_state import SUCCEEDED, TERMINAL, Product, State
from cdsed.store import breakers, cancelling, choices, listings, products
from cdsed.store.database import Database

#: The states from which a product can be requeued.
RETRYABLE = (TERMINAL - SUCCEEDED) | {State.RETRY_WAIT}

_BATCH = 500


@frozen
class RetryResult:
    """The state of one product before and after; the two are equal if it was not requeued."""

    safename: str
    was: State
    now: State

    @property
    def started(self) -> bool:
        """Whether it was requeued."""
        return self.was in RETRYABLE


def requeue(db: Database, clock: Clock, chosen: list[Product]) -> list[RetryResult]:
    """Requeue products, in one transaction; reported listings that name them are open again.

    Products that are under way or on disk are not changed. If the breaker of the catalogue is open, its next probe is
    due at once.
    """
    with db.write():
        breakers.hasten(db, breakers.CATALOGUE)
        return [_start(db, clock, product.id) for product in chosen]


def requeue_all(
    db: Database, clock: Clock, states: frozenset[State], listing: int | None, code: str | None = None
) -> Iterator[RetryResult]:
    """Requeue every product in one of these states, of all listings or of one, batch by batch.

    Parameters
    ----------
    code
        Only those with this class of error, e.g. ``NotInCatalogue``.
    """
    if listing is not None and State.CANCELLED in states:
        listings.take_up(db, listing)
    batch: list[Product] = []
    for product in products.to_requeue(db, states & RETRYABLE, listing, code):
        batch.append(product)
        if len(batch) == _BATCH:
            yield from requeue(db, clock, batch)
            batch = []
    yield from requeue(db, clock, batch)


def _start(db: Database, clock: Clock, number: int) -> RetryResult:
    product = products.get(db, number)
    if product.state in RETRYABLE:
        products.requeue(db, clock, product)
        listings.reopen(db, number)
        choices.follow_listings(db, number)
    elif cancelling.undo(db, number):  # it had arrived, and was not cancelled yet
        listings.reopen(db, number)
        return RetryResult(product.safename, State.CANCELLED, product.state)
    return RetryResult(product.safename, product.state, products.get(db, number).state)
