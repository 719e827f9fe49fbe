"""Network namespaces for a test, whether they can be had, and how a test opens sockets and devices in one."""

import contextlib
import ctypes
import fcntl
import os
import socket
import struct
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from tests.support.programs import missing

_T = TypeVar("_T")
_LIBC = ctypes.CDLL(None, use_errno=True)
_TUN = Path("/dev/net/tun")
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
_CLONE_NEWNET = 0x40000000
_NEEDED = {"unshare": "util-linux", "nsenter": "util-linux", "mount": "mount", "ip": "iproute2"}


def why_not() -> str:
    """Return why no network of namespaces can be made here; '' where it can."""
    if os.geteuid() != 0:
        return "only root makes network namespaces"
    if program := missing(_NEEDED):
        return program
    if not _TUN.exists():
        return f"{_TUN} is missing: load the kernel module tun"
    if subprocess.run(["unshare", "--net", "--mount", "true"], capture_output=True, check=False).returncode:
        return "network namespaces cannot be made here"
    return ""


class Namespace:
    """A network namespace with a mount namespace, kept by a process that sleeps.

    Parameters
    ----------
    etc
        Files that stand in the place of others, by the path of those.
    host
        The name of the machine in it.
    """

    def __init__(self, etc: dict[str, Path] | None = None, host: str = "test") -> None:
        mounts = [f"mount --bind {own} $(realpath {path})" for path, own in (etc or {}).items()]
        named = f"echo {host} > /proc/sys/kernel/hostname"
        script = " && ".join(["ip link set lo up", named, *mounts, "echo up", "exec sleep infinity"])
        command = ["unshare", "--net", "--uts", "--mount", "--propagation", "private", "sh", "-c", script]
        self._keeper = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert self._keeper.stdout is not None
        with self._keeper.stdout as output:
            said = output.readline()
        assert said == "up\n", said

    @property
    def under(self) -> tuple[str, ...]:
        """The command that runs another one in it."""
        return ("nsenter", "--target", str(self._keeper.pid), "--net", "--uts", "--mount")

    @property
    def keeper_pid(self) -> int:
        """The process that keeps it."""
        return self._keeper.pid

    def pids(self) -> list[int]:
        """Return the processes in it, without its keeper."""
        mine, found = Path(f"/proc/{self._keeper.pid}/ns/net").readlink(), []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and (entry / "ns/net").readlink() == mine:
                    found.append(int(entry.name))
        return sorted(set(found) - {self._keeper.pid})

    def run(self, *command: str) -> str:
        """Run a command in it; return what it prints."""
        done = subprocess.run([*self.under, *command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
        return done.stdout

    def opened(self, make: Callable[[], _T]) -> _T:
        """Return what `make` opens in it, such as a socket; only a thread goes there, and this process stays."""

        def there() -> _T:
            with Path(f"/proc/{self._keeper.pid}/ns/net").open("rb") as namespace:
                if _LIBC.setns(namespace.fileno(), _CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "setns")
            return make()

        with ThreadPoolExecutor(1) as thread:
            return thread.submit(there).result()

    def listening(self, address: str, port: int, kind: socket.SocketKind = socket.SOCK_STREAM) -> socket.socket:
        """Return a socket that listens in it."""

        def make() -> socket.socket:
            made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind((address, port))
            if kind is socket.SOCK_STREAM:
                made.listen(64)
            return made

        return self.opened(make)

    def device(self, name: str) -> int:
        """Make a TUN device in it; return its descriptor. The device lives as long as that."""

        def make() -> int:
            descriptor = os.open(_TUN, os.O_RDWR | os.O_CLOEXEC)
            fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TUN | _IFF_NO_PI))
            return descriptor

        return self.opened(make)

    def close(self) -> None:
        """Let it go."""
        self._keeper.kill()
        self._keeper.wait()
