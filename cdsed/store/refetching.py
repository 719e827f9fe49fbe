"""Fetch published products again."""

from cdsed.clock import Clock
from cdsed.model.product_state import Product
from cdsed.store import choices, listings
from cdsed.store.database import Database
from cdsed.store.queries import Queries

_SQL = Queries("refetching")


def refetch(db: Database, clock: Clock, product: Product, inode: int | None, owner: str | None) -> bool:
    """Queue a published product, to replace its copy when the new one is verified.

    Reported listings that name it are open again.

    Parameters
    ----------
    inode
        That of the present copy; None if it is gone, so that nothing is replaced.

    Returns
    -------
    bool
        False if the product has changed meanwhile.
    """
    there = inode is not None and product.path is not None
    with db.write():
        queued = db.row(
            _SQL.refetch,
            id=product.id,
            path=product.path,
            replaces=product.path if there else None,
            inode=inode if there else None,
            destination=product.top_of(product.path) if there and product.path else None,
            cause=f"fetched again: commanded by {owner or 'a person'}",
            at=clock.utc_s(),
        )
        if queued is not None:
            listings.reopen(db, product.id)
            choices.follow_listings(db, product.id)
    return queued is not None
