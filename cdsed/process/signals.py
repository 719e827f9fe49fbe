"""Signals that are read from a socket: the handlers themselves do nothing.

A Python handler runs between any two bytecodes of the main thread. A handler that takes a lock can deadlock with the
code it interrupted, and ``threading.Event.set`` takes one. Here the C handler of the interpreter writes the signal's
number into a socket (`signal.set_wakeup_fd`), and the thread that waits on the socket acts.
"""

import signal
import socket
from types import FrameType
from typing import Self


def _only_wake(signal_number: int, frame: FrameType | None) -> None:
    """Do nothing: a handler must exist for the number to reach the socket."""


def hold(*signals: signal.Signals) -> None:
    """Block some signals until a `SignalWakeup` takes them over, so that they do not end the process."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)


class SignalWakeup:
    """Takes over some signals of this process; use it in a selector and `read` it when it is readable.

    At its end the context manager restores the former handlers. Only the main thread may make or close one.
    """

    def __init__(self, *signals: signal.Signals) -> None:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._former_fd = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        self._former = {number: signal.signal(number, _only_wake) for number in signals}
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)  # pending signals arrive now

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when a signal has arrived."""
        return self._reader.fileno()

    def read(self) -> list[int]:
        """Return the numbers of the signals that arrived since the last call, in their order."""
        try:
            return list(self._reader.recv(4096))
        except BlockingIOError:
            return []

    def close(self) -> None:
        """Restore the former handlers."""
        for number, handler in self._former.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._former_fd)
        self._reader.close()
        self._writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
