"""The products that failed, newest first."""

from cdsed.model.operation import FailedProduct
from cdsed.model.product_state import State
from cdsed.store.database import Database
from cdsed.store.queries import Queries

_SQL = Queries("failures")


def latest(db: Database, most: int, listing: int | None = None) -> tuple[FailedProduct, ...]:
    """Return up to `most` products that are unavailable, corrupt or failed, of one listing or of all."""
    if listing is None:
        rows = db.rows(_SQL.latest, most=most)
    else:
        rows = db.rows(_SQL.latest_of_listing, most=most, listing=listing)
    return tuple(FailedProduct(**row | {"state": State(row["state"])}) for row in rows)


def count(db: Database, listing: int | None = None) -> int:
    """Return how many there are."""
    return int(db.value(_SQL.total, listing=listing or 0))
