"""One accepted socket: reading requests, sending at a limited rate, and detecting that the peer has closed it."""

import select
import socket
import struct

from cdsed.clock import Clock
from cdsed.sandbox.http import BadRequest, Request, parse_head

_HEAD_BYTES_MAX = 64 * 1024
# Large enough to keep loopback busy, and small enough that few bytes count as sent that the peer never reads.
_SEND_BUFFER_BYTES = 1024 * 1024
_GONE = select.POLLRDHUP | select.POLLHUP | select.POLLERR


class PeerGone(Exception):
    """The other side has closed the connection, or the server is stopping."""


class ClientConnection:
    """A connection to one client.

    Parameters
    ----------
    accepted
        The socket; the connection owns it from now on.
    """

    def __init__(self, accepted: socket.socket) -> None:
        accepted.setblocking(False)
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        self._socket = accepted
        self._received = bytearray()
        self._readable = select.poll()
        self._readable.register(accepted, select.POLLIN)
        self._writable = select.poll()
        self._writable.register(accepted, select.POLLOUT | select.POLLRDHUP)
        self._watch = select.poll()
        self._watch.register(accepted, select.POLLRDHUP)

    def read_request(self) -> Request | None:
        """Return the next request; None when the peer has closed the connection.

        Raises
        ------
        BadRequest
            The bytes are not an HTTP request.
        """
        while (end := self._received.find(b"\r\n\r\n")) < 0:
            if len(self._received) > _HEAD_BYTES_MAX:
                raise BadRequest("headers too long")
            if not self._receive():
                return None
        request = parse_head(bytes(self._received[:end]))
        del self._received[: end + 4]
        announced = request.headers.get("content-length", "0")
        if not announced.isdecimal():
            raise BadRequest(f"no length: {announced[:20]!r}")
        length = int(announced)
        while len(self._received) < length:
            if not self._receive():
                return None
        body = bytes(self._received[:length])
        del self._received[:length]
        return Request(request.method, request.path, request.query, request.headers, body)

    def send(self, data: bytes | memoryview) -> None:
        """Send all of `data`; raises PeerGone when the peer has closed the connection."""
        view = memoryview(data)
        while view:
            try:
                view = view[self._socket.send(view) :]
            except BlockingIOError:
                if self._events(self._writable, None) & _GONE:
                    raise PeerGone from None
            except OSError as error:
                raise PeerGone from error

    def wait(self, seconds: float | None) -> None:
        """Wait that long (None: indefinitely), or raise PeerGone as soon as the peer closes."""
        if self._events(self._watch, seconds):
            raise PeerGone

    def is_open(self) -> bool:
        """Return whether the peer still has the connection, as the kernel reports it now."""
        poll = select.poll()  # other threads call this while the connection's thread waits in its own
        descriptor = self._socket.fileno()
        if descriptor < 0:  # closed by another thread meanwhile
            return False
        poll.register(descriptor, select.POLLRDHUP)
        return not self._events(poll, 0)

    def reset(self) -> None:
        """Close with an RST, so that the peer's next read fails."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def interrupt(self) -> None:
        """Make every wait of the thread that serves this connection end with PeerGone."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # the peer has closed it

    def close(self) -> None:
        """Close the socket; a second call has no effect."""
        self._socket.close()

    def _receive(self) -> bool:
        while True:
            try:
                data = self._socket.recv(_HEAD_BYTES_MAX)
            except BlockingIOError:
                self._events(self._readable, None)
            except OSError:
                return False
            else:
                self._received += data
                return bool(data)

    @staticmethod
    def _events(poll: select.poll, seconds: float | None) -> int:
        ready = poll.poll(None if seconds is None else seconds * 1000)
        return ready[0][1] if ready else 0


class Pacer:
    """Spreads bytes evenly over time.

    Parameters
    ----------
    clock
        Measures the time.
    bytes_per_s
        The rate.
    """

    _LAG_MAX_S = 0.1  # a late wake-up may catch up with so much; more would be a burst

    def __init__(self, clock: Clock, bytes_per_s: float) -> None:
        self.bytes_per_s = bytes_per_s
        self._clock = clock
        self._due_s = clock.boot_s()

    @property
    def portion_bytes(self) -> int:
        """Return how much to send at once: about 10 ms of the rate, at most 256 KiB."""
        return max(1, min(262_144, int(self.bytes_per_s / 100)))

    def pause_s(self, sent_bytes: int) -> float:
        """Return how long to wait after having sent so many bytes."""
        now_s = self._clock.boot_s()
        self._due_s = max(self._due_s, now_s - self._LAG_MAX_S) + sent_bytes / self.bytes_per_s
        return max(0.0, self._due_s - now_s)
