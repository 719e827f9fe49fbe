"""A year of one installation: ``python -m tests.soak.year.life MINUTES PRODUCTS``, in the environment of `year_clock`.

Time passes in steps, four days at most, and as short as MINUTES allow. Between them the daemon lives at its real speed
until all that was dropped is reported, a few seconds at most. The calendar has a reload each month until August, a copy
of the state each month and one restore, a week without a service, a volume of 30 days that is spent, an upgrade, and a
log that is rotated each month. It prints a line for each month, and what it found; the exit code is 1 if that is
anything.
"""

import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.soak.year.installation import DAY_S, PRODUCT_BYTES, PRODUCTS_OF_LISTING, Figures, YearInstallation
from tests.soak.year.judge import as_lines, growth, judge
from tests.soak.year.year_clock import YearClock

_LOG = Path(__file__).parents[3] / "build" / "soak-year.log"
_DAYS, _MONTH = 365, 365 / 12
_STEP_TAKES_S, _STEP_DAYS_MAX = 2.5, 4
_LISTINGS, _MINUTES_OF_ALL = 5_000, 60
_ROOM_MINUTES = 1.0  # for starts, the restore and the end
_BURST_PRODUCTS = 40
_END_WITHIN_S = 900
_LONG_AGO = "S1A_IW_OCN__2SDV_20150101T000000_20150101T000025_003992_004CEB_0000.SAFE"


@dataclass
class _Event:
    day: float
    call: Callable[[], None]


class Life:
    """Lives through the year."""

    def __init__(self, root: Path, minutes: float, products: int) -> None:
        self._clock = YearClock()
        self._live_s = (minutes - _ROOM_MINUTES) * 60
        self._wanted = round(_LISTINGS * min(1.0, minutes / _MINUTES_OF_ALL))
        volume_bytes = self._wanted * PRODUCTS_OF_LISTING * PRODUCT_BYTES // 8  # each account: three usual months of it
        self.place = YearInstallation(root, volume_bytes)
        self._burst_bytes = 2 * volume_bytes // _BURST_PRODUCTS
        self._products = products
        self._dropped = self._month = 0
        self._monthly: tuple[str, ...] = ()
        self._backup: Path | None = None
        self._faults: list[int] = []
        self.events: Counter[str] = Counter()
        self.waited_days: dict[str, float] = {}
        self._dropped_at: dict[str, int] = {}
        self.months: list[Figures] = []
        self.log = Counter[str]()

    def live(self) -> None:
        """Let the year pass, and end what it has begun."""
        begun_s = time.monotonic()
        self.place.fill(self._products)
        print(f"{self._products} products filled in {time.monotonic() - begun_s:.0f} s", flush=True)
        self._monthly = self.place.new_products(2)
        self.place.start()
        calendar = self._calendar()
        stepped_s = time.monotonic()
        until_s = stepped_s + self._live_s
        took_s = _STEP_TAKES_S
        while self._day < _DAYS:
            left_steps = max(1.0, (until_s - stepped_s) / took_s)
            self._clock.pass_s(min(_STEP_DAYS_MAX, max(0.01, (_DAYS - self._day) / left_steps)) * DAY_S)
            while calendar and calendar[0].day <= self._day:
                calendar.pop(0).call()
            self._drop(min(self._wanted, int(self._wanted * self._day / _DAYS)))
            self._settle(_STEP_TAKES_S)
            took_s, stepped_s = time.monotonic() - stepped_s, time.monotonic()
        self._end()

    @property
    def _day(self) -> float:
        return self._clock.passed_s / DAY_S

    def _calendar(self) -> list[_Event]:
        events = [_Event(_MONTH * number, self._end_of_month) for number in range(1, 12)]
        events += [_Event(60, self._save), _Event(67, self._restore)]
        events += [_Event(100, self._outage), _Event(103, self._other_outage), _Event(107, self._service_is_back)]
        events += [_Event(160, self._burst), _Event(215, self._upgrade)]
        return sorted(events, key=lambda event: event.day)

    def _drop(self, until: int) -> None:
        while self._dropped < until:
            self._dropped += 1
            number = self._dropped
            names = self.place.new_products(PRODUCTS_OF_LISTING)
            if number % 10 == 0:  # one that is there
                names += self.place.listings[f"fetch-{number - 9}.txt"][:1]
            if number % 50 == 0:  # one that is nowhere
                names += (_LONG_AGO,)
            self._drop_named(f"fetch-{number}.txt", names)

    def _drop_named(self, name: str, names: tuple[str, ...]) -> None:
        self._dropped_at[name] = self._clock.passed_s
        self.place.drop(name, names)

    def _settle(self, within_s: float) -> bool:
        """Live until all is reported, for a second at least."""
        begun_s = time.monotonic()
        time.sleep(1.0)
        while True:
            open_ones = set(self.place.unreported())
            for name in self._dropped_at.keys() - open_ones:
                self.waited_days[name] = (self._clock.passed_s - self._dropped_at.pop(name)) / DAY_S
            if not open_ones:
                return True
            if time.monotonic() - begun_s > within_s:
                return False
            time.sleep(0.1)

    def _end_of_month(self) -> None:
        self._month += 1
        text = self.place.rotate_log()
        self._read(text)
        if self._month < 8:  # later the workers live for months
            self.place.daemon.send(signal.SIGHUP)
            self.events["reloads"] += 1
        self.place.back_up()
        self.events["backups"] += 1
        name = "monthly.txt" if self._month == 1 else f"monthly-{self._month}.txt"
        self._drop_named(name, self._monthly)
        self.months.append(self.place.figures(len(text)))
        print(as_lines(self._month, self._day, self._dropped, self.months[-1]), flush=True)

    def _read(self, text: str) -> None:
        with _LOG.open("a", encoding="utf-8") as log:
            log.write(text)
        self.log["tracebacks"] += text.count("Traceback")
        for line in text.splitlines():
            self.log["errors"] += " ERROR " in line
            self.log["renewed keys"] += "made a temporary S3 key" in line
            if " ERROR " in line or "Traceback" in line:
                print(f"  log: {line[:200]}", flush=True)

    def _save(self) -> None:
        self.place.back_up()
        self._backup = max((self.place.lab.state / "backups").glob("*.sqlite"))

    def _restore(self) -> None:
        self.place.stop()
        assert self._backup is not None
        if not self._backup.exists():  # a week later it is one of the seven in any case
            self._backup = min((self.place.lab.state / "backups").glob("*.sqlite"))
        self.place.command("state", "restore", "--yes", str(self._backup))
        self.place.start()
        self.events["restores"] += 1

    def _outage(self) -> None:
        self._faults = [self.place.sandbox.fault(kind="internal_error")]
        self.events["outages"] += 1

    def _other_outage(self) -> None:
        self._service_is_back()
        self._faults = [self.place.sandbox.fault(kind="reset")]

    def _service_is_back(self) -> None:
        for number in self._faults:
            self.place.sandbox.clear_faults(number)
        self._faults = []

    def _burst(self) -> None:
        self._drop_named("burst.txt", self.place.new_products(_BURST_PRODUCTS, self._burst_bytes))
        self.events["volumes spent"] += 1

    def _upgrade(self) -> None:
        self.place.stop()
        self.place.take_last_migration_back()
        self.place.start()
        self.events["upgrades"] += 1

    def _end(self) -> None:
        """Let a few hours pass at a time until all is reported."""
        until_s = time.monotonic() + _END_WITHIN_S
        while not self._settle(5) and time.monotonic() < until_s:
            self._clock.pass_s(DAY_S / 4)
        self._end_of_month()
        self.place.stop()
        self._read(self.place.daemon.log())


def main() -> None:
    """Live a year, and judge it."""
    minutes, products = float(sys.argv[1]), int(sys.argv[2])
    _LOG.parent.mkdir(exist_ok=True)
    _LOG.unlink(missing_ok=True)
    begun_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="year-", dir=sys.argv[3] if len(sys.argv) > 3 else None) as folder:
        life = Life(Path(folder), minutes, products)
        try:
            life.live()
            found = [*judge(life.place, life.events, life.log, life.waited_days), *growth(life.months)]
        finally:
            life.place.close()
    print(f"events: {dict(life.events)}; log: {dict(life.log)}")
    print(f"{(time.monotonic() - begun_s) / 60:.1f} minutes; found: {len(found)}")
    for each in found:
        print(f"FOUND {each}")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
