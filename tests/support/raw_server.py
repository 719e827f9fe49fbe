"""A server that answers every request with bytes of the test, and closes the connection."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass


@dataclass
class RawServer:
    """Where it listens, and what it answers to a request's first line."""

    url: str
    respond: Callable[[str], bytes]


@contextmanager
def raw_server() -> Iterator[RawServer]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = RawServer(f"http://127.0.0.1:{listener.getsockname()[1]}", lambda _: b"")

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:  # closed: the end
                return
            with connection, suppress(OSError):
                connection.settimeout(10)
                request = b""
                while b"\r\n\r\n" not in request and (chunk := connection.recv(65_536)):
                    request += chunk
                connection.sendall(server.respond(request.partition(b"\r\n")[0].decode(errors="replace")))
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65_536):  # closing with something unread would reset what was sent
                    pass

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield server
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def response(body: bytes, *, status: str = "200 OK", headers: bytes = b"", length: str | None = None) -> bytes:
    """Return an HTTP answer; `length` replaces the true Content-Length."""
    said = str(len(body)) if length is None else length
    return b"HTTP/1.1 %b\r\nContent-Length: %b\r\n%b\r\n%b" % (status.encode(), said.encode(), headers, body)
