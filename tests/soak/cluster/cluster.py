"""A cluster in namespaces: the daemon, Dask's scheduler, workers under their nannies, and the sandbox, one in each."""

import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from cdsed.sandbox.accounts import SandboxAccount
from tests.soak.cluster.machines import Machines
from tests.soak.cluster.service_front import ServiceFront
from tests.support.daemon import DaemonProcess, Installation
from tests.support.dask_programs import begin, init_engine
from tests.support.front import server_context
from tests.support.sandbox import SandboxProcess
from tests.support.tls_site import make_certificates

_ROOT = Path(__file__).parents[3]
_S3_PORT, _SCHEDULER_PORT = 8333, 8786
_AGAIN_AFTER_S = 1.0  # as RestartSec= of a unit
HEAD, SCHEDULER, S3 = "head", "scheduler", "s3"
WORKERS = ("worker-1", "worker-2", "worker-3")
# Time-outs that a test can wait for.
_IMPATIENT = {"connect_timeout_s": 5, "read_timeout_s": 8, "rate_window_s": 8}
# On a busy computer, holders and pilots need longer to answer: then the time of a grant may be longer, too.
GRANT_S, LOST_REST_S = float(os.environ.get("CDSED_CLUSTER_GRANT_S", "6")), 3.0


class Unit:
    """A program that is started again when it ends, as systemd does."""

    def __init__(self, command: Sequence[str], log: Path) -> None:
        self._command = list(command)
        self._log = log
        self._ended_s = 0.0
        self.process = self._start()

    def revive(self) -> None:
        """Start it again if it has ended a moment ago."""
        if self.process.poll() is None:
            self._ended_s = 0.0
        elif not self._ended_s:
            self._ended_s = time.monotonic()
        elif time.monotonic() - self._ended_s >= _AGAIN_AFTER_S:
            self.process = self._start()

    def end(self) -> None:
        """End it, or kill it."""
        signalled(self.process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(20)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def _start(self) -> "subprocess.Popen[bytes]":
        # Nothing stays behind if the test itself is killed.
        return begin(["setpriv", "--pdeathsig", "KILL", *self._command], self._log)


class Cluster:
    """All machines, with an installation whose spool all of them see.

    Attributes
    ----------
    accounts
        Of the sandbox.
    daemon
        The head; it is started again, too.
    ended
        How often the daemon has ended although the test had not killed it.
    """

    def __init__(self, root: Path, accounts: Sequence[SandboxAccount], holders_per_worker: int) -> None:
        self._root = root
        self._holders_per_worker = holders_per_worker
        self._stack = contextlib.ExitStack()
        self.machines = Machines([HEAD, SCHEDULER, S3, *WORKERS])
        self.sandbox = SandboxProcess(accounts)
        self.units: dict[str, Unit] = {}
        self.ended = 0

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.machines)
            stack.enter_context(self.sandbox)
            listening = self.machines.of[S3].listening(self.machines.address[S3], _S3_PORT)
            clients = [self.machines.of[name].keeper_pid for name in (HEAD, *WORKERS)]
            certificates = make_certificates(self._root / "certificates", f"IP:{self.machines.address[S3]}")
            tls = server_context(certificates.chain, certificates.key)
            front = ServiceFront(listening, self.sandbox.port, tls, clients)
            stack.callback(front.close)
            self.lab = self._installation(certificates.authority)
            stack.callback(self.end_units)
            self._start_units()
            self.daemon = DaemonProcess(self.lab, under=self.machines.of[HEAD].under)
            stack.enter_context(self.daemon)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._stack.close()

    def revive(self) -> None:
        """Start again what has ended; call it often."""
        for unit in self.units.values():
            unit.revive()
        if not self.daemon.running():
            self.ended += 1
            self.daemon.start()

    def holders(self, machine: str) -> list[int]:
        """Return the holders on a machine."""
        return [pid for pid in self.machines.of[machine].pids() if "cdsed.engine.holder" in words_of(pid)]

    def workers(self, machine: str) -> list[int]:
        """Return the process of Dask's worker, in which its pilot is: the child of the nanny."""
        nanny, pids = self.units[machine].process.pid, self.machines.of[machine].pids()
        return [pid for pid in pids if _parent(pid) == nanny and "spawn_main" in " ".join(words_of(pid))]

    def end_daemon(self) -> None:
        """Stop the daemon in order."""
        self.daemon.terminate()
        self.daemon.wait(60)

    def left(self) -> list[str]:
        """Return the processes on the machines, once all has ended."""
        return [f"{name}: {' '.join(words_of(pid))}" for name, it in self.machines.of.items() for pid in it.pids()]

    def _installation(self, authority: Path) -> Installation:
        sandbox, machines, tls_dir = self.sandbox, self.machines, self._root / "tls"
        self._said = init_engine(tls_dir)
        url = f"https://{machines.address[S3]}:{_S3_PORT}"
        services = {key: each.replace(sandbox.url, url) for key, each in sandbox.services.items()}
        services["ca_file"] = str(authority)
        engine: dict[str, Any] = {
            "kind": "dask",
            "scheduler": f"tls://{machines.address[SCHEDULER]}:{_SCHEDULER_PORT}",
            "tls_dir": str(tls_dir),
            "grant_s": GRANT_S,
            "renew_every_s": 1,
            "lost_rest_s": LOST_REST_S,
            "holders_per_worker": self._holders_per_worker,
        }
        return Installation(
            self._root / "lab",
            sandbox,
            engine=engine,
            transfer={"session_cooldown_s": 0.3, **_IMPATIENT},
            services=services,
        )

    def _start_units(self) -> None:
        scheduler, worker = (re.search(rf"dask {role} .*", self._said)[0] for role in (SCHEDULER, "worker"))  # type: ignore[index]
        address = self.machines.address[SCHEDULER]
        self._start_unit(SCHEDULER, f"{scheduler} --host {address} --port {_SCHEDULER_PORT}")
        for name in WORKERS:
            self._start_unit(name, worker.replace("HOST", address))

    def _start_unit(self, machine: str, words: str) -> None:
        folder = self._root / machine
        folder.mkdir()
        command = [*self.machines.of[machine].under, sys.executable, "-m", *shlex.split(words)]
        self.units[machine] = Unit(command, folder / "log")

    def end_units(self) -> None:
        for name, unit in reversed(self.units.items()):
            for pid in self.machines.of[name].pids():
                signalled(pid, signal.SIGCONT)
            unit.end()


def signalled(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process that may have ended."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def words_of(pid: int) -> list[str]:
    """Return the command of a process; no words if it has ended."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    return []


def _parent(pid: int) -> int:
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
    return 0
