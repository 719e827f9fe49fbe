"""Change which listings and products come first."""

from cdsed.store.database import Database
from cdsed.store.queries import Queries

_SQL = Queries("priorities")


def set_listing(db: Database, listing: int, priority: int) -> int:
    """Set the priority of an open listing; return how many of its products follow it.

    A product has the highest priority of the open listings that want it, also if it had one of its own before.
    """
    with db.write():
        db.rows(_SQL.set_listing, id=listing, priority=priority)
        return len(db.rows(_SQL.follow_listing, id=listing))


def set_product(db: Database, product: int, priority: int) -> bool:
    """Set the priority of a product; return False if it is finished."""
    with db.write():
        return db.row(_SQL.set_product, id=product, priority=priority) is not None
