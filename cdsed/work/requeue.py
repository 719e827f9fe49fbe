"""Starting products again that wait or were finished badly, because somebody says so."""

from collections.abc import Iterator
from dataclasses import dataclass

from cdsed.clock import Clock
from cdsed.model.product_state import SUCCEEDED, TERMINAL, Product, State
from cdsed.store import breakers, listings, products
from cdsed.store.database import Database

#: What can be started again.
RETRYABLE = (TERMINAL - SUCCEEDED) | {State.RETRY_WAIT}

_BATCH = 500


@dataclass(frozen=True, slots=True)
class RetryResult:
    """What became of one product: ``now`` is its state, unchanged where there was nothing to start again."""

    safename: str
    was: State
    now: State

    @property
    def started(self) -> bool:
        """Whether it was started again."""
        return self.was in RETRYABLE


def requeue(db: Database, clock: Clock, chosen: list[Product]) -> list[RetryResult]:
    """Start products again, in one transaction; listings that were reported and want them are open again.

    Products that are under way, or on disk, are left alone. A catalogue that is left alone is asked at once.
    """
    with db.write():
        breakers.hasten(db, breakers.CATALOGUE)
        return [_start(db, clock, product.id) for product in chosen]


def requeue_all(db: Database, clock: Clock, states: frozenset[State], listing: int | None) -> Iterator[RetryResult]:
    """Start every product again that is in one of these states, of all listings or of one; batch by batch."""
    batch: list[Product] = []
    for product in products.to_requeue(db, states & RETRYABLE, listing):
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
    return RetryResult(product.safename, product.state, products.get(db, number).state)
