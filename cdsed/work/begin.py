"""Beginning a product: a last look for it on disk, its listing, its place, and its cutting into pieces."""

import logging
from pathlib import Path

from cdsed.errors import DiskError, ProductError
from cdsed.local.space import free_bytes
from cdsed.model.eodata import is_place_of, split_s3_path
from cdsed.model.product import Product, State
from cdsed.model.transfer import Places
from cdsed.store import breakers, pieces, products
from cdsed.store.breakers import disk_breaker
from cdsed.store.products import Move
from cdsed.transfer import staging
from cdsed.transfer.connection import Connection
from cdsed.transfer.listing import list_product
from cdsed.transfer.translate import disk_error
from cdsed.work.bench import Bench
from cdsed.work.outcome import pause_place

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
        products.move(bench.db, bench.clock, product, Move(State.PRESENT, whereabouts=str(found)))
        if product.staging:
            staging.discard(Path(product.staging))
        return
    assert product.s3_path is not None, f"{product.safename} is ready without a path"
    try:
        location = split_s3_path(product.s3_path)
    except ValueError as error:
        raise ProductError(f"{product.safename}: {error}", code="HostileKey") from error
    if not is_place_of(location, product.safename):
        raise ProductError(
            f"{product.s3_path} is the place of another product than {product.safename}", code="HostileKey"
        )
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
    """Go on where a product was begun; otherwise take the first destination that is well and has room for it."""
    if product.destination and product.staging and _is_there(Path(product.staging)):
        return Places(product.staging, product.destination)
    needed = size_bytes + bench.settings.disk.free_bytes_min
    tried = []
    for destination in [Path(product.outputdir)] if product.outputdir else bench.settings.spools:
        if breakers.is_open(bench.db, bench.clock, disk_breaker(str(destination))):
            tried.append(f"{destination}: in trouble")
            continue
        pre_spool = bench.settings.pre_spool_for(destination)
        free = _free_bytes(bench, pre_spool, destination) - products.reserved_bytes(
            bench.db, str(destination), product.id
        )
        if free >= needed:
            return Places(str(pre_spool / product.safename), str(destination))
        tried.append(f"{destination}: {max(0, free) / 1e9:.1f} GB free")
    raise DiskError(
        f"no room for {product.safename}, which needs {needed / 1e9:.1f} GB with what stays free for others "
        f"({'; '.join(tried)})",
        code="NoRoom",
    )


def _is_there(staging: Path) -> bool:
    try:
        return staging.exists()
    except OSError as error:
        raise disk_error(str(staging), error) from error


def _free_bytes(bench: Bench, pre_spool: Path, destination: Path) -> int:
    """Return the room there is; none where the disk cannot even be asked, which lets the destination cool down."""
    try:
        return free_bytes(pre_spool)
    except OSError as error:
        told = disk_error(str(pre_spool), error)
        if not isinstance(told, DiskError):
            raise told from error
        pause_place(bench.db, bench.clock, bench.settings.retry, str(destination), told)
        return 0
