"""A front of a server: it accepts connections somewhere else, with TLS if need be, and passes on what they bring."""

import contextlib
import select
import socket
import ssl
import threading
from pathlib import Path

_PIECE_BYTES = 65_536


class Front:
    """Accepts connections until it is closed; each leads to a port of this machine.

    Attributes
    ----------
    tls
        A server's context, or None: a new connection speaks TLS with what is set now.
    accepted
        How many connections came, by the address that they came to.
    """

    def __init__(self, *listening: socket.socket, port: int, tls: ssl.SSLContext | None = None) -> None:
        self.tls = tls
        self.accepted: dict[str, int] = {}
        self._port = port
        self._listening = listening
        self._open: set[socket.socket] = set()
        for each in listening:
            threading.Thread(target=self._accept, args=(each,), daemon=True).start()

    def close(self) -> None:
        """End it, and all its connections."""
        for each in self._listening:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        self.hang_up()

    def hang_up(self) -> None:
        """Break all its connections."""
        for each in list(self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _accept(self, listening: socket.socket) -> None:
        address = listening.getsockname()[0]
        with contextlib.suppress(OSError):
            while True:
                client, _ = listening.accept()
                self.accepted[address] = self.accepted.get(address, 0) + 1
                threading.Thread(target=self._lead, args=(client,), daemon=True).start()

    def _lead(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            stack.callback(client.close)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            speaking = self.tls.wrap_socket(client, server_side=True) if self.tls else client
            stack.callback(speaking.close)
            stack.callback(self._open.discard, speaking)  # after the server's end is closed
            server = stack.enter_context(socket.create_connection(("127.0.0.1", self._port)))
            self._open.add(speaking)
            while all(_passed_on(speaking, server, each) for each in _readable(speaking, server)):
                pass


def _readable(client: socket.socket, server: socket.socket) -> list[socket.socket]:
    if isinstance(client, ssl.SSLSocket) and client.pending():
        return [client]
    return select.select([client, server], [], [])[0]


def _passed_on(client: socket.socket, server: socket.socket, source: socket.socket) -> bool:
    """Pass on what one of both has said; False at its end. One thread, because TLS has no two at once."""
    received = source.recv(_PIECE_BYTES)
    (server if source is client else client).sendall(received)
    return bool(received)


def server_context(chain: Path, key: Path) -> ssl.SSLContext:
    """Return a server's context with this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    return context
