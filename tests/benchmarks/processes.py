"""CPU and memory of a program and of all processes below it, from ``/proc`` and wait4(2)."""

import contextlib
import os
import subprocess
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_TOUCHED_BYTES = 2_500 * 2**20
_SAMPLE_S = 0.2


@dataclass(frozen=True)
class Cost:
    """What a run took: seconds from start to end, CPU seconds of its processes, peak memory (PSS) in bytes."""

    wall_s: float
    cpu_s: float
    peak_bytes: int


def tree(pid: int) -> list[int]:
    """Return a process and all below it that live."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parents[int(entry.name)] = int(_stat(int(entry.name))[1])
    found = [pid]
    for known in found:
        found += [child for child, parent in parents.items() if parent == known]
    return found


def cpu_s(pid: int) -> float:
    """Return the CPU seconds of a process and of all below it, those that ended and were waited for included."""
    total = 0
    for each in tree(pid):
        with contextlib.suppress(OSError):
            total += sum(int(ticks) for ticks in _stat(each)[11:15])
    return total * _TICK_S


def commands_with(pid: int, word: str) -> list[int]:
    """Return those of a process and all below it that have this word in their command."""
    found = []
    for each in tree(pid):
        with contextlib.suppress(OSError):
            if word in Path(f"/proc/{each}/cmdline").read_text(encoding="utf-8", errors="replace").split("\0"):
                found.append(each)
    return found


def pss_bytes(pids: Iterable[int]) -> int:
    """Return the memory of processes, with what they share divided among those that share it."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError, StopIteration):
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").split("\n")
            total += int(next(line for line in lines if line.startswith("Pss:")).split()[1]) * 1024
    return total


def switches(pids: Iterable[int]) -> int:
    """Return how often the threads of processes were put on a processor after they had waited."""
    total = 0
    for pid in pids:
        for status in Path(f"/proc/{pid}/task").glob("*/status"):
            with contextlib.suppress(OSError, StopIteration):
                lines = status.read_text(encoding="utf-8").split("\n")
                total += int(next(line for line in lines if line.startswith("voluntary")).split()[1])
    return total


def written_bytes(pids: Iterable[int]) -> int:
    """Return how many bytes processes caused to be written to disks."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError, StopIteration):
            lines = Path(f"/proc/{pid}/io").read_text(encoding="ascii").split("\n")
            total += int(next(line for line in lines if line.startswith("write_bytes")).split()[1])
    return total


class PeakMemory:
    """Looks at the memory of a process tree five times a second, from entry to exit."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self.peak_bytes = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._ended.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._ended.wait(_SAMPLE_S):
            self.peak_bytes = max(self.peak_bytes, pss_bytes(tree(self._pid)))


def timed(command: Sequence[str | Path], environ: Mapping[str, str], log: Path, timeout_s: float = 300) -> Cost:
    """Run a program to its end.

    Raises
    ------
    RuntimeError
        It failed, or took longer than `timeout_s`; the message has the end of what it wrote to `log`.
    """
    with log.open("wb") as out:
        begun_s = time.monotonic()
        process = subprocess.Popen(command, env=environ, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        timer = threading.Timer(timeout_s, process.kill)
        timer.start()
        with PeakMemory(process.pid) as memory:
            _pid, status, used = os.wait4(process.pid, 0)
        wall_s = time.monotonic() - begun_s
        timer.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        words = log.read_text(encoding="utf-8", errors="replace")[-2000:]
        raise RuntimeError(f"{Path(command[0]).name} ended with {process.returncode}: {words}")
    peak_bytes = memory.peak_bytes or used.ru_maxrss * 1024
    return Cost(wall_s, used.ru_utime + used.ru_stime, peak_bytes)


def touch_memory(folder: Path, size_bytes: int = _TOUCHED_BYTES) -> None:
    """Write a large file and delete it, so that no run pays for the first use of memory by this machine."""
    place, block = folder / "touched", b"\1" * 2**20
    with place.open("wb", buffering=0) as file:
        for _ in range(size_bytes // len(block)):
            file.write(block)
    place.unlink()


def _stat(pid: int) -> list[str]:
    """Return the fields of ``/proc/PID/stat`` after the name: state, parent, …."""
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
