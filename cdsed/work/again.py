"""Starting products again that wait or were settled badly, because somebody says so."""

from collections.abc import Iterator
from dataclasses import dataclass

from cdsed.clock import Clock
from cdsed.model.product import FINAL, GOOD, Product, State
from cdsed.store import breakers, listings, products
from cdsed.store.database import Database

#: What can be started again.
STARTABLE = (FINAL - GOOD) | {State.WAITING}

_BATCH = 500


@dataclass(frozen=True, slots=True)
class Started:
    """What became of one product: ``now`` is its state, unchanged where there was nothing to start again."""

    safename: str
    was: State
    now: State

    @property
    def started(self) -> bool:
        """Whether it was started again."""
        return self.was in STARTABLE


def start_again(db: Database, clock: Clock, chosen: list[Product]) -> list[Started]:
    """Start products again, in one transaction; listings that were reported and want them are open again.

    Products that are under way, or on disk, are left alone. A catalogue that is left alone is asked at once.
    """
    with db.write():
        breakers.hasten(db, breakers.CATALOGUE)
        return [_start(db, clock, product.id) for product in chosen]


def start_all(db: Database, clock: Clock, states: frozenset[State], listing: int | None) -> Iterator[Started]:
    """Start every product again that is in one of these states, of all listings or of one; batch by batch."""
    batch: list[Product] = []
    for product in products.to_start_again(db, states & STARTABLE, listing):
        batch.append(product)
        if len(batch) == _BATCH:
            yield from start_again(db, clock, batch)
            batch = []
    yield from start_again(db, clock, batch)


def _start(db: Database, clock: Clock, number: int) -> Started:
    product = products.get(db, number)
    if product.state in STARTABLE:
        products.start_again(db, clock, product)
        listings.reopen(db, number)
    return Started(product.safename, product.state, products.get(db, number).state)
