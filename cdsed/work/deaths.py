"""What the ends of workers say about the products they were at: a crash accuses them, a kill from outside does not."""

import signal
from dataclasses import dataclass

from cdsed.clock import Clock
from cdsed.errors import ExitCode
from cdsed.process.exits import ChildExit
from cdsed.store.processes import DeadWorker, Evidence

#: What a process does to itself, or the kernel does to it for its own fault. Everybody else sends KILL or TERM.
CRASHES = frozenset({signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL})

#: A worker that leaves with one of these was told to, or cannot use the state or its settings.
_ORDERLY = frozenset({ExitCode.UNFINISHED, ExitCode.DAMAGED, ExitCode.STATE_DISK, ExitCode.TEMPORARY, ExitCode.CONFIG})

# Ends less than this apart are one event. What a dead worker held is given back only after that time, so two
# workers that die over the same product one after the other are never taken for one event.
_TOGETHER_S = 0.5
_UNKNOWN_AFTER_S = 5.0
_REMEMBERED_S = 60.0


@dataclass(frozen=True, slots=True)
class _End:
    name: str
    end: ChildExit
    at_s: float

    @property
    def crashed(self) -> bool:
        return self.end.signal in CRASHES or (self.end.code is not None and self.end.code not in _ORDERLY)

    @property
    def sudden(self) -> bool:
        return self.end.code != ExitCode.OK


class Deaths:
    """Remembers how the children of this supervisor ended, for the sweep that follows in another thread.

    Parameters
    ----------
    newest
        Number in the state of the last worker that the daemon before this one had: nobody saw how those ended.
    """

    def __init__(self, clock: Clock, newest: int) -> None:
        self._clock = clock
        self._newest = newest
        self._ends: dict[int, _End] = {}
        self._awaited_s: dict[int, float] = {}

    def ended(self, name: str, pid: int, end: ChildExit) -> None:
        """Note how a child ended, just when it was collected."""
        now_s = self._clock.boot_s()
        kept = {number: former for number, former in self._ends.items() if now_s - former.at_s < _REMEMBERED_S}
        self._ends = {**kept, pid: _End(name, end, now_s)}

    def evidence(self, dead: DeadWorker) -> Evidence | None:
        """Return what a worker's end says; None while that is not known yet."""
        if dead.process <= self._newest:
            return Evidence.NOTHING
        now_s, ends = self._clock.boot_s(), self._ends
        own = ends.get(dead.pid)
        if own is None:  # its lock is free a moment before it can be collected
            asked_s = self._awaited_s.setdefault(dead.process, now_s)
            if now_s - asked_s < _UNKNOWN_AFTER_S:
                return None
            del self._awaited_s[dead.process]
            return Evidence.NOTHING
        self._awaited_s.pop(dead.process, None)
        if dead.outgrew:
            return Evidence.PROOF
        if own.crashed and now_s - own.at_s < _TOGETHER_S:
            return None  # others may be about to die with it
        return self._of_crash(dead.pid, own) if own.crashed else Evidence.NOTHING

    def _of_crash(self, pid: int, own: _End) -> Evidence:
        together = [
            other.name
            for number, other in self._ends.items()
            if number != pid and other.sudden and abs(other.at_s - own.at_s) < _TOGETHER_S
        ]
        if not together:
            return Evidence.PROOF
        # No product ends a worker that does not download: what ended that one ended this one, too.
        alike = all(name.startswith("download") for name in together)
        return Evidence.SUSPICION if alike else Evidence.NOTHING
