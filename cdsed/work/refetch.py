"""Fetch published products again, if cdsed may write where their copies are."""

import os
from collections.abc import Iterable
from pathlib import Path

from cdsed.clock import Clock
from cdsed.frozen import frozen
from cdsed.local.marker import look
from cdsed.model.product_state import SUCCEEDED, Product, State
from cdsed.store import disks, products, refetching
from cdsed.store.database import Database


@frozen
class Refetched:
    """What came of one product: it is fetched again, or `refused` says why not."""

    safename: str
    path: str | None
    refused: str | None = None


def refetch(
    db: Database, clock: Clock, chosen: Iterable[int], spools: Iterable[Path], owner: str | None
) -> list[Refetched]:
    """Queue published products again, in one transaction; the copy of each stays until the new one is verified."""
    places = {str(spool) for spool in spools}
    away = {str(place) for place in disks.places(db) if _is_away(db, place)}
    done = []
    with db.write():
        for number in chosen:
            product = products.get(db, number)
            refused = _why_not(product, places, away)
            if refused is None and not refetching.refetch(db, clock, product, _inode(product), owner):
                refused = "it has changed just now; try again"
            done.append(Refetched(product.safename, product.path, refused))
    return done


def _is_away(db: Database, place: Path) -> bool:
    """Tell whether a disk is not mounted: copies on it are not gone, and would be there twice when it is back."""
    known = disks.get(db, place)
    try:
        now = look(place)
    except OSError:
        return True
    return known is not None and (now is None or known.is_lost(now))


def _why_not(product: Product, places: set[str], away: set[str]) -> str | None:
    if product.state not in SUCCEEDED or product.path is None:
        return f"it is {product.state}, not published"
    folder, _, name = product.path.rpartition("/")
    top = product.top_of(product.path)
    if top is None:
        return f"it is in {folder}, which is not its place by its layout: move it away, and add it again"
    if top not in places and top != product.outputdir:
        return f"it is in {folder}, where cdsed does not write: move it away, and add it again"
    if top in away:
        return f"the disk of {top} is away: mount it first"
    if product.state is State.ALREADY_PRESENT and name != product.safename:
        return f"it is in {product.path}, which cdsed did not make: move it away, and add it again"
    return None


def _inode(product: Product) -> int | None:
    try:
        return os.lstat(product.path or "").st_ino
    except FileNotFoundError:
        return None
