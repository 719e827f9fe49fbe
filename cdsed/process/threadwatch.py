"""Which threads are stuck in the kernel: neither a thread nor its process ends while a call to a disk hangs.

The counters of the kernel decide (``/proc/self/task/TID``, see proc(5)). A thread that makes progress uses processor
time or is woken now and then. A thread that waits for a dead file server is not.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from cdsed.clock import SYSTEM_CLOCK, Clock
from cdsed.frozen import frozen

_READS = 30  # of its counters, in the time after which a thread is stuck: each costs two files of the kernel


@dataclass(slots=True)
class _Stay:
    """A thread at a place; `motion` has the counters of the kernel when they last changed, as seen at `seen_s`."""

    thread: threading.Thread
    place: str
    seen_s: float
    read_s: float
    motion: tuple[str, ...] = ()
    earlier: list[str] = field(default_factory=list)


@frozen
class Stuck:
    """A thread that has made no progress for `for_s` seconds, and the place it is at."""

    thread: threading.Thread
    place: str
    for_s: float


class ThreadWatch:
    """Watches the threads of this process for as long as each is `at` a place that may hang."""

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self._looked_s = clock.boot_s()
        self._stays: dict[int, _Stay] = {}
        self._lock = threading.Lock()

    @contextmanager
    def at(self, place: str) -> Iterator[None]:
        """Note that this thread is at a place for the duration of the block; the innermost block counts."""
        number, now_s = threading.get_native_id(), self._clock.boot_s()
        with self._lock:
            stay = self._stays.get(number)
            if stay is None:
                stay = self._stays[number] = _Stay(threading.current_thread(), place, now_s, now_s)
            else:
                stay.earlier.append(stay.place)
                stay.place = place
        try:
            yield
        finally:
            with self._lock:
                if stay.earlier:
                    stay.place = stay.earlier.pop()
                else:
                    del self._stays[number]

    def look(self, longer_than_s: float) -> list[Stuck]:
        """Return the threads without progress for longer than this; call it about once per second.

        If it was not called for longer than this, the machine slept, and no thread is to blame: all times begin again.
        """
        now_s = self._clock.boot_s()
        slept, self._looked_s = now_s - self._looked_s > longer_than_s, now_s
        stuck = []
        with self._lock:
            for number, stay in self._stays.items():
                still_s = now_s - stay.seen_s
                if not slept and still_s <= longer_than_s and now_s - stay.read_s < longer_than_s / _READS:
                    continue
                motion, stay.read_s = _motion(number), now_s
                if motion != stay.motion or slept:
                    stay.motion, stay.seen_s = motion, now_s
                elif still_s > longer_than_s:
                    stuck.append(Stuck(stay.thread, stay.place, still_s))
        return stuck


def _motion(thread: int) -> tuple[str, ...]:
    """Return the processor time of a thread of this process, and the number of its context switches."""
    task = Path("/proc/self/task", str(thread))
    with suppress(FileNotFoundError):
        spent = (task / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[11:13]
        switches = [line for line in (task / "status").read_text(encoding="utf-8").split("\n") if "switches" in line]
        return (*spent, *switches)
    return (str(os.getpid()),)
