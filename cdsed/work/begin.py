"""Beginning a product: a last look for it on disk, its listing, its place, and its cutting into pieces."""

import logging
from pathlib import Path

from cdsed.errors import ProductError
from cdsed.model.eodata import is_place_of, split_s3_path
from cdsed.model.product import Product, State
from cdsed.store import pieces, products
from cdsed.store.products import Move
from cdsed.transfer import staging
from cdsed.transfer.connection import Connection
from cdsed.transfer.publish import complete
from cdsed.transfer.s3_list import list_product
from cdsed.work.bench import Bench
from cdsed.work.outcome import NO_PLACE
from cdsed.work.owning import is_others, refuse_other, release, take
from cdsed.work.place import check_disk, places_for

_log = logging.getLogger(__name__)


def begin(bench: Bench, connection: Connection, account: str, product: Product) -> None:
    """Plan a claimed product, so that every free session can join it.

    Raises
    ------
    TransferError
        Whatever stands in the way; the caller decides what follows.
    """
    if _is_present(bench, product):
        return
    refuse_other(bench, product)
    assert product.s3_path is not None, f"{product.safename} is ready without a path"
    try:
        location = split_s3_path(product.s3_path)
    except ValueError as error:
        raise ProductError(f"{product.safename}: {error}", code="UnsafePath") from error
    if not is_place_of(location, product.safename):
        raise ProductError(
            f"{product.s3_path} is the place of another product than {product.safename}", code="UnsafePath"
        )
    listed = list_product(connection, account, location)
    if not listed:
        raise ProductError(f"nothing lies at {product.s3_path}", code="NotListed")
    places = places_for(bench, product, sum(item.size_bytes for item in listed))
    folder = Path(places.staging)
    check_disk(bench, Path(places.destination))  # to choose a place may have taken long: others write to the state, too
    with bench.watch.at(places.destination):
        take(bench, product, places)
        if _is_present(bench, product):  # another state has finished it meanwhile
            return
        staged = staging.staged_sizes(folder)
        lost_again = pieces.forget_lost(bench.db, product, staged)
        if lost_again:  # a power cut does that once; what is lost each time must come to an end
            raise ProductError(f"its disk has lost {lost_again[0]} once more", code="VerificationFailed")
        staging.prepare(folder, listed, staged, pieces.arrived(bench.db, product, listed))
    pieces.plan(bench.db, product, listed, places, bench.settings.transfer.piece_bytes)
    _log.info("%s: %d objects, %d bytes", product.safename, len(listed), sum(item.size_bytes for item in listed))


def _is_present(bench: Bench, product: Product) -> bool:
    """Settle a product that lies on disk already."""
    with bench.watch.at(product.outputdir or NO_PLACE):
        found = bench.presence.find_now(product.safename, Path(product.outputdir) if product.outputdir else None)
    if found is None:
        return False
    _log.info("%s: already at %s", product.safename, found)
    current = products.get(bench.db, product.id)
    if current.staging and not is_others(bench, current):
        # We began it, and perhaps its directory could not be synced when it appeared.
        complete(found, Path(current.staging))
    cause = f"waited for: {product.cause.partition(';')[0]}" if product.cause else None
    products.move(bench.db, bench.clock, product, Move(State.PRESENT, cause=cause, whereabouts=str(found)))
    release(bench, current)
    return True
