"""The connection of a session in a holder: a `cdsed.transfer.transport.Transport` that orders tasks."""

import logging
import math
import queue
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
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
    TaskOrder,
)
from cdsed.engine.seat import Look, Seat
from cdsed.engine.seats import Seats
from cdsed.engine.wire import Ask, Mark, Result
from cdsed.errors import DiskError, MachineError, OwnedElsewhere, Stopped, TransferError
from cdsed.model.eodata import S3Location
from cdsed.model.objects import Digests, ListedObject, Piece
from cdsed.transfer.fetch import ProgressCallback
from cdsed.transfer.lease_broker import SessionTools
from cdsed.transfer.staging import staged_sizes

_log = logging.getLogger(__name__)

_LOOK_EVERY_S = 10.0  # in case the thread that answers holders is gone
_LOOK_AFTER_S = 0.1  # when the time of a lease should be over
_BATCH_S = 2.0  # the connection is idle for some 20 ms until the next task arrives
_CLOSE_WITHIN_S = 5.0
_STOP_WITHIN_S = 10.0  # all that is waited for at the end of the process has to be shorter than `stop_within_s`
# What the machine of a holder says of a file that it does not see yet, and for how long it may not: caches of network
# file systems last for a minute.
_UNSEEN = frozenset({"ENOENT", "ENOTDIR", "ESTALE", "Lost", "OtherState"})
_UNSEEN_PAUSES_S = (1.0, 2.0, 4.0, 8.0, *[10.0] * 5)


class RemoteTransport:
    """The connection of a lease that a holder has; what its machine has only in memory counts for nothing here."""

    def __init__(self, seats: Seats, seat: Seat, tools: SessionTools, state_id: str) -> None:
        self.batch_s = _BATCH_S
        self.requests = 0
        self.delivered_bytes = 0
        self._state_id = state_id
        self._seats = seats
        self._seat = seat
        self._tools = tools
        self._first = _RemoteClaimant(self.close)
        self._silent = False  # it did not answer when the process had to leave

    def list_objects(self, location: S3Location) -> list[ListedObject]:
        """As `Transport`."""
        return list(self._done(ListTask(location)).listed or ())

    def batch(
        self,
        bucket: str,
        staging: Path,
        safename: str,
        check_owner: Callable[[], object],
        pieces: Sequence[Piece],
    ) -> "RemoteBatchFetch":
        """As `Transport`; the holder checks the owner when it has opened the directory."""
        every_s = self._tools.checkpoint_every_s
        order = FetchTask(bucket, str(staging), safename, self._state_id, tuple(pieces), every_s)
        return RemoteBatchFetch(self, order, check_owner)

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
        if self._seats.is_lost(self._seat) or not self._seats.can_hear(self._seat) or self._silent:
            return self._seat.closed.is_set()
        try:
            self._done(CloseTask(), requests=0, within_s=_CLOSE_WITHIN_S)
        except TransferError:
            return False
        return True

    def wait(self, seconds: float) -> None:
        """Wait, unless the process must leave."""
        self._tools.stop.wait(seconds)

    def begin(self, order: TaskOrder, requests: int = 1, within_s: float | None = None) -> "RunningTask":
        """Let the holder do a task.

        Parameters
        ----------
        requests
            How many requests it sends at most if nothing fails; they are claimed first.
        within_s
            Wait no longer than this, and do it also when the process must leave; None: as long as the holder works.
        """
        if within_s is None and self._tools.stop.is_set():
            raise Stopped
        for _ in range(requests):
            self._tools.claim(self._first)
        until_s = math.inf if within_s is None else time.monotonic() + within_s
        return RunningTask(self._seats.order(self._seat, order, requests), until_s)

    def hear(self, task: "RunningTask") -> Mark | None:
        """Wait a while for the next word of the holder about a task; return it if it is a mark.

        Raises
        ------
        Stopped
            Nothing more can come of the task.
        """
        answer = self._next(task.until_s)
        if isinstance(answer, Result) and answer.number == task.number:
            task.answer = answer.answer
        elif answer is None and (self._seats.is_lost(self._seat) or time.monotonic() > task.until_s):
            self._silent = self._tools.stop.is_set()
            raise task.failed or Stopped(f"the holder on {self._seat.node} does not answer")
        elif self._tools.stop.is_set() and task.until_s == math.inf:
            self.stop(task, Stopped())
            task.until_s = time.monotonic() + (_STOP_WITHIN_S if self._seats.can_hear(self._seat) else 0.0)
        elif isinstance(answer, Ask) and answer.number == task.number:
            self._allow(task, answer.ask)
        elif isinstance(answer, Mark) and answer.number == task.number:
            return answer
        return None

    def stop(self, task: "RunningTask", why: TransferError) -> None:
        """Let the holder stop a task; hear of it until it has."""
        if task.failed is None:
            task.failed = why
            self._seats.stop(self._seat)

    def _done(self, order: TaskOrder, requests: int = 1, within_s: float | None = None) -> Answer:
        """Let the holder do a task, as `begin`; return what came of it, or raise what it raised."""
        task = self.begin(order, requests, within_s)
        while task.answer is None:
            self.hear(task)
        task.raise_failure()
        return task.answer

    def _next(self, until_s: float) -> Ask | Mark | Result | None:
        """Wait for the next answer; None: the time may be over, or the process must leave."""
        left_s = min(_LOOK_EVERY_S, self._seats.lost_in_s(self._seat), until_s - time.monotonic())
        try:
            answer = self._seat.answers.get(timeout=max(0.0, left_s) + _LOOK_AFTER_S)
        except queue.Empty:
            return None
        if answer is Look.LOOK:
            return None
        if answer is None and not self._seats.is_lost(self._seat):
            raise Stopped(f"a task, or what came of it, was lost on its way to the holder on {self._seat.node}")
        if isinstance(answer, Mark | Result):
            self.requests = max(self.requests, answer.sent.requests)
            self.delivered_bytes = max(self.delivered_bytes, answer.sent.delivered_bytes)
        return answer

    def _allow(self, task: "RunningTask", ask: int) -> None:
        """Claim a further request, and let the holder send it; it may ask again for one that is claimed."""
        try:
            if ask > task.asked:
                self._tools.claim(_RemoteClaimant(lambda: self._seats.may_ask(self._seat, ask, wait=True)))
                task.asked = ask
            self._seats.may_ask(self._seat, ask, wait=False)
        except TransferError as error:
            self.stop(task, error)


@dataclass(slots=True)
class RunningTask:
    """A task that the holder does.

    Attributes
    ----------
    until_s
        Nothing is waited for longer, in seconds of the monotonic clock.
    asked
        How many further requests were claimed for it.
    failed
        Why the head has stopped it.
    answer
        What came of it; None: it is not done yet.
    """

    number: int
    until_s: float = math.inf
    asked: int = 0
    failed: TransferError | None = None
    answer: Answer | None = None

    def raise_failure(self) -> None:
        """Raise why it failed, if it did."""
        if self.failed is not None:
            raise self.failed
        if self.answer is not None and self.answer.failed and self.answer.failure is not None:
            raise raised(self.answer.failure)


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


class RemoteBatchFetch:
    """A `cdsed.transfer.transport.BatchFetch` of a `RemoteTransport`: a holder gets all pieces in one message.

    It says which have arrived in groups, and each is on the disk then.
    """

    def __init__(self, transport: RemoteTransport, order: FetchTask, check_owner: Callable[[], object]) -> None:
        self._transport = transport
        self._order = order
        self._check_owner = check_owner
        self._task: RunningTask | None = None
        self._ended: RunningTask | None = None  # it may have failed at a piece that is asked for next
        self._first = 0  # the piece that the task begins with
        self._arrived: dict[int, Digests] = {}
        self._begun: tuple[int, int] | None = None  # a piece, and how much of it is safe

    def fetch(self, piece: Piece, progress: ProgressCallback) -> Digests:
        """As `BatchFetch`; a file that is whole for this machine is waited for until the holder sees it, too."""
        for pause_s in (*_UNSEEN_PAUSES_S, None):
            try:
                return self._fetch(piece, progress)
            except (DiskError, OwnedElsewhere) as error:
                if pause_s is None or error.code not in _UNSEEN or not self._is_here(piece):
                    raise
                _log.info("the holder does not see it yet: %s", error)
                self._transport.wait(pause_s)
        raise AssertionError("the last try raises")

    def _fetch(self, piece: Piece, progress: ProgressCallback) -> Digests:
        number = self._order.pieces.index(piece)
        if self._ended is not None and number not in self._arrived:
            ended, self._ended = self._ended, None
            ended.raise_failure()
        if self._task is None and number not in self._arrived:
            self._first, left = number, self._order.pieces[number:]
            self._task = self._transport.begin(replace(self._order, pieces=left), len(left))
        while number not in self._arrived:
            self._hear(number, progress)
        return self._arrived[number]

    def _is_here(self, piece: Piece) -> bool:
        self._check_owner()
        return staged_sizes(Path(self._order.staging)).get(piece.path) == piece.object_bytes

    def has(self, piece: Piece) -> bool:
        """As `BatchFetch`."""
        return self._order.pieces.index(piece) in self._arrived

    def sync(self) -> None:
        """As `BatchFetch`."""

    def stop(self) -> bool:
        """As `BatchFetch`; if its holder is lost, the pieces are released with the lease."""
        task = self._task
        with suppress(TransferError):
            while self._task is not None:
                self._transport.stop(self._task, Stopped())
                self._hear(None, None)
        return task is None or task.answer is not None

    def close(self) -> None:
        """As `BatchFetch`; the holder does it with each group."""

    def _hear(self, wanted: int | None, progress: ProgressCallback | None) -> None:
        """Take the next word of the holder; raise why the task ended without the wanted piece."""
        task = self._task
        assert task is not None, "nothing is fetched"
        try:
            mark = self._transport.hear(task)
        except TransferError:
            self._task = None
            raise
        if mark is not None:
            self._note(mark.first, mark.digests)
            self._begun = self._first + mark.first + len(mark.digests), mark.done_bytes
        if task.answer is not None:
            self._task = None
            self._note(0, task.answer.digests)
            if wanted in self._arrived:
                self._ended = task
            else:
                task.raise_failure()
                raise MachineError("a holder does not say what it fetched", code="Message")
        if progress is not None and self._begun is not None and self._begun[0] == wanted and self._begun[1]:
            try:
                progress.safe(self._begun[1])
            except TransferError as error:
                self._transport.stop(task, error)
            self._begun = None

    def _note(self, first: int, digests: Sequence[Digests]) -> None:
        self._arrived.update(enumerate(digests, self._first + first))
