"""The daemon's ticks, in a thread of their own."""

import threading
from collections.abc import Callable, Sequence
from typing import Self

from cdsed.clock import SYSTEM_CLOCK, Clock
from cdsed.frozen import frozen


@frozen
class Tick:
    """A function to call every `every_s` seconds; it must be quick and must not use the network."""

    name: str
    every_s: float
    call: Callable[[], None]


class Ticks:
    """Runs ticks on one thread, so two never run at once; they do not depend on the wall clock.

    A tick that was missed, because another took long or the machine slept, runs once.

    Parameters
    ----------
    on_error
        Gets the name and the error of a tick that fails; the tick is kept.
    """

    def __init__(
        self, ticks: Sequence[Tick], on_error: Callable[[str, Exception], None], clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self._ticks = ticks
        self._on_error = on_error
        self._clock = clock
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ticks")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        due_s = {tick.name: self._clock.boot_s() + tick.every_s for tick in self._ticks}
        while not self._clock.wait(self._end, min(due_s.values()) - self._clock.boot_s()):
            for tick in self._ticks:
                if self._clock.boot_s() < due_s[tick.name] or self._end.is_set():
                    continue
                try:
                    tick.call()
                except Exception as error:  # noqa: BLE001 - it is reported
                    self._on_error(tick.name, error)
                due_s[tick.name] = self._clock.boot_s() + tick.every_s
