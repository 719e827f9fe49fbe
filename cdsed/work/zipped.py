"""The zip fallback: fetch a product as a zip if S3 refuses it to an account."""

import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum, auto
from functools import partial
from pathlib import Path
from urllib.parse import quote

from cdsed.config.secrets import Secret
from cdsed.credentials.token_file import TokenFile, token_path
from cdsed.errors import ServiceError, TransferError
from cdsed.model.objects import Lease
from cdsed.model.product_state import PathSource, Product, State
from cdsed.store import backlog, breakers, pieces, products
from cdsed.store.move import Move
from cdsed.transfer.bandwidth import Pace
from cdsed.transfer.connection import Connection
from cdsed.transfer.staging import prepare
from cdsed.transfer.zipper import ZipContext, ZipDownload, fetch_zip, origin
from cdsed.work.claims import RequestClaims
from cdsed.work.context import WorkerContext
from cdsed.work.destination import Destination
from cdsed.work.traffic import Traffic

_log = logging.getLogger(__name__)

_REQUESTS = 3  # S3 refuses the list, the catalogue redirects, the zipper sends
_NO_PRODUCT = "00000000-0000-0000-0000-000000000000"


class ZipAvailability(Enum):
    """Whether a product can come as a zip."""

    CLOSED = auto()  # off in the settings, the account has no token now, or the catalogue has no MD5
    ASK_FIRST = auto()  # the catalogue was not asked for its id and MD5 yet
    OPEN = auto()


def availability(context: WorkerContext, account: str, product: Product) -> ZipAvailability:
    """Tell whether a product that S3 refuses to an account can come as a zip."""
    if not context.settings.transfer.zip_fallback or not _token(context, account):
        return ZipAvailability.CLOSED
    if product.product_id and product.md5:
        return ZipAvailability.OPEN
    return ZipAvailability.CLOSED if product.path_source is PathSource.CATALOGUE else ZipAvailability.ASK_FIRST


def ask_catalogue(context: WorkerContext, product: Product, error: TransferError) -> None:
    """Queue a claimed product again, so that the catalogue is asked about it first."""
    move = Move(State.QUEUED, cause=str(error), code=error.code, refute_path=True)
    products.move(context.store.db, context.store.clock, product, move)


def fetch(context: WorkerContext, lease: Lease, claims: RequestClaims, product: Product, buffer: memoryview) -> None:
    """Fetch a claimed product whole, over one connection; it is ready for verification when this returns.

    Raises
    ------
    TransferError
        What prevents it; the caller decides what follows.
    """
    assert product.product_id is not None, f"{product.safename} has no id in the catalogue"
    pause_s = breakers.open_for_s(context.store.db, context.store.clock, breakers.ZIPPER)
    if pause_s:
        raise ServiceError("the zipper backs off", code="Zipper", retry_after_s=pause_s)
    download = _download(context, lease, product, product.product_id)
    destination = Destination(context.disks, product)
    places = destination.choose(2 * (product.size_bytes or 0))  # the zip, and its unpacked files
    staging = Path(places.staging)
    zip_context = _zip_context(context, lease, claims, buffer, product)
    pieces.forget_arrived(context.store.db, product)
    destination.claim()
    with context.disks.watch.at(places.destination):
        prepare(staging)
        listed = fetch_zip(download, zip_context, staging)
    with context.store.db.write():
        pieces.plan(context.store.db, product, listed, places, context.settings.transfer.piece_bytes)
        pieces.arrived_whole(context.store.db, product)
        backlog.learn(context.store.db, product, _REQUESTS)
    _log.info("%s: came as a zip, %d files", product.safename, len(listed))


def zipper_fails(
    context: WorkerContext, lease: Lease, claims: RequestClaims, product: Product, buffer: memoryview
) -> TransferError | None:
    """Ask the zipper for a product that does not exist; return what fails, None if it answers as it should."""
    download = _download(context, lease, product, _NO_PRODUCT)
    zip_context = _zip_context(context, lease, claims, buffer)
    # Of this session alone. What a killed process left is removed by the next one.
    empty = context.settings.sessions_dir / f"{lease.account}.{lease.slot}.probe"
    shutil.rmtree(empty, ignore_errors=True)
    empty.mkdir(mode=0o700)
    try:
        fetch_zip(download, zip_context, empty)
    except TransferError as error:
        return None if error.code == "ZipRefused" else error  # in its own words: it does not exist
    finally:
        shutil.rmtree(empty, ignore_errors=True)
    return ServiceError("the zipper has a product that does not exist", code="InvalidResponse")


def _download(context: WorkerContext, lease: Lease, product: Product, product_id: str) -> ZipDownload:
    assert product.md5 is not None, f"{product.safename} has no MD5 in the catalogue"
    services = context.settings.services
    return ZipDownload(
        url=f"{services.download_url}/Products({quote(product_id)})/$value",
        origins=frozenset({origin(services.download_url), origin(services.catalogue_url)}),
        token=Secret(_token(context, lease.account)),
        account=lease.account,
        safename=product.safename,
        md5=product.md5,
    )


def _zip_context(
    context: WorkerContext, lease: Lease, claims: RequestClaims, buffer: memoryview, product: Product | None = None
) -> ZipContext:
    counted = partial(_counted, context, lease, claims, product)
    pace = Pace(context.transfer.budget, lease.account)
    return ZipContext(context.transfer.endpoint, counted, buffer, context.stop, claims.claim, pace)


@contextmanager
def _counted(
    context: WorkerContext, lease: Lease, claims: RequestClaims, product: Product | None, connection: Connection
) -> Iterator[Callable[[], None]]:
    """Require the minimum rate of a connection, and count what it delivers in the quota usage of the account.

    The transfer ends with `LeaseLost` soon after the product is cancelled: a zip may take long.
    """
    traffic = Traffic(context.store, lease, connection, context.settings.transfer.checkpoint_every_s)
    former, claims.finish = claims.finish, traffic.count
    try:
        with context.transfer.stall_detector.watch(connection):
            yield lambda: _count(context, traffic, product)
    finally:
        traffic.count()
        claims.finish = former


def _count(context: WorkerContext, traffic: Traffic, product: Product | None) -> None:
    if traffic.count_when_due() and product is not None:
        products.check_claim(context.store.db, product)


def _token(context: WorkerContext, account: str) -> str:
    """Return the token that the keys role renews; '' if the account has none."""
    grant = TokenFile(token_path(context.settings.sessions_dir, account), context.store.clock).read()
    return grant.access_token if grant.access_until_s > context.store.clock.boot_s() else ""
