"""Products that a listing requests by id alone: the catalogue knows the name, under which the state may know them."""

from cdsed.clock import Clock
from cdsed.model.catalogue_entry import CatalogueEntry
from cdsed.model.choice import Choice
from cdsed.model.listing import ProductRequest
from cdsed.model.product_state import SUCCEEDED, TERMINAL, Product, State
from cdsed.store import choices, products
from cdsed.store.database import Database
from cdsed.store.move import Move
from cdsed.work.retrying import pause_s

_PAUSE_S = 30.0


def take_name(db: Database, clock: Clock, product: Product, entry: CatalogueEntry) -> Product | None:
    """Give a claimed product that has only an id its name.

    If another product has this name already, that one is downloaded, and this one waits and ends as it does. So each
    listing keeps its own line, and the product is fetched once. Call it inside a transaction.

    Returns
    -------
    Product or None
        The product with its name; None if it waits for the other, or has ended with it.
    """
    other = products.find(db, entry.name)
    if other is None:
        return products.name(db, product, entry.name)
    choice = Choice.from_json(product.choice)
    if other.state not in TERMINAL:
        choices.widen(db, other, choice)
        _wait(db, clock, product, other)
    elif product.cause != _waits_for(other):  # it ended for an earlier listing: this one requests it once more
        request = ProductRequest(
            other.safename,
            product.account_group,
            product.priority,
            product.outputdir,
            entry.product_id,
            layout=product.layout,
            choice=choice,
        )
        products.ask_again(db, clock, other.id, request)
        _wait(db, clock, product, other)
    elif other.state in SUCCEEDED:
        products.move(db, clock, product, Move(State.QUEUED, cause=f"it is {other.safename}"))
        queued = products.get(db, product.id)
        products.move(db, clock, queued, Move(State.ALREADY_PRESENT, path=other.path, partial=other.partial))
    else:
        cause = f"it is {other.safename}, which is {other.state}: {other.cause or 'without a cause'}"
        products.move(db, clock, product, Move(State.UNAVAILABLE, cause=cause))
    return None


def _wait(db: Database, clock: Clock, product: Product, other: Product) -> None:
    due_s = clock.boot_s() + pause_s(1, _PAUSE_S, _PAUSE_S)
    products.move(db, clock, product, Move(State.RETRY_WAIT, cause=_waits_for(other), due_s=due_s))


def _waits_for(other: Product) -> str:
    return f"it is {other.safename}, which is under way"
