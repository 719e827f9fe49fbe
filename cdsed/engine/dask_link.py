"""The carrier over Dask.

One long task on each worker is a pilot. Messages go up as events of one topic and down by a Queue for each pilot, as
text. Keys of accounts are in neither, nor in the arguments of a task. A second run of a task by Dask makes another
pilot, whose holders have no grant.

An event costs half of what a message by a Queue does, because nobody asks for it. A scheduler keeps the last ones of a
topic for ever, so a topic for each pilot would fill its memory.
"""

import logging
import queue
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distributed import Client, Queue, get_client, get_worker, secede

from cdsed.config.engine_settings import EngineSettings
from cdsed.engine.dask_client import ANSWER_WITHIN_S, GONE, connected, jobs_of, workers_of
from cdsed.engine.pilot import Pilot, PilotOrder
from cdsed.errors import MachineError
from cdsed.frozen import frozen

if TYPE_CHECKING:
    from cdsed.engine.dask_jobs import DaskJobs

_log = logging.getLogger(__name__)

_AGAIN_S = 60.0  # a pilot that lived shorter is not started again before that: its worker may have another version


@frozen
class PilotTask:
    """The task that is a pilot, begun at `since_s`; `mark` begins the pilot's name, `worker` is the worker's."""

    task: Any
    mark: str
    worker: str
    since_s: float


class DaskLink:
    """The head's end; see `cdsed.engine.link.Link`.

    Parameters
    ----------
    workers
        How many to start, if the scheduler is our own.
    scratch
        Directory for files of our own workers.
    order
        What each pilot does.

    Attributes
    ----------
    jobs
        Those in which the workers run, if the settings say so.
    """

    def __init__(self, settings: EngineSettings, workers: int, scratch: Path, order: PilotOrder) -> None:
        self._order = order
        self._head = uuid.uuid4().hex[:16]
        self._pilots: dict[str, PilotTask] = {}  # by the address of the worker
        self.jobs: DaskJobs | None = None
        self._again_s: dict[str, float] = {}  # when a worker may have a pilot again, if the last one ended at once
        self._down: dict[str, _Outbox] = {}
        self._lock = threading.Lock()
        with ExitStack() as stack:
            try:
                if settings.jobqueue is not None:
                    self.jobs = stack.enter_context(jobs_of(settings))
                self._client = stack.enter_context(connected(settings, workers, scratch, self.jobs, stack))
                self._stream = self._client.scheduler_comm
                self._inbox = _Inbox()
                self._client.subscribe_topic(_topic(order.config), self._hear)
            except (*GONE, ImportError) as error:
                why = f"the scheduler of Dask at {settings.scheduler} cannot be used: {error}"
                raise MachineError(why, code="Engine") from error
            self._open = stack.pop_all()

    @property
    def pilots(self) -> list[PilotTask]:
        """Those that were started and have not ended."""
        return list(self._pilots.values())

    def tend(self) -> None:
        """As `Link`."""
        try:
            if self._client.scheduler_comm is not self._stream:  # made again: another scheduler knows no topic
                raise OSError("the connection to it was lost")
            self._tend({address: str(each["name"]) for address, each in workers_of(self._client).items()})
        except GONE as error:
            why = f"the scheduler of Dask is gone: {type(error).__name__} {error}"
            raise MachineError(why, code="Engine") from error

    def _tend(self, workers: Mapping[str, str]) -> None:
        for address, pilot in list(self._pilots.items()):
            if address not in workers or pilot.task.status in ("finished", "error", "lost", "cancelled"):
                _log.info("the pilot on the worker %s has ended (%s)", address, pilot.task.status)
                pilot.task.release()
                del self._pilots[address]
                self._forget(pilot.mark)
                if time.monotonic() - pilot.since_s < _AGAIN_S:
                    self._again_s[address] = time.monotonic() + _AGAIN_S
                if self.jobs is not None and self.jobs.has(pilot.worker):
                    with suppress(KeyError):  # the keeper has ended it just now
                        self.jobs.end(pilot.worker)
        now_s = time.monotonic()
        self._again_s = {address: at_s for address, at_s in self._again_s.items() if at_s > now_s}
        for address in workers.keys() - self._pilots.keys() - self._again_s.keys():
            if self.jobs is None or self.jobs.has(workers[address]):
                self._pilots[address] = self._started(address, workers[address])
            elif self.jobs.is_foreign(workers[address]):
                self.jobs.send_away(address)  # it waited in the queue when an earlier daemon was killed

    def _forget(self, mark: str) -> None:
        """Release the queues of a pilot that has ended, and of its other runs."""
        with self._lock:
            ended = [self._down.pop(name) for name in list(self._down) if name.startswith(mark)]
        for outbox in ended:
            outbox.close()

    def _started(self, address: str, worker: str) -> PilotTask:
        order, mark = self._order, uuid.uuid4().hex[:16]
        task = self._client.submit(
            run_pilot,
            *(self._head, mark),
            (order.config, order.holders, order.here_every_s, order.silent_s, order.lives_s),
            key=f"cdsed-pilot-{mark}",
            workers=[address],
            allow_other_workers=False,
            pure=False,
            retries=0,
        )
        return PilotTask(task, mark, worker, time.monotonic())

    def receive(self, timeout_s: float) -> Sequence[str]:
        """As `Link`."""
        return self._inbox.receive(timeout_s)

    def _hear(self, event: tuple[float, tuple[str, str]]) -> None:
        """Take an event in the thread of Dask; another daemon may use the same topic."""
        _, (head, line) = event
        if head == self._head:
            self._inbox.put([line])

    def send(self, pilot: str, lines: Sequence[str]) -> None:
        """As `Link`."""
        with self._lock:
            down = self._down.get(pilot)
            if down is None:
                down = self._down[pilot] = _Outbox(_down_name(pilot), self._client)
        down.send(lines)

    def close(self) -> None:
        """As `Link`."""
        with suppress(*GONE, AssertionError):  # its scheduler may be gone
            self._open.close()


class DaskPilotLink:
    """A pilot's end; see `cdsed.engine.link.PilotLink`."""

    def __init__(self, head: str, config: str, pilot: str) -> None:
        self._head = head
        self._topic = _topic(config)
        self._worker = get_worker()
        self._inbox = _Inbox()
        messages = Queue(_down_name(pilot), client=get_client())
        messages.client.loop.add_callback(self._inbox.take, messages)

    def receive(self, timeout_s: float) -> Sequence[str]:
        """As `PilotLink`."""
        return self._inbox.receive(timeout_s)

    def send(self, line: str) -> None:
        """As `PilotLink`; it is lost while the worker has no connection to the scheduler."""
        self._worker.log_event(self._topic, [self._head, line])


class _Outbox:
    """Puts lines into a Queue, in the thread of Dask: those that wait go together, and no thread waits for it."""

    def __init__(self, name: str, client: Client) -> None:
        self._name = name
        self._client = client
        self._messages: Queue | None = None
        self._lock = threading.Lock()
        self._waiting: list[str] = []
        self._runs = False
        self._failure = ""

    def send(self, lines: Sequence[str]) -> None:
        """Send lines; raises MachineError if earlier ones could not be sent."""
        if self._failure:
            raise MachineError(f"Dask takes no messages any more: {self._failure}", code="Engine")
        with self._lock:
            self._waiting += lines
            begins, self._runs = not self._runs, True
        if begins:
            loop: Any = self._client.loop
            loop.add_callback(self._put)

    def close(self) -> None:
        """Release the Queue."""
        loop: Any = self._client.loop
        loop.add_callback(self._close)

    def _close(self) -> None:
        if self._messages is not None:
            self._messages.close()

    async def _put(self) -> None:
        try:
            if self._messages is None:  # made here, because that waits for the scheduler
                self._messages = await Queue(self._name, client=self._client)
            while lines := self._next():
                await self._messages.put(lines, timeout=ANSWER_WITHIN_S, asynchronous=True)
        except KeyError:  # the Queue was released meanwhile: its pilot has ended
            with self._lock:
                self._messages, self._runs = None, False
        except GONE as error:
            self._failure = f"{type(error).__name__} {error}"

    def _next(self) -> list[str]:
        with self._lock:
            lines, self._waiting = self._waiting, []
            self._runs = bool(lines)
            return lines


class _Inbox:
    """Messages that came in the thread of Dask."""

    def __init__(self) -> None:
        self._taken: queue.SimpleQueue[Sequence[str] | None] = queue.SimpleQueue()

    def put(self, lines: Sequence[str]) -> None:
        """Take lines."""
        self._taken.put(lines)

    async def take(self, messages: Queue) -> None:
        """Take all that comes in a Queue."""
        try:
            with suppress(*GONE, AttributeError):  # a client that is closed has no scheduler any more
                while True:
                    self._taken.put(await messages.get(asynchronous=True))
        finally:
            self._taken.put(None)

    def receive(self, timeout_s: float) -> Sequence[str]:
        """Return all lines that came, or the next ones; none after the time-out."""
        lines: list[str] = []
        with suppress(queue.Empty):
            while (taken := self._taken.get(timeout=0 if lines else timeout_s)) is not None:
                lines += taken
            self._taken.put(None)  # for the next call
            if not lines:
                raise MachineError("the connection to the scheduler of Dask is lost", code="Engine")
        return lines


def run_pilot(head: str, mark: str, order: tuple[str, int, float, float, float | None]) -> str:
    """Be a pilot for as long as its head wants one: the only task of cdsed that ends late.

    Its name begins with `mark`; if Dask runs the task a second time, it has another end.

    Returns
    -------
    str
        Why it ended.
    """
    secede()  # other calls, such as those of `DaskCalls`, need the thread of this task
    name = f"{mark}-{uuid.uuid4().hex[:8]}"
    pilot = PilotOrder(*order)
    return Pilot(DaskPilotLink(head, pilot.config, name), pilot, name).run()


def _topic(config: str) -> str:
    return f"cdsed-up-{config}"


def _down_name(pilot: str) -> str:
    return f"cdsed-down-{pilot}"
