"""The daemon's ticks, on apscheduler (the only apscheduler in cdsed)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Self

from apscheduler.events import EVENT_JOB_ERROR, JobExecutionEvent
from apscheduler.schedulers.background import BackgroundScheduler

from cdsed.clock import SYSTEM_CLOCK, Clock

_CLOCK_SET_S = 1.0  # NTP slews the clock by less in the second between two calls


@dataclass(frozen=True, slots=True)
class Tick:
    """A function to call every `every_s` seconds; it must be quick and must not use the network."""

    name: str
    every_s: float
    call: Callable[[], None]


class Ticks:
    """Runs ticks on one thread; `on_error` gets the name and the error of a tick that fails, and the tick is kept."""

    def __init__(
        self, ticks: Sequence[Tick], on_error: Callable[[str, BaseException], None], clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self._ticks = ticks
        self._clock = clock
        self._offset_s = clock.utc_s() - clock.boot_s()
        # One worker thread: ticks are short, and two never run at once. A tick that was missed while the machine slept
        # runs once.
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={"default": {"type": "threadpool", "max_workers": 1}},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        for tick in ticks:
            self._scheduler.add_job(tick.call, "interval", seconds=tick.every_s, id=tick.name)

        def failed(event: JobExecutionEvent) -> None:
            on_error(event.job_id, event.exception)

        self._scheduler.add_listener(failed, EVENT_JOB_ERROR)

    def follow_clock(self) -> None:
        """Restart the intervals of all ticks if the wall clock was set, because the schedule uses it.

        Without this, a clock set back by a day would stop all ticks for a day. Call it regularly, from another thread.
        """
        offset_s = self._clock.utc_s() - self._clock.boot_s()
        if abs(offset_s - self._offset_s) > _CLOCK_SET_S:
            for tick in self._ticks:
                self._scheduler.reschedule_job(tick.name, trigger="interval", seconds=tick.every_s)
        self._offset_s = offset_s

    def __enter__(self) -> Self:
        self._scheduler.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._scheduler.shutdown()
