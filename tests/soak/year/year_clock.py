"""The clock of a simulated year: a library lets UTC and seconds since boot run ahead, for all processes.

The product is not changed, and no wait is: CLOCK_MONOTONIC, with which locks, sockets and sleeps are timed, stays that
of the machine. So a step of the clock looks like a suspend of the machine, and between two steps all runs at its real
speed. libfaketime does not do here: it has one offset for CLOCK_BOOTTIME and CLOCK_MONOTONIC, and no ``sem_clockwait``.
"""

import mmap
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

_SOURCE = Path(__file__).with_name("clock.c")
_VARIABLE = "CDSED_YEAR_CLOCK"


def why_not() -> str:
    """Return why no clock can be made here; '' where it can."""
    if not sys.platform.startswith("linux"):
        return "only Linux preloads the library of the clock"
    return "" if shutil.which("cc") else "no C compiler (Debian: gcc and libc6-dev)"


def environ_of_year(folder: Path) -> dict[str, str]:
    """Make a clock that runs ahead by 0 s; return the environment of the processes that go by it."""
    library, ahead = folder / "clock.so", folder / "ahead"
    subprocess.run(["cc", "-O2", "-Wall", "-shared", "-fPIC", "-o", library, _SOURCE, "-ldl"], check=True)
    ahead.write_bytes(struct.pack("q", 0))
    return {**os.environ, "LD_PRELOAD": str(library), _VARIABLE: str(ahead)}


class YearClock:
    """Sets how far the clock of this process and of its children runs ahead."""

    def __init__(self) -> None:
        with Path(os.environ[_VARIABLE]).open("r+b") as file:
            self._page = mmap.mmap(file.fileno(), 8)

    @property
    def passed_s(self) -> int:
        """How far the clock runs ahead, in seconds."""
        seconds: int = struct.unpack("q", self._page[:8])[0]
        return seconds

    def pass_s(self, seconds: float) -> None:
        """Let time pass at once, for all processes."""
        self._page[:8] = struct.pack("q", self.passed_s + int(seconds))
