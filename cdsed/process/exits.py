"""How a process ends, and how one ended."""

import logging
import os
import signal
import sys
from contextlib import suppress
from typing import NoReturn, Self

from cdsed.errors import ExitCode
from cdsed.frozen import frozen


@frozen
class ChildExit:
    """The end of a child: either its exit code or the number of the signal that killed it."""

    code: int | None
    signal: int | None

    @classmethod
    def from_returncode(cls, returncode: int) -> Self:
        """Make one from the number `subprocess.Popen.wait` returns: negative for a signal."""
        if returncode < 0:
            return cls(code=None, signal=-returncode)
        return cls(code=returncode, signal=None)

    def describe(self) -> str:
        """Return the end in words, e.g. ``exited with 0 (in order)``, ``was killed by signal 9 (Killed)``."""
        if self.signal is not None:
            return f"was killed by signal {self.signal} ({signal.strsignal(self.signal)})"
        meaning = next((f" ({each.words})" for each in ExitCode if each == self.code), "")
        return f"exited with {self.code}{meaning}"


def leave(code: int) -> NoReturn:
    """End this process at once: to take the interpreter apart would take longer than all the rest of its end."""
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    os._exit(code)  # the threads that are left are daemons, and what they hold ends with the process
