"""Products that are fetched in part: what all listings want of one, and whether what is there is enough."""

from cdsed.clock import Clock
from cdsed.model.choice import Choice, union
from cdsed.model.product_state import Product, State
from cdsed.store import products
from cdsed.store.database import Database
from cdsed.store.products import Move
from cdsed.store.queries import Queries

_SQL = Queries("choices")


def widen(db: Database, product: Product, choice: Choice | None) -> None:
    """Note that another listing wants these files of a product under way, too; None: all of them."""
    wider = union(Choice.from_json(product.choice), choice)
    with db.write():
        db.rows(_SQL.widen, id=product.id, choice=None if wider is None else wider.to_json())


def settle(db: Database, clock: Clock, product: Product, end: Move) -> bool:
    """Finish a product that is on disk, unless it is there in part and another listing wants more of it meanwhile.

    Returns
    -------
    bool
        Whether it is finished; if not, it is planned again at once.

    Raises
    ------
    LeaseLost
        As for `move`.
    """
    with db.write():
        wider = bool(end.partial) and products.get(db, product.id).choice != product.choice
        products.move(db, clock, product, wanted_more(clock) if wider else end)
    return not wider


def wanted_more(clock: Clock) -> Move:
    """Return the move of a product that was fetched in part, of which a later listing wants more files."""
    return Move(State.RETRY_WAIT, cause="another listing wants more of its files", due_s=clock.boot_s())
