"""Fetching a product as a zip, where S3 refuses it to an account that the download service may serve."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum, auto
from functools import partial
from pathlib import Path
from urllib.parse import quote

from cdsed.config.secrets import Secret
from cdsed.credentials.token_file import TokenFile, token_path
from cdsed.errors import TransferError
from cdsed.model.product import PathSource, Product, State
from cdsed.store import pieces, products
from cdsed.store.leases import Lease
from cdsed.store.products import Move
from cdsed.transfer.connection import Connection
from cdsed.transfer.staging import prepare
from cdsed.transfer.zipper import ZipContext, ZipDownload, fetch_zip, origin
from cdsed.work.bench import Bench
from cdsed.work.claims import RequestClaims
from cdsed.work.owning import take
from cdsed.work.place import check_disk, places_for
from cdsed.work.traffic import Traffic

_log = logging.getLogger(__name__)


class ZipAvailability(Enum):
    """Whether a product can come as a zip."""

    CLOSED = auto()  # the settings do not want it, the account has no token just now, or nobody states an MD5
    ASK_FIRST = auto()  # the catalogue has not been asked for its id and MD5 yet
    OPEN = auto()


def availability(bench: Bench, account: str, product: Product) -> ZipAvailability:
    """Tell whether a product that S3 refuses to an account can come as a zip."""
    if not bench.settings.transfer.zipper or not _token(bench, account):
        return ZipAvailability.CLOSED
    if product.product_id and product.md5:
        return ZipAvailability.OPEN
    return ZipAvailability.CLOSED if product.path_source is PathSource.CATALOGUE else ZipAvailability.ASK_FIRST


def ask_catalogue(bench: Bench, product: Product, error: TransferError) -> None:
    """Have the catalogue asked about a claimed product before it is tried again."""
    move = Move(State.QUEUED, cause=str(error), code=error.code, refute_path=True)
    products.move(bench.db, bench.clock, product, move)


def fetch(bench: Bench, lease: Lease, claims: RequestClaims, product: Product, buffer: memoryview) -> None:
    """Fetch a claimed product whole, over one connection; it is ready for verification when this returns.

    Raises
    ------
    TransferError
        Whatever stands in the way; the caller decides what follows.
    """
    assert product.product_id is not None, f"{product.safename} has no id in the catalogue"
    assert product.md5 is not None, f"{product.safename} has no MD5 in the catalogue"
    services = bench.settings.services
    download = ZipDownload(
        url=f"{services.download_url}/Products({quote(product.product_id)})/$value",
        origins=frozenset({origin(services.download_url), origin(services.catalogue_url)}),
        token=Secret(_token(bench, lease.account)),
        account=lease.account,
        safename=product.safename,
        md5=product.md5,
    )
    places = places_for(bench, product, 2 * (product.size_bytes or 0))  # the zip, and what comes out of it
    staging = Path(places.staging)
    context = ZipContext(bench.endpoint, partial(_counted, bench, lease, claims), buffer, bench.stop, claims.claim)
    pieces.forget_arrived(bench.db, product)
    check_disk(bench, Path(places.destination))  # to choose a place may have taken long: others write to the state, too
    with bench.watch.at(places.destination):
        take(bench, product, places)
        prepare(staging)
        listed = fetch_zip(download, context, staging)
    with bench.db.write():
        pieces.plan(bench.db, product, listed, places, bench.settings.transfer.piece_bytes)
        pieces.arrived_whole(bench.db, product)
    _log.info("%s: came as a zip, %d files", product.safename, len(listed))


@contextmanager
def _counted(bench: Bench, lease: Lease, claims: RequestClaims, connection: Connection) -> Iterator[Callable[[], None]]:
    """Hold a connection to the minimum rate, and enter what it brings into the account's books."""
    traffic = Traffic(bench, lease, connection)
    former, claims.settle = claims.settle, traffic.count
    try:
        with bench.stall_detector.watch(connection):
            yield traffic.count_when_due
    finally:
        traffic.count()
        claims.settle = former


def _token(bench: Bench, account: str) -> str:
    """Return the token that the keys role keeps fresh; '' when there is none."""
    grant = TokenFile(token_path(bench.settings.sessions_dir, account), bench.clock).read()
    return grant.access_token if grant.access_until_s > bench.clock.boot_s() else ""
