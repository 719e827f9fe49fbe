"""A place for one child of the supervisor, and the report of one that crashes in a loop."""

import logging
import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from cdsed.frozen import frozen
from cdsed.process.child import Child, ChildSpec
from cdsed.process.limits import Limits
from cdsed.process.restart import CrashRecord

_log = logging.getLogger(__name__)

_DIES_WITHIN_S = 5.0  # after SIGKILL; a process in an uninterruptible wait (dead NFS) takes longer
_LOOP_FROM = 3
"""This many crashes are a loop, if the worker was never well between them."""


@frozen
class CrashLoop:
    """A worker that crashes in a loop.

    Attributes
    ----------
    crashes
        How often it crashed since it was last well.
    ending, code
        Its last end in words; its exit code, None for a signal and for a command that cannot be started.
    start_at_s
        Boot-clock second of its next start; None while it runs.
    """

    name: str
    crashes: int
    ending: str
    code: int | None
    start_at_s: float | None

    def describe(self, now_s: float) -> str:
        """Return it in words."""
        next_start = "" if self.start_at_s is None else f", next start in {max(0.0, self.start_at_s - now_s):.0f} s"
        return f"{self.name} crashes in a loop ({self.crashes} times; it {self.ending}{next_start})"


@dataclass(slots=True)
class ChildSlot:
    """A place for one child: its specification, the running child, and the record of earlier children."""

    spec: ChildSpec
    child: Child | None = None
    record: CrashRecord = field(default_factory=CrashRecord)
    start_at_s: float = -math.inf
    outdated: bool = False  # the child runs with the configuration before the last reload
    retired: bool = False  # no child follows this one
    stuck: bool = False  # the child was killed and does not end
    ending: str = ""  # of the previous child
    code: int | None = None

    @property
    def pid(self) -> int | None:
        """The pid of the running child."""
        return None if self.child is None else self.child.pid

    def kill_overdue(self, limits: Limits, now_s: float) -> bool:
        """Kill the child if it has exceeded a limit; return whether it lives although it was killed a while ago."""
        child = self.child
        why = child.overdue(limits) if child is not None else None
        if child is None or why is None:
            return False
        if child.killed_s is not None:
            return now_s > child.killed_s + _DIES_WITHIN_S
        _log.warning("%s (pid %d) %s: killing it", self.spec.name, child.pid, why)
        child.kill()
        return False

    def note_stuck(self) -> None:
        """Note and log that the child was killed and does not end."""
        self.stuck = True
        _log.error("%s (pid %s) is stuck in the kernel, perhaps at a disk that hangs", self.spec.name, self.pid)

    def crash_loop(self, now_s: float, limits: Limits) -> CrashLoop | None:
        """Return the crash loop of this child; None if it is well."""
        child = self.child
        well = child is not None and child.was_ready and now_s - child.started_s >= limits.well_after_s
        if self.record.crashes < _LOOP_FROM or well:
            return None
        start_at_s = self.start_at_s if child is None else None
        return CrashLoop(self.spec.name, self.record.crashes, self.ending, self.code, start_at_s)


def crash_loops(slots: Iterable[ChildSlot], now_s: float, limits: Limits) -> tuple[CrashLoop, ...]:
    """Return the crash loops of all children."""
    loops = (slot.crash_loop(now_s, limits) for slot in slots)
    return tuple(loop for loop in loops if loop is not None)
