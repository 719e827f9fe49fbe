"""Programs of Dask, and the certificate that `cdsed engine init` makes for them."""

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.daemon import wait_until

_ROOT = Path(__file__).parents[2]


def init_engine(tls_dir: Path) -> str:
    """Make the certificate; return what `cdsed engine init` prints."""
    command = [sys.executable, "-m", "cdsed", "engine", "init", str(tls_dir)]
    environ = os.environ | {"PYTHONPATH": str(_ROOT)}
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=True).stdout


def begin(command: Sequence[str], log: Path, environ: Mapping[str, str] | None = None) -> "subprocess.Popen[bytes]":
    """Start a program in the directory of its log."""
    environ = os.environ | {"PYTHONPATH": str(_ROOT)} | (environ or {})
    with log.open("ab") as out:
        return subprocess.Popen(command, env=environ, cwd=log.parent, stdin=subprocess.DEVNULL, stdout=out, stderr=out)


class LoopbackCluster:
    """A scheduler of Dask on loopback without TLS; workers are added."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._open = contextlib.ExitStack()
        place.mkdir()
        self._run("scheduler", "scheduler", "--host", "127.0.0.1", "--port", "0")
        log = place / "scheduler.log"
        self.address: str = wait_until(
            "it listens", lambda: re.search(r"tcp://127\.0\.0\.1:\d+", log.read_text("utf-8")), 120
        )[0]

    def add(self, name: str, *options: str, under: Sequence[str] = ()) -> int:
        """Start a worker of one thread, by another command if that is given; return its process."""
        return self._run(name, "worker", self.address, "--nthreads", "1", *options, under=under)

    def has(self, name: str) -> bool:
        """Tell whether a worker is registered."""
        return "Registered to" in (self._place / f"{name}.log").read_text("utf-8")

    def close(self) -> None:
        """End all of it."""
        self._open.close()

    def _run(self, name: str, role: str, *words: str, under: Sequence[str] = ()) -> int:
        command = [*under, sys.executable, "-m", f"distributed.cli.dask_{role}", *words, "--no-dashboard"]
        process = self._open.enter_context(begin(command, self._place / f"{name}.log"))
        self._open.callback(process.terminate)
        return process.pid
