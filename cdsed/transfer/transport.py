"""What a session asks of S3 over its one connection, wherever that connection is.

`LocalTransport` has the connection in this process.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from cdsed.errors import TransferError
from cdsed.model.eodata import S3Location
from cdsed.model.objects import Digests, ListedObject, Piece
from cdsed.transfer.bandwidth import Pace
from cdsed.transfer.connection import Connection
from cdsed.transfer.fetch import FetchContext, ProgressCallback
from cdsed.transfer.other_product import other_folder_works, other_product_fails
from cdsed.transfer.product import Watch, fetch_object, list_objects
from cdsed.transfer.s3_list import key_works
from cdsed.transfer.staging import HeldStaging


class Counted(Protocol):
    """What has gone over a connection so far."""

    @property
    def requests(self) -> int:
        """How many requests were sent."""

    @property
    def delivered_bytes(self) -> int:
        """How many bytes of objects came: lists and errors do not prove that an account works."""


class BatchFetch(Protocol):
    """Fetches pieces of one product into its staging directory, one after the other, in the order that was said."""

    def fetch(self, piece: Piece, progress: ProgressCallback) -> Digests:
        """Fetch a piece; a small object is on the disk only after `sync`. It raises as `fetch_object` does."""

    def has(self, piece: Piece) -> bool:
        """Tell whether a piece has arrived already, so that `fetch` returns at once."""

    def sync(self) -> None:
        """Sync the small objects that were fetched; it raises as `HeldStaging.sync` does."""

    def stop(self) -> bool:
        """Fetch no further pieces, of which some may be on their way; return whether none is any more."""

    def close(self) -> None:
        """Let go of the directory; it is opened, and its owner checked, again for the next piece."""


class Transport(Counted, Protocol):
    """The connection of one session. Its first request opens it."""

    @property
    def batch_s(self) -> float:
        """For how many seconds of transfer pieces are worth handing out at once."""

    def list_objects(self, location: S3Location) -> list[ListedObject]:
        """List a product's objects; see `cdsed.transfer.product.list_objects`."""

    def batch(
        self, bucket: str, staging: Path, safename: str, check_owner: Callable[[], object], pieces: Sequence[Piece]
    ) -> BatchFetch:
        """Begin to fetch these pieces of a product; `check_owner` as for `HeldStaging`."""

    def key_works(self, location: S3Location) -> bool:
        """Tell whether the account may list anything; see `cdsed.transfer.s3_list.key_works`."""

    def other_product_fails(self, location: S3Location, known: Piece | None) -> TransferError | None:
        """Fetch a little of another product; see `cdsed.transfer.other_product.other_product_fails`."""

    def other_folder_works(self, location: S3Location) -> bool:
        """Tell whether a product of another top folder arrives; see `cdsed.transfer.other_product`."""

    def close(self) -> bool:
        """Close the connection; return whether it is known to be closed: only then may its session be used again."""


@dataclass(frozen=True, slots=True)
class LocalTransport:
    """A connection in this process; parameters as for `FetchContext`, and what `watch` surrounds each transfer with."""

    connection: Connection
    account: str
    buffer: memoryview = field(repr=False)
    pace: Pace
    checkpoint_every_s: float
    stop: threading.Event
    watch: Watch

    @property
    def batch_s(self) -> float:
        """As `Transport`: the next pieces are at hand in a moment."""
        return 0.0

    @property
    def requests(self) -> int:
        """As `Counted`."""
        return self.connection.requests

    @property
    def delivered_bytes(self) -> int:
        """As `Counted`."""
        return self.connection.delivered_bytes

    def list_objects(self, location: S3Location) -> list[ListedObject]:
        """As `Transport`."""
        return list_objects(self.connection, self.account, location, self.stop, self.watch)

    def batch(
        self,
        bucket: str,
        staging: Path,
        safename: str,
        check_owner: Callable[[], object],
        pieces: Sequence[Piece],  # noqa: ARG002 - each is fetched when it is asked for
    ) -> "LocalBatchFetch":
        """As `Transport`."""
        held = HeldStaging(staging, check_owner)
        return LocalBatchFetch(self._context(bucket, held), held, safename, self.watch)

    def key_works(self, location: S3Location) -> bool:
        """As `Transport`."""
        return key_works(self.connection, self.account, location)

    def other_product_fails(self, location: S3Location, known: Piece | None) -> TransferError | None:
        """As `Transport`."""
        return other_product_fails(self._context(location.bucket), location, self.watch, known)

    def other_folder_works(self, location: S3Location) -> bool:
        """As `Transport`."""
        return other_folder_works(self._context(location.bucket), location, self.watch)

    def close(self) -> bool:
        """As `Transport`."""
        self.connection.close()
        return True

    def _context(self, bucket: str, held: HeldStaging | None = None) -> FetchContext:
        return FetchContext(
            connection=self.connection,
            account=self.account,
            bucket=bucket,
            buffer=self.buffer,
            pace=self.pace,
            checkpoint_every_s=self.checkpoint_every_s,
            stop=self.stop,
            held=held,
        )


@dataclass(frozen=True, slots=True)
class LocalBatchFetch:
    """A `BatchFetch` of a `LocalTransport`; `held` is the staging directory of the product."""

    context: FetchContext
    held: HeldStaging
    safename: str
    watch: Watch

    def fetch(self, piece: Piece, progress: ProgressCallback) -> Digests:
        """As `BatchFetch`."""
        return fetch_object(self.context, piece, self.held.path, self.safename, progress, self.watch)

    def has(self, piece: Piece) -> bool:  # noqa: ARG002 - it arrives while it is fetched
        """As `BatchFetch`."""
        return False

    def sync(self) -> None:
        """As `BatchFetch`."""
        self.held.sync()

    def stop(self) -> bool:
        """As `BatchFetch`."""
        return True

    def close(self) -> None:
        """As `BatchFetch`."""
        self.held.close()
