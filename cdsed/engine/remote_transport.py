"""The connection of a session in a holder: a `cdsed.transfer.transport.Transport` that orders tasks."""

import math
import queue
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cdsed.engine.carried_errors import raised
from cdsed.engine.orders import (
    Answer,
    CloseTask,
    FetchTask,
    KeyWorksTask,
    ListTask,
    OtherFolderTask,
    OtherProductTask,
    SyncTask,
    TaskOrder,
)
from cdsed.engine.seat import Seat
from cdsed.engine.seats import Seats
from cdsed.engine.wire import Ask, Mark, Result
from cdsed.errors import MachineError, Stopped, TransferError
from cdsed.model.eodata import S3Location
from cdsed.model.objects import Digests, ListedObject, Piece
from cdsed.transfer.fetch import ProgressCallback, is_synced_later
from cdsed.transfer.lease_broker import SessionTools

_LOOK_EVERY_S = 0.5
_CLOSE_WITHIN_S = 5.0


class RemoteTransport:
    """The connection of a lease that a holder has; what its machine has only in memory counts for nothing here."""

    def __init__(self, seats: Seats, seat: Seat, tools: SessionTools, state_id: str) -> None:
        self.requests = 0
        self.delivered_bytes = 0
        self._state_id = state_id
        self._seats = seats
        self._seat = seat
        self._tools = tools
        self._batches = 0
        self._first = _RemoteClaimant(self.close)
        self._further = _RemoteClaimant(lambda: seats.may_ask(seat, wait=True))

    def list_objects(self, location: S3Location) -> list[ListedObject]:
        """As `Transport`."""
        return list(self._done(ListTask(location)).listed or ())

    def batch(
        self,
        bucket: str,
        staging: Path,
        safename: str,
        check_owner: Callable[[], object],  # noqa: ARG002 - the holder checks it when it has opened the directory
    ) -> "RemoteBatchFetch":
        """As `Transport`."""
        return RemoteBatchFetch(self, bucket, str(staging), safename)

    def key_works(self, location: S3Location) -> bool:
        """As `Transport`."""
        return bool(self._done(KeyWorksTask(location)).yes)

    def other_product_fails(self, location: S3Location, known: Piece | None) -> TransferError | None:
        """As `Transport`."""
        try:
            failure = self._done(OtherProductTask(location, known)).failure
        except TransferError as error:
            return error
        return None if failure is None else raised(failure)

    def other_folder_works(self, location: S3Location) -> bool:
        """As `Transport`."""
        try:
            return bool(self._done(OtherFolderTask(location)).yes)
        except TransferError:
            return False

    def close(self) -> bool:
        """As `Transport`."""
        if self._seats.is_lost(self._seat):
            return self._seat.closed.is_set()
        try:
            self._done(CloseTask(), requests=False, within_s=_CLOSE_WITHIN_S)
        except TransferError:
            return False
        return True

    def begin_batch(self) -> int:
        """Return a number for the tasks during which the holder keeps a staging directory open."""
        self._batches += 1
        return self._batches

    def fetch(self, batch: int, files: "RemoteBatchFetch", piece: Piece, progress: ProgressCallback) -> Digests:
        """Fetch a piece."""
        order = FetchTask(batch, files.bucket, files.staging, files.safename, self._state_id, piece)
        digests = self._done(order, progress).digests
        if digests is None:
            raise MachineError(f"holder {self._seat.nonce} does not say what it fetched", code="Message")
        return digests

    def sync(self) -> None:
        """Sync the small objects that were fetched."""
        self._done(SyncTask(), requests=False)

    def _done(
        self,
        order: TaskOrder,
        progress: ProgressCallback | None = None,
        *,
        requests: bool = True,
        within_s: float | None = None,
    ) -> Answer:
        """Let the holder do a task; return what came of it, or raise what it raised.

        Parameters
        ----------
        requests
            Whether it sends a request, which is claimed first.
        within_s
            Wait no longer than this, and do it also when the process must leave; None: as long as the holder works.
        """
        tools, seats, seat = self._tools, self._seats, self._seat
        if within_s is None and tools.stop.is_set():
            raise Stopped
        if requests:
            tools.claim(self._first)
        until_s = math.inf if within_s is None else time.monotonic() + within_s
        number = seats.order(seat, order)
        failed: TransferError | None = None
        while True:
            answer = self._next()
            if isinstance(answer, Result) and answer.number == number:
                return self._came(answer, failed)
            if seats.is_lost(seat) or time.monotonic() > until_s:
                raise failed or Stopped(f"the holder on {seat.node} does not answer")
            if failed is None and within_s is None and tools.stop.is_set():
                failed = Stopped()
                seats.stop(seat)
            try:
                if isinstance(answer, Ask | Mark):
                    self._follow(answer, progress)
            except TransferError as error:
                failed = failed or error
                seats.stop(seat)

    def _next(self) -> Ask | Mark | Result | None:
        """Wait a while for the next answer."""
        try:
            answer = self._seat.answers.get(timeout=_LOOK_EVERY_S)
        except queue.Empty:
            return None
        if answer is None and not self._seats.is_lost(self._seat):
            raise Stopped(f"a task, or what came of it, was lost on its way to the holder on {self._seat.node}")
        if isinstance(answer, Mark | Result):
            self.requests = max(self.requests, answer.sent.requests)
            self.delivered_bytes = max(self.delivered_bytes, answer.sent.delivered_bytes)
        return answer

    def _follow(self, answer: Ask | Mark, progress: ProgressCallback | None) -> None:
        if isinstance(answer, Ask):
            self._tools.claim(self._further)
            self._seats.may_ask(self._seat, wait=False)
        elif progress is not None and answer.safe:
            progress.safe(answer.done_bytes)

    def _came(self, result: Result, failed: TransferError | None) -> Answer:
        if failed is not None:
            raise failed
        if result.answer.failed and result.answer.failure is not None:
            raise raised(result.answer.failure)
        return result.answer


class _RemoteClaimant:
    """The connection of a holder, for the claim of a request.

    Attributes
    ----------
    waits
        As for `cdsed.transfer.lease_broker.Claimant`.
    """

    def __init__(self, close: Callable[[], object]) -> None:
        self.waits = False
        self._close = close

    def close(self) -> None:
        """Let the holder close its connection."""
        self._close()


@dataclass(slots=True)
class RemoteBatchFetch:
    """A `cdsed.transfer.transport.BatchFetch` of a `RemoteTransport`."""

    transport: RemoteTransport
    bucket: str
    staging: str
    safename: str
    number: int = 0  # of the batch for the holder; 0: none is open
    unsynced: bool = False

    def fetch(self, piece: Piece, progress: ProgressCallback) -> Digests:
        """As `BatchFetch`."""
        self.number = self.number or self.transport.begin_batch()
        digests = self.transport.fetch(self.number, self, piece, progress)
        self.unsynced |= is_synced_later(piece)
        return digests

    def sync(self) -> None:
        """As `BatchFetch`."""
        if self.unsynced:
            self.transport.sync()
            self.unsynced = False

    def close(self) -> None:
        """As `BatchFetch`; the holder closes the directory with the next task or the lease."""
        self.number = 0
