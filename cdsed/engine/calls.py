"""Calls of a pure function on workers, with text in and text out; here in this process, in `dask_calls` over Dask.

Unlike a session, such a call may run twice, late or in part: only an answer that arrives counts. Nothing is
retried here.
"""

import queue
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from multiprocessing.pool import ThreadPool
from typing import Protocol

from cdsed.frozen import frozen

#: Takes and returns text.
TextCall = Callable[[str], str]


@frozen
class EndedCall:
    """How a call ended: with an answer, or with what it raised; with neither, it was lost."""

    number: int
    answer: str | None = None
    raised: str | None = None


class Calls(Protocol):
    """Workers, and the calls that run there. Methods raise MachineError when the workers cannot be reached any more."""

    def workers(self) -> Mapping[str, int]:
        """Return how many calls each worker runs at once, by its address."""

    def begin(self, number: int, worker: str, text: str) -> None:
        """Begin a call on a worker; it never runs on another one."""

    def forget(self, number: int) -> None:
        """Drop a call: it may run to its end, and is not mentioned again."""

    def ended(self, timeout_s: float) -> Sequence[EndedCall]:
        """Return calls that have ended; none after the time-out."""


class CallsHere:
    """One worker: a thread of this process."""

    NAME = "here"

    def __init__(self, call: TextCall) -> None:
        self._call = call
        self._done: queue.SimpleQueue[EndedCall] = queue.SimpleQueue()
        # Its thread is a daemon: a disk that hangs keeps no process from its end.
        self._thread = ThreadPool(1)

    def workers(self) -> Mapping[str, int]:
        """As `Calls`."""
        return {self.NAME: 1}

    def begin(self, number: int, worker: str, text: str) -> None:  # noqa: ARG002 - there is one
        """As `Calls`."""

        def raised(error: BaseException) -> None:
            self._done.put(EndedCall(number, raised=f"{type(error).__name__}: {error}"))

        def answered(text: str) -> None:
            self._done.put(EndedCall(number, text))

        self._thread.apply_async(self._call, (text,), callback=answered, error_callback=raised)

    def forget(self, number: int) -> None:
        """As `Calls`."""

    def ended(self, timeout_s: float) -> Sequence[EndedCall]:
        """As `Calls`."""
        with suppress(queue.Empty):
            return [self._done.get(timeout=timeout_s)]
        return ()

    def close(self) -> None:
        """Begin no call any more."""
        self._thread.close()
