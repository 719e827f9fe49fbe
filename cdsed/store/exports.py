"""Reading products with how they came here, page by page, for `cdsed export`."""

import json
from collections.abc import Iterable, Iterator

from cdsed.model.product_state import State
from cdsed.store.database import Database, Row
from cdsed.store.queries import Queries

_SQL = Queries("exports")
_PAGE_ROWS = 500


def stream_products(
    db: Database, states: Iterable[State], *, listing: int | None = None, since: float = 0.0
) -> Iterator[Row]:
    """Yield one row for each product in these states, in the order in which they were first named.

    Parameters
    ----------
    listing
        Only the products of the listing with this number; None: all.
    since
        Only products whose state changed at or after this time, seconds UTC.

    Returns
    -------
    iterator of dict
        The columns of the query; ``listings`` is a JSON list of names, times are seconds UTC.
    """
    wanted = json.dumps([state.value for state in states])
    if listing is None:
        return db.stream(_SQL.products, states=wanted, since=since, most=_PAGE_ROWS)
    return db.stream(_SQL.products_of_listing, states=wanted, since=since, most=_PAGE_ROWS, listing=listing)
