"""A computer with cdsed on it: its disks, an installation, the daemon; its power can be cut."""

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from cdsed.sandbox.accounts import make_accounts
from tests.soak.power.rig import Kind, Rig, write_back
from tests.support.daemon import Installation
from tests.support.disk_state import StateAsItIs, state_in
from tests.support.invariants import leftovers
from tests.support.sandbox import SandboxProcess
from tests.support.volatile_image import Loss, Survival

_REPOSITORY = str(Path(__file__).parents[3])
_OLD_STATE = Path(__file__).parents[2] / "data" / "schema-11.sql"
#: What makes every sync of a program succeed at once, and do nothing.
WITHOUT_SYNCS = (
    *("strace", "-f", "-qq", "--seccomp-bpf", "-o", "/dev/null"),
    *("-e", "trace=fsync,fdatasync,syncfs", "-e", "inject=fsync,fdatasync,syncfs:retval=0"),
)
#: Where state and inbox, spool, and pre-spool are.
_PROCESSES = 2
PLACEMENTS = ("together", "pre-spool beside", "state apart", "all apart")


@dataclass(frozen=True)
class Plan:
    """What one computer is like."""

    placement: str
    kinds: tuple[Kind, ...]
    seed: int
    begins_with_old_state: bool = False
    honest: bool = True
    under: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.placement}: {', '.join(kind.name for kind in self.kinds)}"


class Computer:
    """Disks, a sandbox far away from them, and the daemon, which is started again after each cut.

    Parameters
    ----------
    folder
        Where images, logs and mount points are. It must not be on a disk of `plan`.
    """

    def __init__(self, folder: Path, plan: Plan) -> None:
        self.plan = plan
        self.boots = 0
        self._folder = folder
        folder.mkdir(parents=True)
        self.log_path = folder / "daemon.log"
        self._daemon: subprocess.Popen[bytes] | None = None
        self._beside: list[subprocess.Popen[bytes]] = []
        self._uploads: list[subprocess.Popen[bytes]] = []
        accounts = make_accounts(2, plan.seed, bandwidth_bytes_per_s=2_000_000)
        self.sandbox = SandboxProcess(accounts, seed=plan.seed)
        self.rig = Rig(folder / "disks")

    def __enter__(self) -> Self:
        self.sandbox.start()
        root = self._folder / "computer"
        self.rig.add(self.plan.kinds[0], root, honest=self.plan.honest)
        self.lab = Installation(root, self.sandbox)
        spool, pre_spool = self.lab.spool, root / "pre-spool"
        if self.plan.placement in ("state apart", "all apart"):
            self.rig.add(self.plan.kinds[1], spool, honest=self.plan.honest)
        if self.plan.placement == "all apart":
            self.rig.add(self.plan.kinds[2], pre_spool, honest=self.plan.honest)
        self.lab.configure(
            transfer={"piece_bytes": 4 * 2**20, "processes": _PROCESSES, "zip_fallback": True},
            retry={"attempts": 30},
            pre_spool=str(pre_spool) if self.plan.placement in ("pre-spool beside", "all apart") else None,
        )
        pre_spool.mkdir(exist_ok=True)
        self._staging = pre_spool if self.plan.placement in ("pre-spool beside", "all apart") else spool / ".cdsed"
        self.lab.write_accounts({"default": self.sandbox.accounts}, keys=False)
        if self.plan.begins_with_old_state:
            _make_old_state(self.lab.state)
        for disk in self.rig.disks:
            subprocess.run(["sync", "--file-system", str(disk.place)], check=True)
        return self

    def __exit__(self, *_exception: object) -> None:
        self._kill()
        self.sandbox.stop()
        self.rig.close()

    def boot(self) -> None:
        """Start the daemon in namespaces that end with it, and that make it believe in another boot."""
        # Boots that are less than 30 s apart count as one (`cdsed.clock`), and no real ones are.
        self.boots += 1
        boot_s = int(Path("/proc/uptime").read_text(encoding="utf-8").split(".")[0])
        offset_s = 60 + 90 * (self.boots % 20) - boot_s
        self._daemon = self._start("run", under=("--boottime", str(offset_s)), wrapped=self.plan.under)

    def beside(self, *arguments: str) -> None:
        """Run a command beside the daemon; the next cut ends it."""
        self._beside.append(self._start(*arguments))

    def cut(self, survival: Survival, seed: int, *, written_back: bool) -> list[Loss]:
        """Cut the power, and bring the disks back. The daemon does not run afterwards.

        With `written_back` the kernel has just written what was dirty, without a flush.
        """
        if written_back:
            for top in (self.lab.state, self.lab.inbox, self._staging):
                write_back(top)
        self.rig.turn_off()
        self._kill(wait=False)
        lost = self.rig.settle(survival, seed)
        self._kill()
        return lost

    def drop(self, name: str, content: bytes) -> None:
        """Move a listing into the inbox, as who does not want to lose it: it and its name are on the disk for good."""
        written = self.lab.root / f".{name}"
        with written.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        written.rename(self.lab.inbox / name)
        _sync_directory(self.lab.inbox)

    def upload(self, name: str, content: bytes, *, within_s: float, as_part: bool) -> None:
        """Let a program write a listing into the inbox, in place or as ``NAME.part``; the next cut ends it."""
        source, target = self._folder / name, self.lab.inbox / name
        source.write_bytes(content)
        other = [f"{target}.part"] if as_part else []
        program = [sys.executable, "-m", "tests.soak.power.upload_program", str(source), str(target), str(within_s)]
        self._uploads.append(subprocess.Popen([*program, *other], cwd=_REPOSITORY))

    def uploading(self) -> int:
        """Return how many programs upload at this moment."""
        return sum(program.poll() is None for program in self._uploads)

    def read_state(self) -> "StateAsItIs":
        """Read what the state on the disk says, without a daemon."""
        return state_in(self.lab, self._folder / "copy")

    def leftovers(self) -> list[str]:
        """Return staged files that no product needs."""
        return leftovers(self.lab)

    @property
    def begun_max(self) -> int:
        """Return how many products may be in transfer.

        Twice as many as sessions (`cdsed.store.pieces.begun_enough`), and what each process verified at the last cut.
        """
        return 2 * sum(account.sessions for account in self.sandbox.accounts) + _PROCESSES

    def running(self) -> bool:
        """Tell whether the daemon lives."""
        return self._daemon is not None and self._daemon.poll() is None

    def stop(self) -> None:
        """End the daemon without a cut: what it wrote stays."""
        self._kill()

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return self.lab.command(*arguments, timeout_s=180)

    def log_end(self) -> str:
        """Return the last words of the daemon."""
        return self.log_path.read_text(encoding="utf-8", errors="replace")[-4000:]

    def _start(
        self, *arguments: str, under: Iterable[str] = ("--boottime", "0"), wrapped: Iterable[str] = ()
    ) -> subprocess.Popen[bytes]:
        alone = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--time", *under, *wrapped)
        with self.log_path.open("ab") as log:
            return subprocess.Popen(
                [*alone, sys.executable, "-m", "cdsed", *arguments, "--config", str(self.lab.config)],
                env={**os.environ, "PYTHONPATH": _REPOSITORY},
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def _kill(self, *, wait: bool = True) -> None:
        for process in [self._daemon, *self._beside, *self._uploads]:
            if process is not None:
                process.kill()
                if wait:
                    process.wait(60)
        if wait:
            self._daemon = None
            self._beside.clear()
            self._uploads.clear()


def _make_old_state(folder: Path) -> None:
    """Make a state of a former version in which nothing was asked for yet."""
    folder.mkdir()
    statements = [
        line
        for line in _OLD_STATE.read_text(encoding="utf-8").splitlines()
        if not line.startswith("INSERT") or line.split()[2] in ("fence", "transition")
    ]
    with closing(sqlite3.connect(folder / "cdsed.sqlite")) as db:
        db.executescript("\n".join(statements))


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(descriptor)
    os.close(descriptor)


def wait_for(condition: Callable[[], Any], within_s: float, every_s: float = 0.01) -> bool:
    """Wait until a condition holds, or so long; tell whether it does."""
    until_s = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > until_s:
            return False
        time.sleep(every_s)
    return True
