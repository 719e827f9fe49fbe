"""cdsodatacli, the library cdsed descends from, run beside cdsed by the benchmarks of the catalogue.

Its functions run unmodified. Where they would ask the real service or fetch a map, the script of the benchmark says
what it replaces. If it cannot be installed, the benchmarks say why, and print only the figures of cdsed.
"""

import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.benchmarks.environment import peers_bin

# Its own output must not look like a response. Its imports are loaded before the first task.
_LOOP = """
import json, sys, time
answers, sys.stdout = sys.stdout, sys.stderr
{script}
print("ready", file=answers, flush=True)
for _line in sys.stdin:
    begun_s = time.perf_counter()
    answer = once()
    print(json.dumps([time.perf_counter() - begun_s, answer]), file=answers, flush=True)
"""


@dataclass(frozen=True)
class Run:
    """One run of the peer's task: seconds, and what ``once()`` returned."""

    seconds: float
    response: Any


class Peer:
    """A process with cdsodatacli that runs one task as often as it is asked.

    Parameters
    ----------
    python
        See `interpreter`.
    script
        Defines ``once()``; finds `arguments` in ``sys.argv[1:]``.
    """

    def __init__(self, python: Path, script: str, *arguments: str) -> None:
        self._command = [str(python), "-W", "ignore", "-c", _LOOP.format(script=script), *arguments]

    def __enter__(self) -> Self:
        self._complaints = tempfile.TemporaryFile("w+", encoding="utf-8")
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._complaints, encoding="utf-8"
        )
        self._response()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._process.communicate()  # it ends with its standard input
        self._complaints.close()

    def once(self) -> Run:
        """Run the task once more; RuntimeError with the end of its traceback when it fails."""
        assert self._process.stdin
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return Run(*json.loads(self._response()))

    def _response(self) -> str:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            self._complaints.seek(0)
            raise RuntimeError(f"cdsodatacli failed: {self._complaints.read()[-1500:]}")
        return line


@dataclass(frozen=True)
class Compared:
    """Median seconds of a task done by both; without a peer, `peer_s` stays None."""

    ours_s: float
    peer_s: float | None

    @property
    def ratio(self) -> float | None:
        """Our time as a part of the peer's."""
        return None if self.peer_s is None else self.ours_s / self.peer_s

    def text(self, per: Callable[[float], str] = "{:.3g} s".format) -> str:
        """Say both, each as `per` writes it."""
        return f"{per(self.ours_s)}; cdsodatacli {'not installed' if self.peer_s is None else per(self.peer_s)}"


def compare(ours: Callable[[], object], script: str, *arguments: str, repeats: int = 5) -> Compared:
    """Run our task and the peer's in turn, once each unmeasured, then `repeats` times."""
    python = interpreter()
    if python is None:
        return Compared(statistics.median([_time_s(ours) for _ in range(repeats + 1)][1:]), None)
    with Peer(python, script, *arguments) as peer:
        pairs = [(_time_s(ours), peer.once().seconds) for _ in range(repeats + 1)][1:]
    return Compared(statistics.median(pair[0] for pair in pairs), statistics.median(pair[1] for pair in pairs))


def _time_s(task: Callable[[], object]) -> float:
    begun_s = time.perf_counter()
    task()
    return time.perf_counter() - begun_s


def interpreter() -> Path | None:
    """Return the Python of the environment that has cdsodatacli; None after a message if it cannot be installed."""
    programs = peers_bin()
    return None if programs is None else programs / "python"
