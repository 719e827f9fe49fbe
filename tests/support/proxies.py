"""Proxies for tests: tinyproxy of Debian as a process, and one for CONNECT in this process that leads to one server."""

import base64
import contextlib
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from tests.support.debian import program
from tests.support.ports import answers, free_port

LOGIN = "proxyuser", "canary%2Dproxy.password"  # as an address has it
PASSWORD = "canary-proxy.password"  # tinyproxy takes few other characters
# What nothing may show: the password as an address has it and as it is, and the login as a header has it.
SECRETS = (LOGIN[1], PASSWORD, base64.b64encode(f"{LOGIN[0]}:{PASSWORD}".encode()).decode())


class Tinyproxy:
    """A real proxy of Debian, for clients of this machine that give `LOGIN`, without a limit to the ports.

    Parameters
    ----------
    folder
        An empty directory for its files.
    """

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"http://{LOGIN[0]}:{LOGIN[1]}@127.0.0.1:{self.port}"
        self._log = folder / "tinyproxy.log"
        self._config = folder / "tinyproxy.conf"
        self._config.write_text(
            f"Port {self.port}\nListen 127.0.0.1\nAllow 127.0.0.1\nTimeout 60\nMaxClients 100\n"
            f'LogFile "{self._log}"\nLogLevel Connect\nBasicAuth {LOGIN[0]} {PASSWORD}\n',
            encoding="utf-8",
        )

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Run it until the end of the block."""
        command = [program("tinyproxy", "tinyproxy-bin"), "-d", "-c", self._config]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            until = time.monotonic() + 20
            while not answers(self.port):
                assert process.poll() is None, f"tinyproxy ended with {process.returncode}"
                assert time.monotonic() < until, "tinyproxy does not answer"
                time.sleep(0.02)
            yield
        finally:
            process.kill()
            process.wait()

    def requests(self) -> list[str]:
        """Return the request lines that it got, with the addresses asked for."""
        lines = self._log.read_text("utf-8", errors="replace").splitlines()
        return [line.split("): ", 1)[1] for line in lines if "Request (file descriptor" in line]


class ConnectProxy:
    """A proxy that answers CONNECT for any host, and leads to one server, so that hosts need no name server.

    Attributes
    ----------
    asked
        The hosts and ports asked for.
    status
        What it answers; other than 200 it refuses.
    """

    def __init__(self, port: int) -> None:
        self.asked: list[str] = []
        self.logins: list[str] = []
        self.status = 200
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.url = f"http://{LOGIN[0]}:{LOGIN[1]}@{self.address}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Listen no longer."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._answer, args=(client,), daemon=True).start()

    def _answer(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head and (received := client.recv(4096)):
                head += received
            first, *headers = head.decode().split("\r\n")
            self.asked.append(first.split(" ")[1])
            self.logins += [line for line in headers if line.lower().startswith("proxy-authorization:")]
            client.sendall(f"HTTP/1.1 {self.status} {'OK' if self.status == 200 else 'No'}\r\n\r\n".encode())
            if self.status == 200:
                with socket.create_connection(("127.0.0.1", self._target)) as server:
                    there = threading.Thread(target=_copy, args=(client, server), daemon=True)
                    there.start()
                    _copy(server, client)
                    there.join(5)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while received := source.recv(65_536):
            target.sendall(received)
        target.shutdown(socket.SHUT_WR)
