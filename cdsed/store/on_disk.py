"""Reading which products are on disk, page by page, for `cdsed verify`."""

from collections.abc import Sequence

from cdsed.store.database import Database, Row
from cdsed.store.queries import Queries

_SQL = Queries("on_disk")


def page(db: Database, after: int, most: int) -> Sequence[Row]:
    """Return the products on disk whose numbers follow `after`, at most so many.

    Returns
    -------
    sequence of dict
        ``position`` (the number of the product), ``safename``, ``path``, ``partial``, ``size_bytes`` (None: unknown)
        and ``changed_at`` (s UTC).
    """
    return db.rows(_SQL.page, after=after, most=most)
