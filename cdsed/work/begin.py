"""Beginning a product: a last look for it on disk, its listing, its place, and its cutting into pieces."""

import logging
from pathlib import Path

from cdsed.errors import DiskError, ProductError
from cdsed.local.space import free_bytes
from cdsed.model.eodata import split_s3_path
from cdsed.model.product import Product, State
from cdsed.model.transfer import Places
from cdsed.store import pieces, products
from cdsed.store.products import Move
from cdsed.transfer import staging
from cdsed.transfer.connection import Connection
from cdsed.transfer.listing import list_product
from cdsed.transfer.publish import complete
from cdsed.work.bench import Bench

_log = logging.getLogger(__name__)


def begin(bench: Bench, connection: Connection, account: str, product: Product) -> None:
    """Plan a claimed product, so that every free session can join it.

    Raises
    ------
    TransferError
        Whatever stands in the way; the caller decides what follows.
    """
    found = bench.presence.find_now(product.safename, Path(product.outputdir) if product.outputdir else None)
    if found is not None:
        _log.info("%s: already at %s", product.safename, found)
        if product.staging:  # we began it, and perhaps its directory could not be synced when it appeared
            complete(found, Path(product.staging))
        products.move(bench.db, bench.clock, product, Move(State.PRESENT, whereabouts=str(found)))
        return
    assert product.s3_path is not None, f"{product.safename} is ready without a path"
    try:
        location = split_s3_path(product.s3_path)
    except ValueError as error:
        raise ProductError(f"{product.safename}: {error}", code="HostileKey") from error
    listed = list_product(connection, account, location)
    if not listed:
        raise ProductError(f"nothing lies at {product.s3_path}", code="NotListed")
    places = places_for(bench, product, sum(item.size_bytes for item in listed))
    folder = Path(places.staging)
    staged = staging.staged_sizes(folder)
    pieces.forget_lost(bench.db, product, staged)
    staging.prepare(folder, listed, staged, pieces.arrived(bench.db, product, listed))
    pieces.plan(bench.db, product, listed, staged, places, bench.settings.transfer.piece_bytes)
    _log.info("%s: %d objects, %d bytes", product.safename, len(listed), sum(item.size_bytes for item in listed))


def places_for(bench: Bench, product: Product, size_bytes: int) -> Places:
    """Choose where a product is put together and where it will appear, and reserve `size_bytes` there."""
    with bench.db.write():  # two products planned at once must not count on the same room
        places = _first_with_room(bench, product, size_bytes)
        products.choose_place(bench.db, product, places, size_bytes)
        return places


def _first_with_room(bench: Bench, product: Product, size_bytes: int) -> Places:
    """Go on where a product was begun; otherwise take the first destination with room for it."""
    if product.destination and product.staging and Path(product.staging).exists():
        return Places(product.staging, product.destination)
    needed = size_bytes + bench.settings.disk.free_bytes_min
    tried = []
    for destination in [Path(product.outputdir)] if product.outputdir else bench.settings.spools:
        pre_spool = bench.settings.pre_spool_for(destination)
        free = free_bytes(pre_spool) - products.reserved_bytes(bench.db, str(destination), product.id)
        if free >= needed:
            return Places(str(pre_spool / product.safename), str(destination))
        tried.append(f"{destination}: {max(0, free) / 1e9:.1f} GB free")
    raise DiskError(
        f"no room for {product.safename}, which needs {needed / 1e9:.1f} GB with what stays free for others "
        f"({'; '.join(tried)})",
        code="NoRoom",
    )
