"""The threads of one download process, for sessions and for finishing products, and the handling of stuck ones.

A call to a disk that hangs cannot be ended, neither by another thread nor by a kill of the process. So a stuck thread
keeps the session it holds. Its disk is paused, and the other threads continue.
"""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from cdsed.errors import DiskError
from cdsed.process.lock import KernelLock
from cdsed.process.threadwatch import Stuck
from cdsed.store import bandwidth_limits, cancelling, digesting, free_space
from cdsed.work import owning, space_watch
from cdsed.work.arrival_digester import ArrivalDigester
from cdsed.work.cancelled import remove_staging, settle_next
from cdsed.work.context import WorkerContext
from cdsed.work.finish import finish_next
from cdsed.work.grant_turns import GrantTurns
from cdsed.work.janitor import tidy
from cdsed.work.session import SessionThread

_IDLE_S = 1.0
_LEAVE_EVERY_S = 0.2
_DIGEST_EVERY = 8  # products
_TIDY_EVERY_S = 60.0
_HEARTBEAT_EVERY_S = 5.0


class SessionPool:
    """Runs threads; an error that one of them cannot handle ends them all.

    Parameters
    ----------
    sessions
        How many sessions work at once.
    finishers
        How many products are verified, and objects digested while they arrive, at once.
    """

    def __init__(self, context: WorkerContext, sessions: int, finishers: int = 1) -> None:
        self._context = context
        transfer, process = context.settings.transfer, context.settings.process
        # A thread that waits for the service may be idle as long as a read may take.
        self._idle_timeout_s = max(process.hung_after_s, 2 * transfer.read_timeout_s)
        self._error: BaseException | None = None
        self._stuck: set[threading.Thread] = set()
        self._paused_s: dict[str, float] = {}
        self._follow_limits()
        turns = GrantTurns(context)
        self._threads = [self._start(SessionThread(context, turns).run, f"session {n}") for n in range(1, sessions + 1)]
        self._threads.append(self._start(self._tidy, "tidy"))
        self._threads.append(self._start(self._heartbeat, "owners"))
        places = space_watch.places(context.settings)
        free_space.forget_others(context.store.db, places)
        for place in places:
            self._threads.append(self._start(partial(space_watch.watch_place, context, place), f"space {place}"))
        self._finishers: dict[threading.Thread, threading.Event] = {}  # that lets each end
        for _ in range(finishers):
            self._start_finisher()

    @property
    def whole(self) -> bool:
        """Whether every thread runs; a stuck one counts as running."""
        return self._error is None and all(thread.is_alive() for thread in self._threads)

    def look(self) -> None:
        """Follow the limits of bandwidth, abort slow connections, pause the disks of stuck threads: every second."""
        context = self._context
        self._follow_limits()
        context.transfer.stall_detector.check()
        stuck = context.disks.watch.look(self._idle_timeout_s)
        for one in stuck:
            self._pause(one)
        self._stuck = {one.thread for one in stuck}
        for finisher in self._stuck & self._finishers.keys():
            self._finishers.pop(finisher).set()
            digesting.let_go_all(context.store.db, context.store.process)  # it may have claimed objects on other disks
            self._threads.remove(finisher)
            self._start_finisher()

    def leave(self) -> None:
        """End the threads that are not stuck; raise the error that ended one of them before.

        Stuck threads end with the process, or when their call returns.
        """
        context = self._context
        context.stop.set()
        while any(thread.is_alive() for thread in self._threads if thread not in self._stuck):
            context.transfer.stall_detector.abort_all()
            context.work_signal.notify()
            until_s = time.monotonic() + _LEAVE_EVERY_S
            for thread in self._threads:
                thread.join(max(0.0, until_s - time.monotonic()))
            self._stuck = {one.thread for one in context.disks.watch.look(self._idle_timeout_s)}
        if self._error is not None:
            raise self._error

    def _follow_limits(self) -> None:
        self._context.transfer.budget.use(bandwidth_limits.of_all(self._context.store.db))

    def _start(self, work: Callable[[], None], name: str) -> threading.Thread:
        def run() -> None:
            try:
                work()
            except BaseException as error:  # noqa: BLE001 - it is raised again where the process ends
                self._error = error

        thread = threading.Thread(target=run, name=name, daemon=True)
        thread.start()
        return thread

    def _start_finisher(self) -> None:
        relieved = threading.Event()
        finisher = self._start(lambda: self._finish(relieved), "finish")
        self._finishers[finisher] = relieved
        self._threads.append(finisher)

    def _finish(self, relieved: threading.Event) -> None:
        """Verify and publish what has arrived, and digest what arrives, until another thread takes over."""
        context, digester = self._context, ArrivalDigester(self._context)
        in_a_row = 0  # products that were finished one after the other
        while not context.stop.is_set() and not relieved.is_set():
            generation = context.work_signal.generation
            settled = settle_next(context.disks)
            in_a_row = in_a_row + 1 if finish_next(context) else 0
            # An object that is digested keeps its product from being finished, which may be more urgent.
            digested = in_a_row % _DIGEST_EVERY == 0 and digester.step()
            if not settled and not in_a_row and not digested:
                context.work_signal.idle(generation, _IDLE_S)
        if not relieved.is_set():
            digester.leave()

    def _tidy(self) -> None:
        """Remove orphans, at the start and every minute, and what was cancelled at once; one process at a time."""
        context, signal = self._context, self._context.work_signal
        lock = KernelLock(context.settings.sessions_dir / "janitor.lock")
        next_s = 0.0
        while not context.stop.is_set():
            generation = signal.generation
            due = time.monotonic() >= next_s
            if (due or cancelling.staged(context.store.db, context.store.clock, 0) is not None) and lock.acquire():
                try:
                    remove_staging(context.disks)
                    if due:
                        context.transfer.shared.note_all()
                        tidy(context.disks, context.stop)
                finally:
                    lock.release()
            if due:
                next_s = time.monotonic() + _TIDY_EVERY_S
            if signal.at_rest:
                signal.wait_after(generation, next_s - time.monotonic())
            else:  # there are many signals while products arrive
                context.stop.wait(_IDLE_S)

    def _heartbeat(self) -> None:
        """Write a heartbeat wherever this state owns places of products."""
        context = self._context
        while not context.stop.is_set():
            for room, place in owning.rooms_of_all(context.disks):
                with context.disks.watch.at(str(place)), suppress(OSError):
                    context.disks.owners.heartbeat(room)
            context.stop.wait(_HEARTBEAT_EVERY_S)

    def _pause(self, one: Stuck) -> None:
        """Keep a disk paused as long as a thread is stuck there: a probe would be stuck too."""
        now_s = time.monotonic()
        if now_s < self._paused_s.get(one.place, 0.0):
            return
        self._paused_s[one.place] = now_s + self._idle_timeout_s / 2
        error = DiskError(
            f"{one.place}: a call has not returned for {one.for_s:.0f} s; see whether its disk or file server hangs",
            code="Hung",
            retry_after_s=self._idle_timeout_s,
        )
        self._context.outcome.disk_failed(error, one.place)
