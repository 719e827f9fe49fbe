"""Which exits of workers count against the product they worked on: a crash does, a kill from outside does not."""

import signal

from cdsed.clock import Clock
from cdsed.errors import ExitCode
from cdsed.frozen import frozen
from cdsed.process.exits import ChildExit
from cdsed.store.processes import DeadWorker, Evidence

#: Signals that a process raises itself, or that the kernel sends for a fault of the process. Other senders use KILL or
#: TERM.
CRASHES = frozenset({signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL})

#: A worker exits with one of these on request, or because it cannot use the state or its settings.
_ORDERLY = frozenset({ExitCode.UNFINISHED, ExitCode.DAMAGED, ExitCode.STATE_DISK, ExitCode.TEMPORARY, ExitCode.CONFIG})

# Exits less than this apart are one event. What a dead worker held is released only after that time. So two workers
# that crash on the same product, one after the other, are never counted as one event.
_TOGETHER_S = 0.5
_UNKNOWN_AFTER_S = 5.0
_REMEMBERED_S = 60.0


@frozen
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
    """Remembers how the children of this supervisor exited; another thread reads it when it reclaims their work.

    Parameters
    ----------
    newest
        Number in the state of the last worker of the daemon before this one. How those workers exited is not known.
    """

    def __init__(self, clock: Clock, newest: int) -> None:
        self._clock = clock
        self._newest = newest
        self._ends: dict[int, _End] = {}
        self._awaited_s: dict[int, float] = {}

    def ended(self, name: str, pid: int, end: ChildExit) -> None:
        """Note how a child exited; call it when the child is reaped."""
        now_s = self._clock.boot_s()
        kept = {number: former for number, former in self._ends.items() if now_s - former.at_s < _REMEMBERED_S}
        self._ends = {**kept, pid: _End(name, end, now_s)}

    def evidence(self, dead: DeadWorker) -> Evidence | None:
        """Return whether the exit of a worker counts against its product; None while that is not known yet."""
        if dead.process <= self._newest:
            return Evidence.NOTHING
        now_s, ends = self._clock.boot_s(), self._ends
        own = ends.get(dead.pid)
        if own is None:  # its lock is free a moment before it can be reaped
            asked_s = self._awaited_s.setdefault(dead.process, now_s)
            if now_s - asked_s < _UNKNOWN_AFTER_S:
                return None
            del self._awaited_s[dead.process]
            return Evidence.NOTHING
        self._awaited_s.pop(dead.process, None)
        if dead.outgrew:
            return Evidence.PROOF
        if own.crashed and now_s - own.at_s < _TOGETHER_S:
            return None  # other workers may exit in the same event
        return self._of_crash(dead.pid, own) if own.crashed else Evidence.NOTHING

    def _of_crash(self, pid: int, own: _End) -> Evidence:
        together = [
            other.name
            for number, other in self._ends.items()
            if number != pid and other.sudden and abs(other.at_s - own.at_s) < _TOGETHER_S
        ]
        if not together:
            return Evidence.PROOF
        # A product cannot crash a worker that does not download. If such a worker exited too, both have another cause.
        alike = all(name.startswith(("download", "publish")) for name in together)
        return Evidence.SUSPICION if alike else Evidence.NOTHING
