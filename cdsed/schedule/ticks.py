"""The daemon's ticks, in a thread of their own."""

import threading
from collections.abc import Callable, Sequence
from typing import Protocol, Self, TypeVar

from cdsed.clock import SYSTEM_CLOCK, Clock
from cdsed.frozen import frozen

_Result = TypeVar("_Result")


@frozen
class Tick:
    """A function to call every `every_s` seconds; it must be quick and must not use the network.

    While all is at rest, one that `rests` is left out.
    """

    name: str
    every_s: float
    call: Callable[[], None]
    rests: bool = False


class Rest(Protocol):
    """Says whether all is at rest."""

    def holds(self) -> bool:
        """Tell whether all is at rest, so that ticks that rest are left out."""

    def wait(self) -> bool:
        """Wait until ticks have to run; return False at once if all was not at rest when it was last asked."""

    def disturb(self) -> None:
        """End a wait of another thread."""


class Ticks:
    """Runs ticks on one thread, so two never run at once; they do not depend on the wall clock.

    A tick that was missed, because another took long or the machine slept, runs once.

    Parameters
    ----------
    on_error
        Gets the name and the error of a tick that fails; the tick is kept.
    rest
        Asked before each round whether all is at rest. Then rounds begin when its wait ends.
    """

    def __init__(
        self,
        ticks: Sequence[Tick],
        on_error: Callable[[str, Exception], None],
        clock: Clock = SYSTEM_CLOCK,
        rest: Rest | None = None,
    ) -> None:
        self._ticks = ticks
        self._on_error = on_error
        self._rest = rest
        self._clock = clock
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ticks")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        if self._rest is not None:
            self._rest.disturb()
        self._thread.join()

    def _run(self) -> None:
        due_s = {tick.name: self._clock.boot_s() + tick.every_s for tick in self._ticks}
        rest = self._rest
        while not self._end.is_set():
            if rest is None or not rest.wait():
                self._clock.wait(self._end, min(due_s.values()) - self._clock.boot_s())
            resting = rest is not None and self._guarded("see whether there is work", rest.holds)
            due = [
                tick
                for tick in self._ticks
                if self._clock.boot_s() >= due_s[tick.name] and not (resting and tick.rests)
            ]
            for tick in due:
                if not self._end.is_set():
                    self._guarded(tick.name, tick.call)
            done_s = self._clock.boot_s()  # of all of them, so that they are due together the next time, too
            due_s |= {tick.name: done_s + tick.every_s for tick in due}

    def _guarded(self, name: str, call: Callable[[], _Result]) -> _Result | None:
        try:
            return call()
        except Exception as error:  # noqa: BLE001 - it is reported
            self._on_error(name, error)
            return None
