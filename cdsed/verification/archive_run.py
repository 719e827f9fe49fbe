"""A run: hands batches to workers, and notes what comes of them, until all products are verified."""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from cdsed._version import __version__
from cdsed.engine.calls import Calls, EndedCall
from cdsed.errors import MachineError
from cdsed.verification.batch_queue import BatchQueue, ProductBatch
from cdsed.verification.batch_wire import (
    BatchAnswer,
    BatchOrder,
    RootMark,
    Subject,
    VerdictKind,
    as_text,
    read_as,
    share_of,
)
from cdsed.verification.judging import unseen
from cdsed.verification.progress_file import ProgressFile

_LOOK_EVERY_S = 1.0
#: A worker that refused, or failed, is asked again after so long: names of files are cached for as long on NFS.
_REST_S = 60.0
#: After so long without any worker it is said that one is waited for.
_SAY_S = 5.0
#: A batch is late after so long, or after the time that slow disks need.
_LATE_S = 600.0


@dataclass(slots=True)
class _Waited:
    """A batch on a worker; None: only whether the worker answers. `late`: others verify it, too."""

    worker: str
    batch: ProductBatch | None
    begun_s: float
    late: bool = False


@dataclass(slots=True)
class _WorkerState:
    """What is known of a worker; `why` it is not used; `refused`: it has verified nothing since it was not."""

    node: str
    greeted: bool = False
    may_from_s: float = 0.0
    why: str = "does not answer"
    refused: bool = False
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
        For how long the run waits for a worker that can be used; 0: its only worker is this process, never late.
    notify
        Called with each sentence that a person should read.
    look_again
        Returns which of some products are on disk now, by position.
    now_s
        The clock.
    """

    def __init__(  # noqa: PLR0913 - its collaborators, and a clock for tests
        self,
        calls: Calls,
        roots: Sequence[RootMark],
        products: Iterator[Subject],
        progress: ProgressFile,
        patience_s: float,
        notify: Callable[[str], None],
        *,
        look_again: Callable[[Iterable[int]], Mapping[int, Subject]],
        now_s: Callable[[], float] = time.monotonic,
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
        self._look_again = look_again
        self._now_s = now_s
        self._begun_s = self._useful_s = now_s()
        self._ran_s = progress.tally.ran_s
        self._late: dict[int, bool] = {}  # products of late batches, and whether one answer was noted
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
            if self._queue.is_empty and not self._is_at_work():
                return
            for ended in self._calls.ended(_LOOK_EVERY_S):
                self._take(ended)
            if self._patience_s:
                self._look_for_late()
            yield

    def _is_at_work(self) -> bool:
        return any(each.batch and not each.late for each in self._waited.values())

    def _hand_out(self) -> None:
        """Give each worker what it can do."""
        now_s, known = self._now_s(), self._calls.workers()
        for address in self._workers.keys() - known.keys():
            self._lost(address)
        usable = False
        for address, threads in known.items():
            state = self._workers.setdefault(address, _WorkerState(address))
            if now_s < state.may_from_s or state.stuck:
                continue
            usable |= not state.refused
            if not state.greeted:
                self._greet(address)
                continue
            while (batch := self._next(address, threads)) is not None:
                self._order(address, batch)
        if not known and now_s - self._useful_s >= _SAY_S:
            self._say("waits for a worker: none is connected")
        if usable:
            self._useful_s = now_s
        elif now_s - self._useful_s >= self._patience_s and not self._is_at_work():
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
            self._waited[self._greetings] = _Waited(address, None, self._now_s())
            self._calls.begin(self._greetings, address, as_text(BatchOrder(__version__, (), ())))

    def _order(self, address: str, batch: ProductBatch) -> None:
        roots: dict[RootMark, None] = {}
        for subject in batch.products:
            if root := next((each for each in self._roots if _is_below(subject.path, each.root)), None):
                roots[root] = None
        self._waited[batch.number] = _Waited(address, batch, self._now_s())
        self._calls.begin(batch.number, address, as_text(BatchOrder(__version__, tuple(roots), batch.products)))

    def _take(self, ended: EndedCall) -> None:
        waited = self._waited.pop(ended.number, None)
        if waited is None:
            return
        state, batch = self._workers[waited.worker], waited.batch
        if waited.late:
            state.stuck, state.may_from_s = False, 0.0
            if batch is not None and ended.answer is None:
                return  # others have it
        if ended.answer is not None:
            self._answered(waited.worker, state, batch, read_as(BatchAnswer, ended.answer), late=waited.late)
        elif batch is None:
            self._refuse(waited.worker, f"cannot verify: {ended.raised or 'it was lost'}")
        elif ended.raised is None:
            self._lost_batch(batch, state, alone=batch.alone)
        else:
            self._note(batch, self._queue.failed(batch, f"cdsed has failed: {ended.raised}", state.node))

    def _answered(
        self, address: str, state: _WorkerState, batch: ProductBatch | None, answer: BatchAnswer, *, late: bool
    ) -> None:
        state.node, state.greeted = answer.node, True
        why = answer.refused or self._not_seen_there(answer)
        if why:
            self._refuse(address, why)
            if batch is not None and not late:
                self._queue.put_back(batch)
            return
        if batch is not None:
            state.refused = False
            self._queue.measured(batch, answer.seconds)
            products, judged = self._queue.unread(batch, answer)
            self._note(replace(batch, products=products), judged)

    def _not_seen_there(self, answer: BatchAnswer) -> str:
        """Return why a worker cannot be believed: it does not see what is here."""
        absent = [each.path for each in answer.problems if each.finding is VerdictKind.ABSENT]
        for path in absent:
            if os.path.lexists(path):
                return f"does not see all that is in {os.path.dirname(path)}: is its file system mounted?"  # noqa: PTH120
        roots = [each for each in self._roots if any(_is_below(path, each.root) for path in absent)]
        if why := unseen(roots):
            raise MachineError(f"this machine {why}", code="Engine")
        return ""

    def _refuse(self, address: str, why: str) -> None:
        state = self._workers[address]
        state.may_from_s, state.why = self._now_s() + _REST_S, why
        state.greeted, state.refused = False, True
        self._say(f"{state.node} {why}")

    def _say(self, sentence: str) -> None:
        if sentence not in self.sentences:
            self.sentences[sentence] = None
            self._notify(sentence)

    def _lost(self, address: str) -> None:
        """Take back what a worker had that is gone."""
        state = self._workers.pop(address)
        mine = [(number, each) for number, each in self._waited.items() if each.worker == address]
        for number, _ in mine:
            self._calls.forget(number)
            del self._waited[number]
        batches = [each.batch for _, each in mine if each.batch is not None and not each.late]
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
        for each in list(self._waited.values()):
            slow_s = sum(
                self._queue.slow_s(other.batch)
                for other in self._waited.values()
                if other.worker == each.worker and other.batch is not None
            )
            late_s = max(_LATE_S, slow_s)
            if each.late or self._now_s() - each.begun_s <= late_s:
                continue
            each.late = True
            why, state = f"has not answered for {late_s:.0f} s", self._workers[each.worker]
            self._refuse(each.worker, why)
            state.stuck = True
            if each.batch is not None:
                for product in each.batch.products:
                    self._late.setdefault(product.position, False)
                self._note(each.batch, self._queue.failed(each.batch, f"a worker {why}", state.node))

    def _note(self, batch: ProductBatch, answer: BatchAnswer | None) -> None:
        """Note an answer; the second one about products of a late batch is dropped, and a problem of former files."""
        if answer is None:
            return
        products = tuple(each for each in batch.products if not self._late.get(each.position))
        bad = {each.position for each in answer.problems}
        if subjects := [each for each in products if each.position in bad]:
            now = self._look_again(each.position for each in subjects)
            changed = [each for each in subjects if now.get(each.position) != each]
            products = tuple(each for each in products if each not in changed)
            self._queue.changed(tuple(now[each.position] for each in changed if each.position in now))
        if products:
            answer = share_of(answer, frozenset(each.position for each in products), len(batch.products))
            self._late |= {each.position: True for each in products if each.position in self._late}
            self._progress.append(products, answer, self._ran_s + self._now_s() - self._begun_s)

    def _why_none(self) -> str:
        reasons = [f"{state.node} {state.why}" for state in self._workers.values()]
        return "no worker can verify: " + ("; ".join(reasons) or "none is connected")


def _is_below(path: str, root: str) -> bool:
    return path.startswith(f"{root.rstrip('/')}/")
