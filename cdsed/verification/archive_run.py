"""A run: hands batches to workers, and notes what comes of them, until all products are verified."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from cdsed._version import __version__
from cdsed.engine.calls import Calls, EndedCall
from cdsed.errors import MachineError
from cdsed.verification.batch_queue import BatchQueue, ProductBatch
from cdsed.verification.batch_wire import BatchAnswer, BatchOrder, RootMark, Subject, VerdictKind, as_text, read_as
from cdsed.verification.judging import unseen
from cdsed.verification.progress_file import ProgressFile

_LOOK_EVERY_S = 1.0
#: A worker that refused, or failed, is asked again after so long: names of files are cached for as long on NFS.
_REST_S = 60.0
#: A batch is late after so long, or so many times the time that was expected.
_LATE_S, _LATE_TIMES = 600.0, 20.0


@dataclass(slots=True)
class _Waited:
    """A batch on a worker; None: only whether the worker answers."""

    worker: str
    batch: ProductBatch | None
    begun_s: float


@dataclass(slots=True)
class _WorkerState:
    """What is known of a worker; `why` it is not used."""

    node: str
    greeted: bool = False
    may_from_s: float = 0.0
    why: str = "does not answer"
    stuck: bool = False


class ArchiveRun:
    """Verifies products on workers.

    Parameters
    ----------
    roots
        The directories of products, the innermost first.
    products
        What is still to be verified.
    patience_s
        For how long the run waits for a worker that can be used.
    notify
        Called with each sentence that a person should read.
    """

    def __init__(
        self,
        calls: Calls,
        roots: Sequence[RootMark],
        products: Iterator[Subject],
        progress: ProgressFile,
        patience_s: float,
        notify: Callable[[str], None],
    ) -> None:
        self._calls = calls
        self._roots = roots
        self._queue = BatchQueue(products)
        self._progress = progress
        self._patience_s = patience_s
        self._notify = notify
        self._waited: dict[int, _Waited] = {}
        self._workers: dict[str, _WorkerState] = {}
        self._greetings = 0
        self._begun_s = self._useful_s = time.monotonic()
        self._ran_s = progress.tally.ran_s
        self.sentences: dict[str, None] = {}  # what was said of workers

    def work(self) -> Iterator[None]:
        """Verify everything; yield now and then.

        Raises
        ------
        MachineError
            No worker can be used, or this machine itself does not see the products.
        """
        while True:
            self._hand_out()
            if self._queue.is_empty and not any(each.batch for each in self._waited.values()):
                return
            for ended in self._calls.ended(_LOOK_EVERY_S):
                self._take(ended)
            self._look_for_late()
            yield

    def _hand_out(self) -> None:
        """Give each worker what it can do."""
        now_s, known = time.monotonic(), self._calls.workers()
        for address in self._workers.keys() - known.keys():
            self._lost(address)
        usable = False
        for address, threads in known.items():
            state = self._workers.setdefault(address, _WorkerState(address))
            if now_s < state.may_from_s or state.stuck:
                continue
            usable = True
            if not state.greeted:
                self._greet(address)
                continue
            while (batch := self._next(address, threads)) is not None:
                self._order(address, batch)
        if usable:
            self._useful_s = now_s
        elif now_s - self._useful_s >= self._patience_s:
            raise MachineError(self._why_none(), code="Engine")

    def _next(self, address: str, threads: int) -> ProductBatch | None:
        mine = [each.batch for each in self._waited.values() if each.worker == address]
        if len(mine) > threads or any(batch is not None and batch.alone for batch in mine):
            return None  # one more than it runs at once is at hand
        return self._queue.next(idle=not mine)

    def _greet(self, address: str) -> None:
        """Ask a new worker for nothing: what it fails at then is not a fault of a product."""
        if not any(each.worker == address for each in self._waited.values()):
            self._greetings -= 1
            self._waited[self._greetings] = _Waited(address, None, time.monotonic())
            self._calls.begin(self._greetings, address, as_text(BatchOrder(__version__, (), ())))

    def _order(self, address: str, batch: ProductBatch) -> None:
        roots: dict[RootMark, None] = {}
        for subject in batch.products:
            if root := next((each for each in self._roots if _is_below(subject.path, each.root)), None):
                roots[root] = None
        self._waited[batch.number] = _Waited(address, batch, time.monotonic())
        self._calls.begin(batch.number, address, as_text(BatchOrder(__version__, tuple(roots), batch.products)))

    def _take(self, ended: EndedCall) -> None:
        waited = self._waited.pop(ended.number, None)
        if waited is None:
            return
        state, batch = self._workers[waited.worker], waited.batch
        if ended.answer is not None:
            self._answered(waited.worker, state, batch, read_as(BatchAnswer, ended.answer))
        elif batch is None:
            self._refuse(waited.worker, f"cannot verify: {ended.raised or 'it was lost'}")
        elif ended.raised is None:
            self._lost_batch(batch, state, alone=batch.alone)
        else:
            self._note(batch, self._queue.failed(batch, f"cdsed has failed: {ended.raised}", state.node))

    def _answered(self, address: str, state: _WorkerState, batch: ProductBatch | None, answer: BatchAnswer) -> None:
        state.node, state.greeted = answer.node, True
        why = answer.refused or self._not_seen_there(answer)
        if why:
            self._refuse(address, why)
            if batch is not None:
                self._queue.put_back(batch)
            return
        if batch is not None:
            self._queue.measured(batch, answer.seconds)
            products, judged = self._queue.unread(batch, answer)
            self._note(replace(batch, products=products), judged)

    def _not_seen_there(self, answer: BatchAnswer) -> str:
        """Return why a worker cannot be believed: it does not see what is here."""
        absent = [each.path for each in answer.problems if each.finding is VerdictKind.ABSENT]
        for path in absent:
            if os.path.lexists(path):
                return f"does not see {path}, which is there: is its file system mounted?"
        roots = [each for each in self._roots if any(_is_below(path, each.root) for path in absent)]
        if why := unseen(roots):
            raise MachineError(f"this machine {why}", code="Engine")
        return ""

    def _refuse(self, address: str, why: str) -> None:
        state = self._workers[address]
        state.may_from_s, state.why = time.monotonic() + _REST_S, why
        state.greeted = False
        sentence = f"{state.node} {why}"
        if sentence not in self.sentences:
            self.sentences[sentence] = None
            self._notify(sentence)

    def _lost(self, address: str) -> None:
        """Take back what a worker had that is gone."""
        state = self._workers.pop(address)
        mine = [(number, each.batch) for number, each in self._waited.items() if each.worker == address]
        for number, _ in mine:
            self._calls.forget(number)
            del self._waited[number]
        batches = [batch for _, batch in mine if batch is not None]
        for batch in batches:
            self._lost_batch(batch, state, alone=len(batches) == 1)
        if batches:
            self._notify(f"a worker on {state.node} ({address}) is gone; what it had is verified elsewhere")

    def _lost_batch(self, batch: ProductBatch, state: _WorkerState, *, alone: bool) -> None:
        """Take back a batch whose worker has died, perhaps of it; `alone`: it had no other one."""
        if alone:
            why = "a worker died each time it verified this product"
            self._note(batch, self._queue.failed(batch, why, state.node))
        else:
            self._queue.suspect(batch)

    def _look_for_late(self) -> None:
        now_s = time.monotonic()
        for number, each in list(self._waited.items()):
            expected_s = sum(
                self._queue.expected_s(other.batch)
                for other in self._waited.values()
                if other.worker == each.worker and other.batch is not None
            )
            late_s = max(_LATE_S, _LATE_TIMES * expected_s)
            if now_s - each.begun_s <= late_s:
                continue
            self._calls.forget(number)
            del self._waited[number]
            why, state = f"has not answered for {late_s:.0f} s", self._workers[each.worker]
            self._refuse(each.worker, why)
            state.stuck = True
            if each.batch is not None:
                self._note(each.batch, self._queue.late(each.batch, f"a worker {why}", state.node))

    def _note(self, batch: ProductBatch, answer: BatchAnswer | None) -> None:
        if answer is not None and batch.products:
            ran_s = self._ran_s + time.monotonic() - self._begun_s
            self._progress.append(batch.products, answer, ran_s)

    def _why_none(self) -> str:
        reasons = [f"{state.node} {state.why}" for state in self._workers.values()]
        return "no worker can verify: " + ("; ".join(reasons) or "none is connected")


def _is_below(path: str, root: str) -> bool:
    return path.startswith(f"{root.rstrip('/')}/")
