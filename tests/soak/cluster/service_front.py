"""The front of the sandbox on a machine of its own: the sandbox counts the connections that clients really have open.

Where a link is cut, a server learns late that a client has closed its connection, and counts it meanwhile. Here the end
of a client's socket is looked up in the kernel of the client's machine, so a count above the limit is a fault of cdsed,
and never of TCP.
"""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from tests.support.front import Front

_ESTABLISHED, _CLOSE_WAIT = 1, 8  # states in which the client has not closed its end
_EVERY_S = 0.3


class ServiceFront(Front):
    """Passes connections on to the sandbox until the client has closed its end, whatever the network does.

    Parameters
    ----------
    keepers
        A process of each machine with clients.
    """

    def __init__(self, listening: socket.socket, port: int, tls: ssl.SSLContext, keepers: Iterable[int]) -> None:
        self._keepers = list(keepers)
        self._ended = threading.Event()
        self._let_go_lock = threading.Lock()
        super().__init__(listening, port=port, tls=tls)
        threading.Thread(target=self._keep_letting_go, daemon=True).start()

    def close(self) -> None:
        """As `Front`."""
        self._ended.set()
        super().close()

    def _keep_letting_go(self) -> None:
        while not self._ended.wait(_EVERY_S):
            self._let_go()

    def _lead(self, client: socket.socket) -> None:
        self._let_go()  # so the sandbox hears of those that were closed before this one was opened
        super()._lead(client)

    def _let_go(self) -> None:
        with self._let_go_lock:
            passed_on = {each: peer for each in list(self._open) if (peer := _peer(each))}
            had = {peer for keeper in self._keepers for peer in _open_ends(keeper)}
            gone = [each for each, peer in passed_on.items() if peer not in had]
            for each in gone:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
            while self._open.intersection(gone):
                time.sleep(0.001)


def _peer(connection: socket.socket) -> tuple[str, int] | None:
    try:
        address: tuple[str, int] = connection.getpeername()
    except OSError:
        return None
    return address


def _open_ends(keeper: int) -> list[tuple[str, int]]:
    """Return address and port of the connections that the machine of this process has open."""
    lines = Path(f"/proc/{keeper}/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    found = []
    for line in lines:
        _, local, _, state, *_ = line.split()
        if int(state, 16) in (_ESTABLISHED, _CLOSE_WAIT):
            address, _, port = local.partition(":")
            found.append((socket.inet_ntoa(bytes.fromhex(address)[::-1]), int(port, 16)))
    return found
