"""What keeps one product from moving, as far as the state knows it."""

from cdsed.clock import Clock
from cdsed.frozen import frozen
from cdsed.model.operation import Pause
from cdsed.model.product_state import Product, State
from cdsed.store import pauses
from cdsed.store.database import Database
from cdsed.store.queries import Queries

_SQL = Queries("blockers")


@frozen
class WantingListing:
    """A listing that names the product."""

    name: str
    state: str
    cancelled: bool
    paused: bool


@frozen
class Blockers:
    """What concerns one product now.

    Attributes
    ----------
    listings
        Those that name it, oldest first.
    pauses
        Those that hold it.
    ahead
        How many ready products of its group come first; 0 unless it is ready.
    disk_reason, disk_free_in_s
        Why its disk is not used now, and in how many seconds it is tried again.
    denied
        The accounts that were refused it.
    cancels
        Whether it was cancelled when its bytes had arrived.
    deaths
        How many workers crashed over it.
    asks_catalogue
        Whether only the catalogue knows its path.
    code
        The class of its last error.
    """

    listings: tuple[WantingListing, ...]
    pauses: tuple[Pause, ...]
    ahead: int
    disk_reason: str | None
    disk_free_in_s: float
    denied: tuple[str, ...]
    cancels: bool
    deaths: int
    asks_catalogue: bool
    code: str | None


def of(db: Database, clock: Clock, product: Product) -> Blockers:
    """Return what concerns one product."""
    facts = db.row(_SQL.facts, product=product.id)
    assert facts is not None, "a product that was found stays in the state"
    disk = db.row(_SQL.disk_breaker, product=product.id, now_s=clock.boot_s())
    ahead = 0
    if product.state is State.READY:
        ahead = db.value(_SQL.ahead, id=product.id, group=product.account_group, priority=product.priority)
    return Blockers(
        listings=tuple(
            WantingListing(row["name"], row["state"], bool(row["cancelled"]), bool(row["paused"]))
            for row in db.rows(_SQL.listings_of, product=product.id)
        ),
        pauses=tuple(pauses.of_product(db, clock, product)),
        ahead=ahead,
        disk_reason=disk["reason"] if disk else None,
        disk_free_in_s=max(0.0, disk["until_s"] - clock.boot_s()) if disk else 0.0,
        denied=tuple(row["account"] for row in db.rows(_SQL.denied, product=product.id)),
        cancels=bool(facts["cancels"]),
        deaths=facts["deaths"],
        asks_catalogue=bool(facts["path_refuted"]),
        code=facts["code"],
    )
