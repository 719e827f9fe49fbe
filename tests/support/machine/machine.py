"""A Debian with its real systemd as process 1, in a container of namespaces that reaches nothing but its own loopback.

>>> with Machine(tree) as machine:
...     machine.run("systemctl", "start", "cdsed")
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

from tests.support.machine.trees import MACHINES

Done = subprocess.CompletedProcess[str]

_HERE = Path(__file__).parent
_TOOLS = ("unshare", "nsenter", "setpriv", "mount", "findmnt")
_PREFIX = "cdsed-machine-"


def why_not() -> str:
    """Return why no machine can be run here; empty: it can."""
    if os.geteuid() != 0:
        return "only root can run a machine of namespaces"
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if missing:
        return f"no {', '.join(missing)} (util-linux) on this machine"
    cgroups = _cgroups()
    if cgroups is None or not os.access(cgroups, os.W_OK):
        return "no cgroup2 on this machine, or not for writing"
    probe = ["unshare", "--mount", "--pid", "--fork", "--net", "--cgroup", "--propagation", "private"]
    tried = subprocess.run(
        [*probe, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, text=True, timeout=60, check=False
    )
    return f"this root may not make namespaces and mounts: {tried.stderr.strip()}" if tried.returncode else ""


class Machine:
    """The systemd of a tree, from entry to exit. Its writes stay in memory: the tree does not change.

    All its processes end with this process, however that ends. Only one runs at a time (`trees.alone`).
    """

    def __init__(self, tree: Path) -> None:
        self.tree = tree
        self.boot_s = 0.0
        self.pid = 0  # of its systemd, as seen from here
        self._log = MACHINES / "console.log"
        self._cgroup: Path | None = None
        self._host: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, *_exception: object) -> None:
        self.kill()

    @property
    def root(self) -> Path:
        """The files of the machine, as seen from here."""
        return Path(f"/proc/{self.pid}/root")

    def path(self, inside: str | Path) -> Path:
        """Return where a path of the machine is seen from here."""
        return self.root / str(inside).lstrip("/")

    def write(self, inside: str | Path, text: str, mode: int = 0o644) -> None:
        """Write a file of root."""
        path = self.path(inside)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)

    def attempt(
        self, *command: str | Path, user: str = "root", text: str | None = None, timeout_s: float = 120
    ) -> Done:
        """Run a command in the machine, as one of its users; return how it ended."""
        home = "/root" if user == "root" else f"/home/{user}"
        become = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"] if user != "root" else []
        environ = [f"HOME={home}", f"USER={user}", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"]
        return subprocess.run(
            [*self._enter("-m", "-u", "-i", "-n", "-p", "-C"), "env", "-i", *environ, *become, *command],
            input=text,
            stdin=subprocess.DEVNULL if text is None else None,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def run(self, *command: str | Path, user: str = "root", text: str | None = None, timeout_s: float = 120) -> str:
        """Run a command in the machine that has to succeed; return what it printed."""
        done = self.attempt(*command, user=user, text=text, timeout_s=timeout_s)
        words = " ".join(map(str, command))
        assert done.returncode == 0, (
            f"{words}: exit code {done.returncode}\n{done.stdout}{done.stderr}\n{self.journal()}"
        )
        return done.stdout

    def python_in_its_network(self, program: str, *arguments: str, text: str | None = None) -> str:
        """Run a Python program of this side in the network of the machine; return what it printed."""
        done = subprocess.run(
            [*self._enter("-n"), sys.executable, "-c", program, *arguments],
            input=text or "",
            stdout=subprocess.PIPE,
            text=True,
            timeout=90,
            check=True,
        )
        return done.stdout

    def wait(self, what: str, condition: Callable[[], Any], timeout_s: float = 60) -> Any:
        """Wait until `condition` is true and return its value; fail with `what` and the journal."""
        until = time.monotonic() + timeout_s
        while not (value := condition()):
            if time.monotonic() > until:
                raise AssertionError(f"after {timeout_s} s still not: {what}\n{self.journal()}")
            time.sleep(0.1)
        return value

    def journal(self, *options: str, lines: int = 80) -> str:
        """Return the last lines of the journal of this boot."""
        return self.attempt("journalctl", "-b", "--no-pager", "-o", "short-precise", f"-n{lines}", *options).stdout

    def pid_outside(self, inside: int) -> int:
        """Return the number here of a process of the machine."""
        return next(pid for pid in _below(self.pid) if _number_inside(pid) == inside)

    def reboot(self) -> None:
        """Let its systemd reboot, and wait until it is up again."""
        before = self.pid
        self.attempt("systemctl", "reboot")
        self._wait_for_boot(before)

    def kill(self) -> None:
        """Kill all its processes at once."""
        if self._host is not None:
            self._host.kill()
            self._host.wait()
            self._host = None
        if self._cgroup is not None:
            until = time.monotonic() + 30
            while _populated(self._cgroup) and time.monotonic() < until:
                time.sleep(0.02)
            _remove(self._cgroup)
            self._cgroup = None

    def _start(self) -> None:
        cgroups = _cgroups()
        assert cgroups is not None, "ask why_not() first"
        for old in cgroups.glob(f"{_PREFIX}*"):
            if not _populated(old):
                _remove(old)
        self._cgroup = cgroups / f"{_PREFIX}{os.getpid()}"
        self._cgroup.mkdir()
        point = MACHINES / "mounted"
        point.mkdir(exist_ok=True)
        with self._log.open("wb") as log:
            host = ["sh", str(_HERE / "host.sh"), str(point), self.tree.name, str(self._cgroup)]
            self._host = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--propagation", "private", *host],
                cwd=MACHINES,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._wait_for_boot()

    def _wait_for_boot(self, before: int = 0, timeout_s: float = 60) -> None:
        began = time.monotonic()
        while True:
            code = self._host.poll() if self._host else 0
            assert code is None, f"the machine ended with {code}\n{self._log.read_text()}"
            if (pid := self._first_process()) not in (None, before):
                self.pid = pid or 0
                asked = self.attempt("systemctl", "is-system-running", "--wait")
                if asked.stdout.strip() in ("running", "degraded"):
                    break
            assert time.monotonic() < began + timeout_s, f"it does not boot\n{self._log.read_text()}\n{self.journal()}"
            time.sleep(0.05)
        self.boot_s = time.monotonic() - began

    def _first_process(self) -> int | None:
        """Return the systemd that is a child of the ``unshare`` that is a child of the host."""
        assert self._host is not None, "start it first"
        for child in _children(self._host.pid):
            for grandchild in _children(child):
                with contextlib.suppress(OSError):
                    if Path(f"/proc/{grandchild}/exe").readlink().name == "systemd":
                        return grandchild
        return None

    def _enter(self, *namespaces: str) -> list[str]:
        return ["nsenter", "-t", str(self.pid), *namespaces]


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process, by its number here."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _below(pid: int) -> Iterator[int]:
    for child in _children(pid):
        yield child
        yield from _below(child)


def _number_inside(pid: int) -> int:
    """Return the number of a process in its own PID namespace, 0 once it is gone."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("NSpid:"):
                return int(line.split()[-1])
    return 0


def _children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _cgroups() -> Path | None:
    command = ["findmnt", "--noheadings", "--first-only", "--types", "cgroup2", "--output", "TARGET"]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout.strip()
    return Path(found) if found else None


def _populated(cgroup: Path) -> bool:
    try:
        return "populated 1" in (cgroup / "cgroup.events").read_text()
    except OSError:
        return False


def _remove(cgroup: Path) -> None:
    def below() -> Iterator[Path]:
        for path, _directories, _files in os.walk(cgroup, topdown=False):
            yield Path(path)

    for path in below():
        with contextlib.suppress(OSError):
            path.rmdir()
