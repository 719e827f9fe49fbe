"""Downloading one product over one connection, without a state: list, fetch and verify it, ready to be published.

`fetch_product` does all of it. Sessions use `list_objects` and `fetch_object` instead, because they share a product
between several connections and note each step in the state.
"""

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

from cdsed.errors import ProductError
from cdsed.frozen import frozen
from cdsed.model.eodata import S3Location
from cdsed.model.objects import Digests, ListedObject, Piece, StoredObject
from cdsed.model.single_file import single_file
from cdsed.transfer.bandwidth import BandwidthBudget, Pace
from cdsed.transfer.blips import through_blips
from cdsed.transfer.connection import Connection
from cdsed.transfer.fetch import BUFFER_BYTES, FetchContext, ProgressCallback, fetch_piece
from cdsed.transfer.s3_list import list_product
from cdsed.transfer.staging import prepare
from cdsed.transfer.verify import VerificationResult, algorithms_for, verify

#: Surrounds each time in which a connection must bring bytes, e.g. the stall detector's.
Watch = Callable[[Connection], AbstractContextManager[object]]

_CHECKPOINT_EVERY_S = 60.0  # a product without a state is not resumed, so syncing often has no use


@frozen
class FetchProgress:
    """How far a product is; ``path`` is the object that is being fetched."""

    path: str
    written_bytes: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchOptions:
    """How to fetch one product.

    Attributes
    ----------
    account
        Our name of the account, for messages.
    bandwidth_bytes_per_s
        The limit of the settings; None: no limit.
    md5
        The catalogue's MD5, which counts for a product that is one single object.
    manifest_counts
        False: a product that contradicts its manifest passes; the verdict lists what is wrong.
    stop
        When set, the work ends with `Stopped`.
    watch
        Surrounds each transfer.
    """

    account: str = "of these keys"
    bandwidth_bytes_per_s: int | None = None
    md5: str | None = None
    manifest_counts: bool = True
    stop: threading.Event = field(default_factory=threading.Event)
    watch: Watch = nullcontext


@frozen
class StagedProduct:
    """A product that is whole and verified in its staging directory.

    Attributes
    ----------
    objects
        Its objects, with the digests that were computed while the bytes arrived.
    verdict
        What verification found; its ``stamps`` list exactly the files that may be published.
    single
        The name of the file of a product that is one single object; None for a directory.
    """

    staging: Path
    objects: tuple[StoredObject, ...]
    verdict: VerificationResult
    single: str | None

    @property
    def size_bytes(self) -> int:
        """The size of the whole product in bytes."""
        return sum(item.size_bytes for item in self.objects)


def fetch_product(
    connection: Connection,
    location: S3Location,
    staging: Path,
    on_progress: Callable[[FetchProgress], object],
    options: FetchOptions | None = None,
) -> StagedProduct:
    """Fetch one product into its staging directory and verify it.

    It always begins with an empty staging directory. Only one call at a time may work there.

    Parameters
    ----------
    connection
        The only one that is used.
    location
        Where the product is in the object store.
    staging
        The directory in which it is put together; made again when it exists. Only cdsed may write to its parent.
    on_progress
        Called after each buffer. It may raise a TransferError to end the work.
    options
        Limits, and what verification needs; None: the defaults of `FetchOptions`.

    Raises
    ------
    ProductError
        The location is empty (``NotListed``), the product changed meanwhile, or its bytes contradict its manifest
        (``VerificationFailed``, ``Incomplete``).
    AccountError, ServiceError, DiskError, MachineError, Stopped
        See these classes. ``Damaged``: an object differs from its own ETag.
    """
    options = options or FetchOptions()
    listed = list_objects(connection, options.account, location, options.stop, options.watch)
    prepare(staging, listed)
    objects = _fetch_all(connection, location, staging, listed, on_progress, options)
    safename = location.key.rpartition("/")[2]
    verdict = verify(
        staging, safename, objects, md5=options.md5, manifest_counts=options.manifest_counts, stop=options.stop
    )
    if not verdict.good:
        raise verdict.error(damaged=verdict.damaged)
    return StagedProduct(staging, tuple(objects), verdict, single_file(objects, safename))


def list_objects(
    connection: Connection, account: str, location: S3Location, stop: threading.Event, watch: Watch
) -> list[ListedObject]:
    """List a product's objects, with retries after a blip of the service.

    Raises
    ------
    ProductError
        ``NotListed``: it has no objects. Otherwise as for `list_product`.
    AccountError, ServiceError, Stopped
        The request was refused or broke; the process must leave.
    """

    def once() -> list[ListedObject]:
        with watch(connection):
            return list_product(connection, account, location)

    listed = through_blips(stop, once)
    if not listed:
        raise ProductError(f"there is nothing at {location.s3_path}", code="NotListed")
    return listed


def fetch_object(
    context: FetchContext, piece: Piece, staging: Path, safename: str, progress: ProgressCallback, watch: Watch
) -> Digests:
    """Fetch a piece of an object; after a blip of the service, retry from where the last try ended.

    Raises
    ------
    ProductError, AccountError, ServiceError, DiskError, Stopped
        As for `fetch_piece`.
    """
    resuming = _Resuming(piece, progress)

    def once() -> Digests:
        with watch(context.connection):
            return fetch_piece(context, resuming.piece, staging, algorithms_for(safename), resuming)

    return through_blips(context.stop, once)


class _Resuming:
    """Passes progress on, and holds where the next try begins."""

    def __init__(self, piece: Piece, progress: ProgressCallback) -> None:
        self.piece = piece
        self.written = progress.written
        self._progress = progress

    def safe(self, done_bytes: int) -> None:
        self._progress.safe(done_bytes)
        self.piece = replace(self.piece, done_bytes=done_bytes)


class _WholeProgress:
    """Reports how far the whole product is while one of its objects is fetched."""

    def __init__(self, on_progress: Callable[[FetchProgress], object], size_bytes: int) -> None:
        self._on_progress = on_progress
        self._size_bytes = size_bytes
        self._path, self._before_bytes = "", 0

    def begin(self, path: str, before_bytes: int) -> None:
        """Go to an object; so many bytes came before it."""
        self._path, self._before_bytes = path, before_bytes

    def written(self, done_bytes: int) -> None:
        self._on_progress(FetchProgress(self._path, self._before_bytes + done_bytes, self._size_bytes))

    def safe(self, done_bytes: int) -> None: ...


def _fetch_all(
    connection: Connection,
    location: S3Location,
    staging: Path,
    listed: Sequence[ListedObject],
    on_progress: Callable[[FetchProgress], object],
    options: FetchOptions,
) -> list[StoredObject]:
    """Fetch each object that has bytes."""
    context = FetchContext(
        connection=connection,
        account=options.account,
        bucket=location.bucket,
        buffer=memoryview(bytearray(BUFFER_BYTES)),
        pace=Pace(BandwidthBudget(), options.account, options.bandwidth_bytes_per_s),
        checkpoint_every_s=_CHECKPOINT_EVERY_S,
        stop=options.stop,
    )
    safename = location.key.rpartition("/")[2]
    progress = _WholeProgress(on_progress, sum(item.size_bytes for item in listed))
    objects: list[StoredObject] = []
    for number, item in enumerate(listed, start=1):
        digests, size_bytes = Digests(), item.size_bytes
        if size_bytes:
            progress.begin(item.path, sum(each.size_bytes for each in objects))
            piece = Piece(
                number, number, item.key, item.path, item.etag, size_bytes, 0, size_bytes, 0, transient_failures=0
            )
            digests = fetch_object(context, piece, staging, safename, progress, options.watch)
        objects.append(StoredObject(number, item.key, item.path, size_bytes, item.etag, digests, None))
    return objects
