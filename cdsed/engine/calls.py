"""Calls of a pure function on workers, with text in and text out; here in this process, in `dask_calls` over Dask.

Unlike a session, such a call may run twice, late or in part: only an answer that arrives counts. Nothing is
retried here.
"""

import queue
import threading
from collections.abc import Callable, Mapping, Sequence
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
        self._begun: queue.SimpleQueue[tuple[int, str] | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[EndedCall] = queue.SimpleQueue()
        # A disk that hangs keeps no process from its end.
        threading.Thread(target=self._run, name="verify", daemon=True).start()

    def _run(self) -> None:
        while (begun := self._begun.get()) is not None:
            number, text = begun
            try:
                self._done.put(EndedCall(number, self._call(text)))
            except Exception as error:  # noqa: BLE001 - it is the answer
                self._done.put(EndedCall(number, raised=f"{type(error).__name__}: {error}"))

    def workers(self) -> Mapping[str, int]:
        """As `Calls`."""
        return {self.NAME: 1}

    def begin(self, number: int, worker: str, text: str) -> None:  # noqa: ARG002 - there is one
        """As `Calls`."""
        self._begun.put((number, text))

    def forget(self, number: int) -> None:
        """As `Calls`."""

    def ended(self, timeout_s: float) -> Sequence[EndedCall]:
        """As `Calls`."""
        with suppress(queue.Empty):
            return [self._done.get(timeout=timeout_s)]
        return ()

    def close(self) -> None:
        """End the thread after the calls that were begun."""
        self._begun.put(None)
