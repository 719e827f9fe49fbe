"""A server that takes no more connections: they are not even refused, as on an address that leads nowhere."""

import contextlib
import socket
from collections.abc import Iterator

_FILLS_THE_QUEUE = 4


@contextlib.contextmanager
def deaf_server(host: str) -> Iterator[socket.socket]:
    """Listen at this address of the loopback, without room for connections."""
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.create_server((host, 0), backlog=0))
        for _ in range(_FILLS_THE_QUEUE):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listening.getsockname())
        yield listening


def hear(listening: socket.socket) -> None:
    """Take what waits, so that new connections are taken, too."""
    listening.settimeout(0.3)
    with contextlib.suppress(TimeoutError):
        while True:
            listening.accept()[0].close()
