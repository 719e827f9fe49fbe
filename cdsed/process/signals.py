"""Signals as something to read: the handlers themselves do nothing.

A Python handler runs between any two bytecodes of the main thread, so one that takes a lock, and
``threading.Event.set`` takes one, can deadlock with the code it interrupted. Here the interpreter's own C
handler writes the signal's number into a socket (`signal.set_wakeup_fd`), and whoever waits on that acts.
"""

import signal
import socket
from types import FrameType
from typing import Self


def _only_wake(signal_number: int, frame: FrameType | None) -> None:
    """Do nothing: a handler must exist for the number to reach the socket."""


def hold(*signals: signal.Signals) -> None:
    """Keep some signals back until a `SignalWakeup` takes them over, instead of letting them end the process."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)


class SignalWakeup:
    """Take over some signals of this process; use it in a selector and `read` it when it is readable.

    As a context manager it puts the former handlers back. Only the main thread may make or close one.
    """

    def __init__(self, *signals: signal.Signals) -> None:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._former_fd = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        self._former = {number: signal.signal(number, _only_wake) for number in signals}
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)  # what was held until now comes now

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when a signal has come."""
        return self._reader.fileno()

    def read(self) -> list[int]:
        """Return the numbers of the signals that came since the last call, in their order."""
        try:
            return list(self._reader.recv(4096))
        except BlockingIOError:
            return []

    def close(self) -> None:
        """Put the former handlers back."""
        for number, handler in self._former.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._former_fd)
        self._reader.close()
        self._writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
