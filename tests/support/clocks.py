"""Clocks that tests move, or that do not wait."""

import threading

from cdsed.clock import Clock


class HandClock(Clock):
    """A boot clock that only the test moves. Waits take no time and are recorded. UTC is the machine's."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.waited_s: list[float] = []

    def boot_s(self) -> float:
        return self.now_s

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        self.waited_s.append(seconds)
        return stop.is_set()


class HastyClock(Clock):
    """The machine's clock, but waits return at once."""

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        return super().wait(stop, 0 * seconds)
