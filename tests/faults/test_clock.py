"""The wall clock is set back or forward by a day: no tick, due time or backup depends on it."""

import threading
import time
from pathlib import Path

import pytest

from cdsed.clock import Clock
from cdsed.config.settings import Settings
from cdsed.model.product_state import State
from cdsed.schedule.ticks import Tick, Ticks
from cdsed.store import backup, processes, products
from cdsed.store.move import Move
from cdsed.work.maintenance import Maintenance
from tests.support.state import StateLab

_DAY_S = 86_400.0


class JumpingClock(Clock):
    """The machine's clock, whose wall time a test may set."""

    jump_s = 0.0

    def utc_s(self) -> float:
        return time.time() + self.jump_s


@pytest.fixture
def clock() -> JumpingClock:
    return JumpingClock()


@pytest.mark.parametrize("jump_s", [-_DAY_S, _DAY_S])
def test_ticks_continue_when_the_clock_is_set(clock: JumpingClock, jump_s: float) -> None:
    called = threading.Semaphore(0)
    errors: list[BaseException] = []
    with Ticks([Tick("a", 0.05, called.release)], lambda _name, error: errors.append(error), clock):
        assert called.acquire(timeout=30)
        clock.jump_s = jump_s
        while called.acquire(blocking=False):
            pass
        for _ in range(3):
            assert called.acquire(timeout=30)
    assert errors == []


def test_a_tick_that_fails_is_reported_and_kept(clock: JumpingClock) -> None:
    failed = threading.Semaphore(0)

    def fail() -> None:
        raise OSError("full")

    with Ticks([Tick("a", 0.05, fail)], lambda name, _error: failed.release() if name == "a" else None, clock):
        assert failed.acquire(timeout=30)
        assert failed.acquire(timeout=30)


def test_only_ticks_that_rest_are_left_out_while_all_is_at_rest(clock: JumpingClock) -> None:
    always, sometimes = threading.Semaphore(0), threading.Semaphore(0)
    at_rest = threading.Event()
    at_rest.set()
    ticks = [Tick("a", 0.05, always.release), Tick("b", 0.05, sometimes.release, rests=True)]
    with Ticks(ticks, lambda _name, error: pytest.fail(str(error)), clock, at_rest.is_set):
        for _ in range(3):
            assert always.acquire(timeout=30)
        assert not sometimes.acquire(blocking=False)
        at_rest.clear()
        assert sometimes.acquire(timeout=30)


@pytest.mark.parametrize("jump_s", [-_DAY_S, _DAY_S])
def test_a_product_that_waits_is_woken_after_its_time_whatever_the_clock_says(lab: StateLab, jump_s: float) -> None:
    number = lab.ready("A")
    with lab.db.write():
        product = products.claim_ready(lab.db, lab.clock, number, lab.process)
    products.move(lab.db, lab.clock, product, Move(State.RETRY_WAIT, due_s=lab.clock.boot_s() + 30))
    lab.clock.utc += jump_s
    products.wake_due(lab.db, lab.clock)
    assert lab.state(number) is State.RETRY_WAIT
    lab.clock.pass_s(31)
    products.wake_due(lab.db, lab.clock)
    assert lab.state(number) is State.READY


def test_a_clock_set_before_a_start_delays_nothing(lab: StateLab) -> None:
    processes.daemon_started(lab.db, lab.clock, version="1", once=False)
    number = lab.ready("A")
    with lab.db.write():
        product = products.claim_ready(lab.db, lab.clock, number, lab.process)
    products.move(lab.db, lab.clock, product, Move(State.RETRY_WAIT, due_s=lab.clock.boot_s() + 3600))
    lab.clock.utc -= _DAY_S
    processes.daemon_started(lab.db, lab.clock, version="1", once=False)
    products.wake_due(lab.db, lab.clock)
    assert lab.state(number) is State.READY


def _made(lab: StateLab, maintenance: Maintenance, settings: Settings) -> int:
    maintenance.back_up_when_due()
    if maintenance._backup is not None:
        maintenance._backup.join(60)
    return len(backup.backups(settings.backups_dir))


@pytest.mark.parametrize("jump_s", [-_DAY_S, _DAY_S])
def test_backups_are_made_once_a_day_of_running_whatever_the_clock_says(
    lab: StateLab, tmp_path: Path, jump_s: float
) -> None:
    settings = Settings.model_validate({"state_dir": str(tmp_path / "state"), "inbox": {"path": str(tmp_path / "in")}})
    maintenance = Maintenance(lab.db, settings, lab.clock)
    assert _made(lab, maintenance, settings) == 1
    lab.clock.utc += jump_s
    lab.clock.pass_s(_DAY_S - 60)
    assert _made(lab, maintenance, settings) == 1
    lab.clock.pass_s(61)
    assert _made(lab, maintenance, settings) == 2


@pytest.mark.parametrize(("age_s", "due"), [(3600, False), (_DAY_S + 1, True), (-3600, True)])
def test_a_start_makes_the_backup_that_was_missed(lab: StateLab, tmp_path: Path, age_s: float, due: bool) -> None:
    settings = Settings.model_validate({"state_dir": str(tmp_path / "state"), "inbox": {"path": str(tmp_path / "in")}})
    backup.back_up(lab.db, settings.backups_dir, lab.clock)
    lab.clock.utc += age_s
    assert _made(lab, Maintenance(lab.db, settings, lab.clock), settings) == 1 + due
