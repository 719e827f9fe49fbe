"""The connection of a holder, and the thread that does the tasks of the head over it."""

import logging
import queue
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from cdsed.config.accounts import S3Keys
from cdsed.config.settings import Settings
from cdsed.engine.carried_errors import carried
from cdsed.engine.orders import (
    Answer,
    CloseTask,
    FetchTask,
    KeyWorksTask,
    ListTask,
    OtherFolderTask,
    OtherProductTask,
    Sent,
)
from cdsed.engine.piece_group import PieceGroup
from cdsed.engine.wire import Ask, Granted, Mark, MayAsk, Result, Stop, Task, UpMessage
from cdsed.errors import Stopped, TransferError
from cdsed.model.objects import Digests
from cdsed.model.operation import BandwidthLimit
from cdsed.process.threadwatch import ThreadWatch
from cdsed.transfer.bandwidth import BandwidthBudget, Pace
from cdsed.transfer.connection import Connection, Credentials, Endpoint
from cdsed.transfer.fetch import BUFFER_BYTES
from cdsed.transfer.ownerfile import Owner
from cdsed.transfer.owners import Owners
from cdsed.transfer.stall_detector import StallDetector
from cdsed.transfer.transport import LocalTransport

_log = logging.getLogger(__name__)

_ASK_EVERY_S = 5.0


class HeldConnection:
    """The connection of one lease.

    Attributes
    ----------
    number
        Of the newest task; older ones are never done again.
    idle
        Whether no task is being done.
    """

    def __init__(
        self, settings: Settings, granted: Granted, keys: S3Keys, say: Callable[[UpMessage], None], watch: ThreadWatch
    ) -> None:
        self.number = 0
        self.idle = True
        self._nonce, self._fence, self._account = granted.nonce, granted.fence, granted.account
        self._say = say
        self._watch = watch
        self._stop = threading.Event()
        self._ended = False
        self._free_requests = 0
        self._asked = 0  # how often in this task
        self._allowed: queue.SimpleQueue[MayAsk] = queue.SimpleQueue()
        self._tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._stalls = StallDetector(settings.transfer.rate_min_bytes_per_s, settings.transfer.rate_window_s)
        self._budget = BandwidthBudget()
        self.limit(granted.bytes_per_s)
        credentials = Credentials(keys.access_key, keys.secret_key)
        connection = Connection(Endpoint.from_settings(settings), credentials, self._claim)
        self._transport = LocalTransport(
            connection=connection,
            account=self._account,
            buffer=memoryview(bytearray(BUFFER_BYTES)),
            pace=Pace(self._budget, self._account),
            checkpoint_every_s=settings.transfer.checkpoint_every_s,
            stop=self._stop,
            watch=self._stalls.watch,
        )
        threading.Thread(target=self._work, name=f"lease {self._fence}", daemon=True).start()

    def limit(self, bytes_per_s: int | None) -> None:
        """Read no faster than this from now on."""
        self._budget.use([BandwidthLimit("account", self._account, bytes_per_s, None)] if bytes_per_s else [])

    def take(self, message: Task | MayAsk | Stop) -> None:
        """Follow a message of the head about this lease."""
        match message:
            case Task(number=number) if number > self.number and not self._ended:
                self.number = number
                self.idle = False
                self._stop.clear()
                self._tasks.put(message)
            case MayAsk(number=self.number):
                self._allowed.put(message)
            case Stop(number=self.number):
                self._interrupt()

    def stop(self) -> None:
        """Stop the task that is being done, and do none after it."""
        self._ended = True
        self.cut()

    def cut(self) -> None:
        """Stop the task that is being done, and end the connection, also while the thread of the task waits for a disk.

        A thread that waits for a file server (state D) keeps the sockets of its process open, even after SIGKILL.
        """
        self._interrupt()
        self._transport.connection.abort("stop")

    def _interrupt(self) -> None:
        self._stop.set()
        self._stalls.abort_all()

    def check(self) -> None:
        """Abort a transfer that is too slow, or shall stop; call it about once per second."""
        self._stalls.check()
        if self._stop.is_set():
            self._stalls.abort_all()

    def close(self) -> None:
        """Close the connection, of which no task is being done."""
        self._ended = True
        self._tasks.put(None)
        self._transport.close()

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            self._free_requests, self._asked = task.requests, 0
            while not self._allowed.empty():
                self._allowed.get()
            try:
                answer = self._do(task)
            except TransferError as error:
                answer = Answer(failure=carried(error), failed=True)
            except Exception as error:  # noqa: BLE001 - the head reports it, and charges the product
                _log.exception("task %d of lease %d failed", task.number, self._fence)
                fault = TransferError(f"{type(error).__name__} in a holder; see the log of its worker", code="Bug")
                answer = Answer(failure=carried(fault), failed=True)
            result = Result(self._nonce, self._fence, task.number, answer, self._sent())
            self.idle = True
            self._say(result)

    def _do(self, task: Task) -> Answer:
        transport = self._transport
        match task.order:
            case ListTask(location=location):
                return Answer(listed=tuple(transport.list_objects(location)))
            case FetchTask() as order:
                return self._fetch(order, partial(self._mark, task.number))
            case KeyWorksTask(location=location):
                return Answer(yes=transport.key_works(location))
            case OtherProductTask(location=location, known=known):
                error = transport.other_product_fails(location, known)
                return Answer(failure=None if error is None else carried(error))
            case OtherFolderTask(location=location):
                return Answer(yes=transport.other_folder_works(location))
            case CloseTask():
                transport.close()
                return Answer()

    def _fetch(self, order: FetchTask, mark: Callable[[int, tuple[Digests, ...], int], None]) -> Answer:
        """Fetch pieces into the staging directory of a product; it checks the owner as the head would."""
        staging, pieces = Path(order.staging), order.pieces
        check = partial(Owners(Owner(order.state_id)).check, staging.parent, order.safename)
        transport = replace(self._transport, checkpoint_every_s=order.mark_every_s)
        with closing(transport.batch(order.bucket, staging, order.safename, check, pieces)) as files:
            group = PieceGroup(files, mark, order.mark_every_s)
            with self._watch.at(order.staging):
                return group.fetch(pieces)

    def _sent(self) -> Sent:
        return Sent(self._transport.requests, self._transport.delivered_bytes)

    def _mark(self, number: int, first: int, digests: tuple[Digests, ...], done_bytes: int) -> None:
        self._say(Mark(self._nonce, self._fence, number, first, digests, done_bytes, self._sent()))

    def _claim(self, connection: Connection) -> None:
        """Take the right to a request: those of a task came with it, for any other the head is asked."""
        if self._stop.is_set():
            raise Stopped
        if self._free_requests:
            self._free_requests -= 1
            return
        self._asked += 1
        try:
            while self._must_wait():
                connection.close()
                connection.waits = True
        finally:
            connection.waits = False

    def _must_wait(self) -> bool:
        """Ask the head, again and again as it may be lost; return whether the connection shall be closed meanwhile."""
        ask_s = 0.0
        while True:
            if self._stop.is_set():
                raise Stopped
            now_s = time.monotonic()
            if now_s >= ask_s:
                self._say(Ask(self._nonce, self._fence, self.number, self._asked))
                ask_s = now_s + _ASK_EVERY_S
            with suppress(queue.Empty):
                allowed = self._allowed.get(timeout=0.2)
                if allowed.ask == self._asked:
                    return allowed.wait
