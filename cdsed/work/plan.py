"""Plan a product: look for it on disk again, list its objects, choose its place, and cut it into pieces."""

import logging
from pathlib import Path

from cdsed.errors import ProductError
from cdsed.frozen import frozen
from cdsed.model.eodata import location_of
from cdsed.model.objects import Places
from cdsed.model.product_state import Product
from cdsed.store import backlog, choices, pieces, products
from cdsed.store.choices import ChosenObjects
from cdsed.transfer.staging import prepare, staged_sizes
from cdsed.transfer.transport import Transport
from cdsed.work.context import WorkerContext
from cdsed.work.destination import Destination

_log = logging.getLogger(__name__)


@frozen
class Planned:
    """The plan of a product, before it is stored; `requests` is how many fetch the product, its list included."""

    product: Product
    chosen: ChosenObjects
    places: Places
    requests: int


def plan_product(context: WorkerContext, transport: Transport, product: Product) -> Planned | None:
    """Plan a claimed product, and prepare its place; `store_plan` then opens it to every free session.

    Returns
    -------
    Planned or None
        None if the product was found on disk, and is finished.

    Raises
    ------
    TransferError
        What prevents it; the caller decides what follows.
    """
    assert product.s3_path is not None, f"{product.safename} is ready without a path"
    db = context.store.db
    destination = Destination(context.disks, product)
    if destination.settle_if_present():
        return None
    destination.refuse_other()
    location = location_of(product.safename, product.s3_path, context.settings.services.s3_bucket)
    asked_before = transport.requests
    listed = transport.list_objects(location)
    chosen = choices.chosen(product, listed)
    size_bytes = sum(item.size_bytes for item in chosen.taken)
    places = destination.choose(size_bytes, [item.path for item in chosen.taken])
    destination.claim()
    with context.disks.watch.at(places.destination):
        if destination.settle_if_present():  # another state has finished it meanwhile
            return None
        staging = Path(places.staging)
        staged = staged_sizes(staging)
        keep: frozenset[str] = frozenset()
        if destination.begun:
            lost_again = pieces.forget_lost(db, product, staged)
            if lost_again:  # a power cut does that once; an object that is lost again is charged
                raise ProductError(f"its disk has lost {lost_again[0]} once more", code="VerificationFailed")
            keep = pieces.arrived(db, product, chosen.taken)
        else:
            products.check_claim(db, product)
        prepare(staging, chosen.taken, staged, keep, chosen.marker)
    piece_bytes = context.settings.transfer.piece_bytes
    fetched = sum(-(-item.size_bytes // piece_bytes) for item in chosen.taken)
    _log.info("%s: %d of %d objects, %d bytes", product.safename, len(chosen.taken), len(listed), size_bytes)
    return Planned(product, chosen, places, transport.requests - asked_before + fetched)


def store_plan(context: WorkerContext, planned: Planned) -> None:
    """Store a plan in the state.

    Raises
    ------
    LeaseLost
        Another worker has claimed the product meanwhile.
    """
    db, product, chosen = context.store.db, planned.product, planned.chosen
    piece_bytes = context.settings.transfer.piece_bytes
    with db.write():
        pieces.plan(db, product, chosen.taken, planned.places, piece_bytes, partial=bool(chosen.marker))
        backlog.learn(db, product, planned.requests)
