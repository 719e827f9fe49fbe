"""Plan a product: look for it on disk again, list its objects, choose its place, and cut it into pieces."""

import logging
from pathlib import Path

from cdsed.errors import ProductError
from cdsed.local.partial import MARKER, content, read_marker
from cdsed.model.choice import Choice, union
from cdsed.model.eodata import location_of
from cdsed.model.layout import PARTIAL
from cdsed.model.objects import ListedObject
from cdsed.model.product_state import Product
from cdsed.model.single_file import single_file
from cdsed.store import pieces
from cdsed.transfer.connection import Connection
from cdsed.transfer.product import list_objects
from cdsed.transfer.staging import prepare, staged_sizes, write_file
from cdsed.work.context import WorkerContext
from cdsed.work.destination import Destination

_log = logging.getLogger(__name__)


def plan_product(context: WorkerContext, connection: Connection, account: str, product: Product) -> None:
    """Plan a claimed product, so that every free session can fetch its pieces.

    Raises
    ------
    TransferError
        What prevents it; the caller decides what follows.
    """
    assert product.s3_path is not None, f"{product.safename} is ready without a path"
    db = context.store.db
    destination = Destination(context.disks, product)
    if destination.settle_if_present():
        return
    destination.refuse_other()
    location = location_of(product.safename, product.s3_path, context.settings.services.s3_bucket)
    listed = list_objects(connection, account, location, context.stop, context.transfer.stall_detector.watch)
    choice = _choice(destination)
    taken, left_out = _chosen(product.safename, choice, listed)
    size_bytes = sum(item.size_bytes for item in taken)
    places = destination.choose(size_bytes)
    destination.claim()
    with context.disks.watch.at(places.destination):
        if destination.settle_if_present():  # another state has finished it meanwhile
            return
        staging = Path(places.staging)
        staged = staged_sizes(staging)
        lost_again = pieces.forget_lost(db, product, staged)
        if lost_again:  # a power cut does that once; an object that is lost again is charged
            raise ProductError(f"its disk has lost {lost_again[0]} once more", code="VerificationFailed")
        prepare(staging, taken, staged, pieces.arrived(db, product, taken))
        if choice is not None and left_out:
            write_file(staging, MARKER, content(choice, taken, left_out))
    piece_bytes = context.settings.transfer.piece_bytes
    pieces.plan(db, product, taken, places, piece_bytes, partial=bool(left_out))
    _log.info("%s: %d objects, %d bytes; %d left out", product.safename, len(taken), size_bytes, len(left_out))


def _choice(destination: Destination) -> Choice | None:
    """Return what is fetched: what is wanted, and what an earlier part has that would be replaced."""
    product = destination.product
    choice = Choice.from_json(product.choice)
    if choice is None:
        return None
    tops = [Path(product.outputdir)] if product.outputdir else destination.context.settings.spools
    for top in tops:
        with destination.context.watch.at(str(top)):
            earlier = read_marker(top / PARTIAL / destination.below / product.safename)
        choice = choice if earlier is None else union(choice, earlier.choice) or choice
    return choice


def _chosen(
    safename: str, choice: Choice | None, listed: list[ListedObject]
) -> tuple[list[ListedObject], list[ListedObject]]:
    """Return the objects to fetch, and those to leave out; a product that is one file is taken whole.

    Raises
    ------
    ProductError
        ``NothingChosen``: no object fits the choice.
    """
    if choice is None or single_file(listed, safename):
        return listed, []
    if not any(choice.wants(item.path) for item in listed):
        raise ProductError(f"none of its {len(listed)} files fits {choice}", code="NothingChosen")
    taken = [item for item in listed if choice.takes(item.path, safename)]
    return taken, [item for item in listed if not choice.takes(item.path, safename)]
