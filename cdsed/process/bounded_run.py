"""Run a program of the user: with a time limit, in a process group of its own, without our environment."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

from cdsed.frozen import frozen

_KEPT_BYTES = 2000
_POLL_S = 0.05
_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin", "LANG": "C.UTF-8"}


@frozen
class RunEnd:
    """How a program ended: its exit code (negative: a signal; None: it was killed at the limit), and its last words."""

    code: int | None
    said: str


def run_bounded(argv: Sequence[str], stdin: bytes, limit_s: float, environ: Mapping[str, str]) -> RunEnd:
    """Run a program to its end, or kill its process group at the limit.

    It gets the input as a file that is complete, so a program that does not read it blocks nothing. Of its output only
    the end is kept, and it cannot fill memory or a disk. It inherits neither descriptors nor the environment, which may
    have secrets: only `environ`, a search path and a locale.

    Parameters
    ----------
    argv
        The program, by its absolute path, and its arguments.
    stdin
        Its input.
    limit_s
        Seconds that it may take.

    Raises
    ------
    OSError
        It cannot be started.
    """
    until_s = time.monotonic() + limit_s
    given = os.memfd_create("hook")
    try:
        with os.fdopen(os.dup(given), "wb") as file:
            file.write(stdin)
        os.lseek(given, 0, os.SEEK_SET)
        with subprocess.Popen(  # noqa: S603 - the settings name it
            list(argv),
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**_ENVIRONMENT, **environ},
            cwd="/",
            start_new_session=True,
        ) as child:
            try:
                said, ended = _follow(child, until_s)
            finally:
                # Also what it has left behind. It is not reaped yet, so no other group can have its number.
                with suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
    finally:
        os.close(given)
    return RunEnd(child.returncode if ended else None, said.decode("utf-8", errors="replace").strip())


def _follow(child: "subprocess.Popen[bytes]", until_s: float) -> tuple[bytes, bool]:
    """Read what a program says until it ends or its time is over; return the end of it, and whether it has ended."""
    assert child.stdout is not None, "it is a pipe"
    descriptor, said = child.stdout.fileno(), b""
    os.set_blocking(descriptor, False)
    while True:
        ended = os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        with suppress(BlockingIOError):
            while time.monotonic() < until_s and (more := os.read(descriptor, 65_536)):
                said = (said + more)[-_KEPT_BYTES:]
        if ended or time.monotonic() >= until_s:
            return said, ended
        time.sleep(_POLL_S)
