"""Keep a set of commands running, for months: start, watch, restart, reload, stop.

One thread has one selector on the children's pidfds, their parent pipes and the signals. The program that uses the
supervisor is called through `Hooks`.
"""

import logging
import math
import selectors
import signal
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from cdsed.clock import SYSTEM_CLOCK, Clock
from cdsed.errors import ExitCode
from cdsed.logevent import LogEvent, about
from cdsed.process.child import Child, ChildSpec, ChildState
from cdsed.process.child_slot import ChildSlot, CrashLoop, crash_loops
from cdsed.process.hook_calls import HookCalls
from cdsed.process.hooks import Hooks
from cdsed.process.limits import Limits
from cdsed.process.restart import CrashRecord, Death, after_death
from cdsed.process.signals import SignalWakeup
from cdsed.process.systemd import Systemd
from cdsed.process.template import Template

TICK_EVERY_S = 1.0
_TICKS_APART_S = 0.05
FAILURES_MAX = 10
"""This many failures of hooks without a successful tick between them end the supervisor with BUG."""

_AWAY_S = 3.0  # a longer turn of the loop was a suspend, a SIGSTOP or a slow hook: it is not the children's fault

log = logging.getLogger(__name__)


class Supervisor:
    """Runs the children of `specs` until a signal or a hook stops it.

    Parameters
    ----------
    specs
        The children; each name is unique.
    hooks
        The functions of the program. An exception in one is logged; see `FAILURES_MAX`.
    limits
        The time limits.
    clock
        The clock for all times.
    template
        What children are forked from, if it can run their commands.

    Attributes
    ----------
    crash_loops
        The children that crash in a loop; other threads may read it.
    """

    def __init__(
        self,
        specs: Sequence[ChildSpec],
        hooks: Hooks,
        limits: Limits,
        clock: Clock = SYSTEM_CLOCK,
        template: Template | None = None,
    ) -> None:
        self._slots = {spec.name: ChildSlot(spec) for spec in specs}
        self.crash_loops: tuple[CrashLoop, ...] = ()
        self._hooks = hooks
        self._limits = limits
        self._clock = clock
        self._template = template
        self._systemd = Systemd(clock)
        self._selector = selectors.DefaultSelector()
        self._tick_every_s = min(TICK_EVERY_S, self._systemd.ping_every_s)
        self._tick_at_s = self._ticked_s = -math.inf
        self._turned_s = math.inf
        self._hook_calls = HookCalls()
        self._announced = False
        self._was_ready = False  # whether all children were ready at the same time once
        self._stop_signals, self._reload_asked = 0, False
        # Once it is set, the children are leaving, and the loop ends after the last of them.
        self._exit: ExitCode | None = None

    def run(self) -> ExitCode:
        """Keep the children running; return when the last one has left.

        TERM or INT stops in order, a second one at once; both return OK. HUP reloads, as soon as all children have been
        ready once. Call this once, in the main thread.

        Returns
        -------
        ExitCode
            OK after a signal, the code of `Hooks.finished`, CONFIG when a child refused its settings before all
            children were ready once, BUG when a child cannot boot or the hooks keep failing.
        """
        with SignalWakeup(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as wakeup, self._selector:
            self._selector.register(wakeup, selectors.EVENT_READ, lambda: self._on_signals(wakeup.read()))
            if self._hooks.fileno() >= 0:
                self._selector.register(self._hooks, selectors.EVENT_READ, self._on_event)
            self._systemd.takes(self._limits.boot_takes_s())
            try:
                while self._exit is None or self._slots:
                    self._turn()
            finally:
                for slot in self._slots.values():
                    if slot.child is not None:
                        slot.child.kill()
        assert self._exit is not None
        return self._exit

    @property
    def leaving(self) -> bool:
        """Whether every child has been asked to leave; one that takes too long is killed."""
        return self._exit is not None

    def _turn(self) -> None:
        for key, _ in self._selector.select(self._idle_s()):
            key.data()
        if self._reload_asked and self._was_ready and self._exit is None:
            self._reload()
        self._excuse_absence()
        self._kill_overdue()
        if self._exit is None:
            self._start_due()
            self._replace_outdated()
        if self._clock.boot_s() >= self._tick_at_s:
            self._tick()
        self.crash_loops = crash_loops(self._slots.values(), self._clock.boot_s(), self._limits)
        self._announce()

    def _idle_s(self) -> float:
        due_s = [slot.start_at_s for slot in self._slots.values() if slot.child is None]
        return max(0.0, min(self._tick_at_s, *due_s, math.inf) - self._clock.boot_s())

    def _excuse_absence(self) -> None:
        now_s = self._clock.boot_s()
        away_s, self._turned_s = now_s - self._turned_s, now_s
        if away_s > _AWAY_S:
            log.warning("the supervisor was away for %.1f s", away_s)
            for child in self._children():
                child.excuse(away_s)

    # Signals

    def _on_signals(self, signals: list[int]) -> None:
        for number in signals:
            if number in (signal.SIGTERM, signal.SIGINT):
                self._stop_signals += 1
                log.info("%s: stopping%s", signal.Signals(number).name, " now" * (self._stop_signals > 1))
                self._leave(ExitCode.OK)
        if self._stop_signals > 1:
            for child in self._children():
                child.kill()
        self._reload_asked |= signal.SIGHUP in signals

    def _reload(self) -> None:
        self._reload_asked = False
        self._systemd.reloading()
        self._systemd.takes(len(self._slots) * (self._limits.stop_within_s + self._limits.ready_within_s))
        self._announced = False
        specs = self._hook_calls.guarded("the reload", self._hooks.on_reload)
        if specs is not None:
            self._set_specs({spec.name: spec for spec in specs})

    def _set_specs(self, specs: dict[str, ChildSpec]) -> None:
        """Set the children to run; `_replace_outdated` stops the present ones."""
        for name, slot in list(self._slots.items()):
            slot.outdated = True
            slot.retired = name not in specs
            if slot.retired and slot.child is None:
                del self._slots[name]
        for name, spec in specs.items():
            slot = self._slots.setdefault(name, ChildSlot(spec))
            slot.spec, slot.record, slot.start_at_s = spec, CrashRecord(booted=self._was_ready), -math.inf

    def _leave(self, code: ExitCode) -> None:
        """Begin an orderly stop with the exit code `code`; the first call counts."""
        if self._exit is not None:
            return
        self._exit = code
        for name, slot in list(self._slots.items()):
            if slot.child is None:
                del self._slots[name]
            else:
                slot.child.terminate()
        self._systemd.stopping(f"stopping: waiting for {', '.join(self._slots) or 'nothing'}")

    # Children

    def _children(self) -> list[Child]:
        return [slot.child for slot in self._slots.values() if slot.child is not None]

    def _start_due(self) -> None:
        now_s = self._clock.boot_s()
        for slot in self._slots.values():
            if slot.child is None and now_s >= slot.start_at_s:
                self._start(slot)
            if self._exit is not None:
                return

    def _start(self, slot: ChildSlot) -> None:
        try:
            child = Child(slot.spec, self._clock, self._template)
        except OSError as error:
            log.error("%s cannot be started: %s", slot.spec.name, error)  # noqa: TRY400 - nothing of ours failed
            slot.ending, slot.code = f"cannot be started: {error}", None
            self._restart_later(slot, Death(code=None, ready=False, lived_s=0.0))
            return
        log.info("%s started (pid %d)", slot.spec.name, child.pid)
        slot.child, slot.outdated, slot.stuck = child, False, False
        self._selector.register(child.pidfd, selectors.EVENT_READ, partial(self._reap, slot))
        self._selector.register(child.parent_pipe, selectors.EVENT_READ, partial(self._read_messages, slot))

    def _read_messages(self, slot: ChildSlot) -> None:
        child = slot.child  # None: `_reap` ran first in this turn, and has read the last messages
        if child is not None and not child.read_messages():
            self._selector.unregister(child.parent_pipe)

    def _reap(self, slot: ChildSlot) -> None:
        child = slot.child
        assert child is not None, "a pidfd is watched only while its child is there"
        self._selector.unregister(child.pidfd)
        if child.parent_pipe in self._selector.get_map():
            self._selector.unregister(child.parent_pipe)
        asked = child.state is ChildState.STOPPING
        child.read_messages()
        end, slot.child = child.reap(), None
        slot.ending, slot.code = end.describe(), end.code
        lived_s = self._clock.boot_s() - child.started_s
        name = child.spec.name
        if child.was_ready:
            slot.record = replace(slot.record, booted=True)
        level, event = (logging.INFO, None) if asked else (logging.WARNING, LogEvent.WORKER_CRASHED)
        words = (name, child.pid, end.describe(), lived_s)
        log.log(level, "%s (pid %d) %s after %.1f s", *words, extra=about(event, worker=name))
        self._hook_calls.guarded(
            "recording the end of a worker", partial(self._hooks.on_child_exit, name, child.pid, end)
        )
        if self._exit is not None or slot.retired:
            del self._slots[name]
        elif asked:
            slot.start_at_s = -math.inf
        else:
            self._restart_later(slot, Death(end.code, child.was_ready, lived_s))

    def _restart_later(self, slot: ChildSlot, death: Death) -> None:
        verdict = after_death(slot.record, death, self._limits)
        slot.record = verdict.record
        if verdict.give_up is not None:
            log.error("%s cannot boot: stopping everything", slot.spec.name)
            self._leave(verdict.give_up)
        else:
            slot.start_at_s = self._clock.boot_s() + verdict.delay_s
            log.info("%s starts again in %.1f s", slot.spec.name, verdict.delay_s)

    def _kill_overdue(self) -> None:
        for name, slot in list(self._slots.items()):
            if not slot.kill_overdue(self._limits, self._clock.boot_s()):
                continue
            if self._exit is not None:
                log.error("%s (pid %d) is stuck in the kernel; leaving it behind", name, slot.pid)
                del self._slots[name]
            elif not slot.stuck:
                slot.note_stuck()

    def _replace_outdated(self) -> None:
        """Stop the children of the former configuration one by one, each when the successor of the last is ready.

        The loop does not wait for a child that is stuck: a disk that hangs must not keep new keys from the others.
        """
        children = [(slot, slot.child) for slot in self._slots.values() if slot.child is not None and not slot.stuck]
        if any(child.state is not ChildState.READY for _, child in children):
            return
        for slot, child in children:
            if slot.outdated:
                child.terminate()
                return

    # Hooks and systemd

    def _tick(self) -> None:
        self._ticked_s = self._clock.boot_s()
        self._tick_at_s = self._ticked_s + self._tick_every_s
        failures = self._hook_calls.failures
        finished = self._hook_calls.guarded("the regular work", self._work)
        if self._hook_calls.failures == failures:
            self._hook_calls.failures = 0
        elif self._hook_calls.failures >= FAILURES_MAX:
            log.error("%d failures in a row: stopping everything", self._hook_calls.failures)
            self._leave(ExitCode.BUG)
        if finished is not None:
            self._leave(finished)

    def _on_event(self) -> None:
        """Tick early, because all may be finished; but not for each of many events."""
        self._hooks.take_event()
        self._tick_at_s = min(self._tick_at_s, self._ticked_s + _TICKS_APART_S)

    def _work(self) -> ExitCode | None:
        specs = self._hooks.on_tick()
        if specs is not None and self._exit is None:
            self._set_specs({spec.name: spec for spec in specs})
        return self._hooks.finished()

    def _announce(self) -> None:
        if self._exit is None:
            if not self._announced and self._ready_count() == sum(not slot.stuck for slot in self._slots.values()):
                self._announced = self._was_ready = True
                self._systemd.ready(self._words() or "")
            else:
                self._systemd.status(self._words)
        # A child that SIGKILL does not end is stuck in the kernel: a restart of the supervisor would not end it either.
        if self._hook_calls.failures == 0:
            self._systemd.ping()

    def _ready_count(self) -> int:
        return sum(
            slot.child is not None and slot.child.state is ChildState.READY and not slot.outdated and not slot.stuck
            for slot in self._slots.values()
        )

    def _words(self) -> str | None:
        words: str | None = f"starting: {self._ready_count()} of {len(self._slots)} processes ready"
        if self._announced:
            words = self._hook_calls.guarded("reading the status", self._hooks.status_text)
        now_s = self._clock.boot_s()
        reasons = [*(loop.describe(now_s) for loop in self.crash_loops), *([words] if words else [])]
        return "; ".join(reasons) or None
