"""A whole machine under qemu: its disks, its power switch, its monitor, its console, and commands that run in it.

Its instructions are emulated (TCG), because KVM is missing in most virtual machines: it boots in about a minute.
"""

import contextlib
import json
import select
import socket
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Self

from tests.soak.guest.image import kernel
from tests.support.namespaces import Namespace

_BOOTED_WITHIN_S, _ANSWERS_WITHIN_S = 1500.0, 600.0
# Packets are as long as on a wire, so that the loss of one is that of one.
_DEVICE = "virtio-net,netdev=net,guest_tso4=off,guest_tso6=off"
# What takes an emulator long is left out: protections of the kernel, tests of its ciphers, programs of BPF, drivers of
# nothing that is there, and most of what it would tell.
_KERNEL = (
    "root=/dev/vda rw console=ttyS0 net.ifnames=0 panic=-1 quiet systemd.show_status=no audit=0 nowatchdog "
    "no_console_suspend mitigations=off nokaslr init_on_alloc=0 randomize_kstack_offset=off lsm=capability "
    "cryptomgr.notests rcupdate.rcu_expedited=1 random.trust_cpu=on "
    "module_blacklist=kvm_amd,ahci,i2c_i801,cfg80211,powernow_k8"
)
_CPU = "max,la57=off,smap=off,smep=off"


class GuestTrouble(Exception):
    """The machine does not do what it was told; not an error of cdsed."""


class Guest:
    """One machine, which can be turned on and off.

    Parameters
    ----------
    folder
        Where sockets, the console's log and the overlay of the root image are.
    data
        Address of its second disk, as qemu names it.
    place
        The network namespace with its device ``tap0``.
    """

    def __init__(self, folder: Path, root_image: Path, data: str, place: Namespace) -> None:
        self.folder = folder
        self.console = folder / "console.log"
        self.boots = 0
        self._data, self._place = data, place
        self._root = folder / "root.qcow2"
        made = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(root_image), str(self._root)]
        subprocess.run(made, check=True)
        self._qemu: subprocess.Popen[bytes] | None = None
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.cut()

    def boot(self, clock: str = "") -> float:
        """Turn it on, and wait until it obeys; return how many seconds that took.

        Parameters
        ----------
        clock
            What its hardware clock says, such as ``2006-01-01T00:00:00``; by default the truth.
        """
        began_s = time.monotonic()
        self.boots += 1
        for name in ("monitor", "orders"):
            (self.folder / name).unlink(missing_ok=True)
        image, initial = kernel()
        with self.console.open("ab") as log:
            self._qemu = subprocess.Popen(
                [
                    *("setpriv", "--pdeathsig", "KILL", *self._place.under, "qemu-system-x86_64"),
                    *("-M", "q35", "-accel", "tcg,thread=multi", "-cpu", _CPU, "-smp", "2", "-m", "1024"),
                    *("-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot"),
                    *("-kernel", str(image), "-initrd", str(initial), "-append", _KERNEL),
                    *("-drive", f"file={self._root},if=virtio,format=qcow2,cache=writeback"),
                    *("-drive", f"file={self._data},if=virtio,format=raw,cache=writeback"),
                    *("-netdev", "tap,id=net,ifname=tap0,script=no,downscript=no", "-device", _DEVICE),
                    *("-device", "virtio-serial", "-device", "virtserialport,chardev=orders,name=orders"),
                    *("-chardev", f"socket,id=orders,path={self.folder / 'orders'},server=on,wait=off"),
                    *("-qmp", f"unix:{self.folder / 'monitor'},server=on,wait=off"),
                    *("-rtc", f"base={clock or 'utc'},clock=host"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._monitor = self._connected("monitor")
        self._said(self._monitor, lambda said: "QMP" in said, 60)
        self.tell("qmp_capabilities")
        self._orders = self._connected("orders")
        self._number = 0
        self.run("true", timeout_s=_BOOTED_WITHIN_S)
        return time.monotonic() - began_s

    def cut(self) -> None:
        """Kill it, as a failure of the power does."""
        if self._qemu is not None:
            self._stack.close()
            self._qemu.kill()
            self._qemu.wait()
            self._qemu = None

    def shut_down(self) -> None:
        """Let its systemd turn it off."""
        assert self._qemu is not None
        self._send("systemctl", "poweroff")
        try:
            self._qemu.wait(_ANSWERS_WITHIN_S)
        except subprocess.TimeoutExpired as error:
            raise GuestTrouble(f"it does not turn itself off\n{self.last_words()}") from error
        self.cut()

    def tell(self, command: str) -> Any:
        """Give the monitor a command, such as ``stop``, ``cont`` or ``query-status``; return what it answers."""
        self._say(self._monitor, {"execute": command})
        return self._said(self._monitor, lambda said: "return" in said or "error" in said, 60)

    def attempt(self, *command: str, text: str = "", timeout_s: float = _ANSWERS_WITHIN_S) -> tuple[int, str]:
        """Run a command in it as root; return its exit code, and what it printed."""
        number = self._send(*command, text=text)
        try:
            said = self._said(self._orders, lambda said: said["number"] == number, timeout_s)
        except GuestTrouble as error:
            raise GuestTrouble(f"{' '.join(command)}: {error}") from None
        return said["code"], said["output"]

    def run(self, *command: str, text: str = "", timeout_s: float = _ANSWERS_WITHIN_S) -> str:
        """Run a command in it that has to succeed; return what it printed."""
        code, output = self.attempt(*command, text=text, timeout_s=timeout_s)
        assert code == 0, f"{' '.join(command)}: exit code {code}\n{output}"
        return output

    def script(self, text: str, timeout_s: float = _ANSWERS_WITHIN_S) -> str:
        """Run lines of shell that have to succeed."""
        return self.run("sh", "-eu", "-c", text, timeout_s=timeout_s)

    def begin(self, *command: str) -> None:
        """Begin a command whose end nobody waits for."""
        self._send(*command)

    def write(self, path: str, text: str, mode: str = "644") -> None:
        """Write a file of root."""
        self.run("sh", "-euc", 'cat > "$1"; chmod "$2" "$1"', "-", path, mode, text=text)

    def wait(self, what: str, condition: Callable[[], Any], timeout_s: float = _ANSWERS_WITHIN_S) -> Any:
        """Wait until `condition` is true and return its value; fail with `what` and the last words of the console."""
        until_s = time.monotonic() + timeout_s
        while not (value := condition()):
            assert time.monotonic() < until_s, f"after {timeout_s} s still not: {what}\n{self.last_words()}"
            time.sleep(1)
        return value

    def last_words(self, lines: int = 60) -> str:
        """Return the end of what its console showed."""
        return "\n".join(self.console.read_text("utf-8", errors="replace").splitlines()[-lines:])

    def _send(self, *command: str, text: str = "") -> int:
        self._number += 1
        self._say(self._orders, {"number": self._number, "command": command, "text": text})
        return self._number

    def _say(self, line: "Line", said: dict[str, Any]) -> None:
        assert self._qemu is not None
        try:
            line.sendall(json.dumps(said).encode() + b"\n")
        except OSError:
            raise GuestTrouble(f"qemu has ended with {self._qemu.wait(60)}\n{self.last_words()}") from None

    def _connected(self, name: str) -> "Line":
        until_s = time.monotonic() + 60
        while True:
            try:
                return Line(self._stack.enter_context(_socket(self.folder / name)))
            except OSError as error:
                if time.monotonic() > until_s or (self._qemu and self._qemu.poll() is not None):
                    raise GuestTrouble(f"qemu does not run: {error}\n{self.last_words()}") from None
                time.sleep(0.1)

    def _said(self, line: "Line", wanted: Callable[[dict[str, Any]], bool], timeout_s: float) -> dict[str, Any]:
        for said in line.objects(timeout_s):
            if wanted(said):
                return said
        raise GuestTrouble(f"no answer within {timeout_s} s\n{self.last_words()}")


class Line:
    """A socket on which each side says one JSON object in a line."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._pending = b""

    def sendall(self, data: bytes) -> None:
        """Say something."""
        self._end.sendall(data)

    def objects(self, timeout_s: float) -> Iterable[dict[str, Any]]:
        """Yield what the other side says within this time."""
        until_s = time.monotonic() + timeout_s
        while True:
            while b"\n" in self._pending:
                line, _, self._pending = self._pending.partition(b"\n")
                yield json.loads(line)
            left_s = until_s - time.monotonic()
            if left_s <= 0 or not select.select([self._end], [], [], left_s)[0]:
                return
            received = self._end.recv(65_536)
            if not received:
                return
            self._pending += received


def _socket(path: Path) -> socket.socket:
    made = socket.socket(socket.AF_UNIX)
    try:
        made.connect(str(path))
    except OSError:
        made.close()
        raise
    return made
