"""Two network namespaces with a link between them: the daemon in one, the sandbox and a DNS server behind the other.

Only sockets of this process are in the far one. The sandbox itself is on the loopback of this machine, where the test
reaches it whatever happens to the link.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

from tests.soak.network.name_server import NameServer
from tests.support.daemon import DaemonProcess, Installation
from tests.support.front import Front, server_context
from tests.support.namespaces import Namespace
from tests.support.sandbox import SandboxProcess
from tests.support.tls_site import make_certificates

_REPOSITORY = Path(__file__).parents[3]
NEAR, FAR, ELSEWHERE = "10.77.0.1", "10.77.0.2", "10.77.0.3"
NEAR_6, FAR_6 = "2001:db8:77::1", "2001:db8:77::2"
NAME, PORT = "eodata.test", 8333
_RESOLV = f"nameserver {FAR}\n"


class Network:
    """The daemon's way to the sandbox.

    Attributes
    ----------
    names
        The DNS server. At first `NAME` is at `FAR`.
    front
        What listens at `FAR`, `ELSEWHERE` and `FAR_6`.
    """

    def __init__(self, folder: Path, sandbox: SandboxProcess) -> None:
        self._stack = contextlib.ExitStack()
        self._sandbox = sandbox
        self._folder = folder

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            folder = self._folder
            folder.mkdir(parents=True)
            etc = {"/etc/resolv.conf": folder / "resolv.conf", "/etc/nsswitch.conf": folder / "nsswitch.conf"}
            etc["/etc/resolv.conf"].write_text(_RESOLV, encoding="ascii")
            etc["/etc/nsswitch.conf"].write_text("hosts: files dns\n", encoding="ascii")
            self.near, self.far = Namespace(etc), Namespace()
            stack.callback(self.near.close)
            stack.callback(self.far.close)
            devices = self.near.device("near0"), self.far.device("far0")
            self._tunnel = subprocess.Popen(
                [sys.executable, "-m", "tests.soak.network.tunnel", *map(str, devices)],
                cwd=_REPOSITORY,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                pass_fds=devices,
                text=True,
            )
            stack.callback(self._end_tunnel)
            for device in devices:
                os.close(device)
            self.far.run("ip", "link", "set", "far0", "up")
            for address in (f"{FAR}/24", f"{ELSEWHERE}/24"):
                self.far.run("ip", "address", "add", address, "dev", "far0")
            self.far.run("ip", "address", "add", f"{FAR_6}/64", "dev", "far0", "nodad")
            self.come_back()
            self.names = NameServer(self.listen(FAR, 53, socket.SOCK_DGRAM))
            stack.callback(self.names.close)
            self.names.addresses[NAME] = [FAR]
            listening = [self.listen(address, PORT) for address in (FAR, ELSEWHERE, FAR_6)]
            self._certificates = made = make_certificates(folder / "tls", f"DNS:{NAME}")
            self.front = Front(*listening, port=self._sandbox.port, tls=server_context(made.chain, made.key))
            stack.callback(self.front.close)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._stack.close()

    @property
    def services(self) -> dict[str, str]:
        """The addresses that ``services`` of the settings has to have."""
        mine = f"https://{NAME}:{PORT}"
        urls = {key: url.replace(self._sandbox.url, mine) for key, url in self._sandbox.services.items()}
        return {**urls, "ca_file": str(self._certificates.authority)}

    def trouble(self, **trouble: Any) -> None:
        """Let the link do this from now on (the fields of `Trouble`), and nothing else."""
        assert self._tunnel.stdin is not None
        assert self._tunnel.stdout is not None
        self._tunnel.stdin.write(json.dumps(trouble) + "\n")
        self._tunnel.stdin.flush()
        assert self._tunnel.stdout.readline() == "done\n", "the link has ended"

    def go_away(self) -> None:
        """Take the daemon's interface away, with its addresses and routes."""
        self.near.run("ip", "address", "flush", "dev", "near0")
        self.near.run("ip", "link", "set", "near0", "down")

    def come_back(self) -> None:
        """Give the daemon its interface."""
        self.near.run("ip", "link", "set", "near0", "up")
        self.near.run("ip", "address", "add", f"{NEAR}/24", "dev", "near0")
        self.near.run("ip", "address", "add", f"{NEAR_6}/64", "dev", "near0", "nodad")

    def daemon(self, lab: Installation, *arguments: str) -> DaemonProcess:
        """Return the daemon of an installation, in the near namespace."""
        return DaemonProcess(lab, *arguments, under=self.near.under)

    def listen(self, address: str, port: int, kind: socket.SocketKind = socket.SOCK_STREAM) -> socket.socket:
        """Return a socket that listens in the far namespace."""
        return self.far.listening(address, port, kind)

    def connected(self, address: str, port: int) -> socket.socket:
        """Return a connection of the near namespace."""
        return self.near.opened(lambda: socket.create_connection((address, port)))

    def _end_tunnel(self) -> None:
        with self._tunnel as ending:
            ending.kill()
