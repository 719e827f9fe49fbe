"""Calls of a pure function on workers, with text in and text out; here in this process, in `dask_calls` over Dask.

Unlike a session, such a call may run twice, late or in part: only an answer that arrives counts. Nothing is
retried here.
"""

import queue
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
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
        self._thread = ThreadPoolExecutor(1, "verify")
        self._done: queue.SimpleQueue[EndedCall] = queue.SimpleQueue()

    def workers(self) -> Mapping[str, int]:
        """As `Calls`."""
        return {self.NAME: 1}

    def begin(self, number: int, worker: str, text: str) -> None:  # noqa: ARG002 - there is one
        """As `Calls`."""

        def end(future: "Future[str]") -> None:
            if future.cancelled():
                return
            error = future.exception()
            raised = None if error is None else f"{type(error).__name__}: {error}"
            self._done.put(EndedCall(number, None if error else future.result(), raised))

        self._thread.submit(self._call, text).add_done_callback(end)

    def forget(self, number: int) -> None:
        """As `Calls`."""

    def ended(self, timeout_s: float) -> Sequence[EndedCall]:
        """As `Calls`."""
        with suppress(queue.Empty):
            return [self._done.get(timeout=timeout_s)]
        return ()

    def close(self) -> None:
        """Begin no call that waits."""
        self._thread.shutdown(wait=False, cancel_futures=True)
