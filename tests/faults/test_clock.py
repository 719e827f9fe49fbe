"""The wall clock is set by days or years, or the machine boots with it in the past: nothing waits for years.

No tick, due time, lease or backup depends on it. What does, such as a pause until a time, ends in time all the same.
The clock since boot jumps when the machine sleeps: no thread and no run is taken for stuck because of it.
"""

import os
import subprocess
import threading
import time
from pathlib import Path

import pytest

from cdsed.clock import Clock
from cdsed.config.event_hooks import EventHook
from cdsed.config.settings import Settings
from cdsed.errors import ExitCode
from cdsed.model.objects import Digests
from cdsed.model.product_state import State
from cdsed.process.threadwatch import ThreadWatch
from cdsed.sandbox.names import realistic_safenames
from cdsed.schedule.ticks import Tick, Ticks
from cdsed.store import backup, forecast, leases, outbox, pauses, pieces, processes, products, quota_usage, refusals
from cdsed.store.move import Move
from cdsed.work.maintenance import Maintenance
from cdsed.work.once import OnceEnd
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.sandbox import SandboxProcess
from tests.support.state import SetClock, StateLab

_HOUR_S, _DAY_S = 3600.0, 86_400.0
_YEARS_S = 5 * 365 * _DAY_S
_JUMPS_S = [-_YEARS_S, -_DAY_S, _DAY_S, _YEARS_S]


class JumpingClock(Clock):
    """The machine's clock, whose wall time a test may set."""

    jump_s = 0.0

    def utc_s(self) -> float:
        return time.time() + self.jump_s


@pytest.fixture
def clock() -> JumpingClock:
    return JumpingClock()


@pytest.mark.parametrize("jump_s", _JUMPS_S)
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


class _Rest:
    """All is at rest until the test ends that; a wait ends when the test says so."""

    def __init__(self) -> None:
        self.ended = False
        self.ends_wait = threading.Semaphore(0)

    def holds(self) -> bool:
        return not self.ended

    def wait(self) -> bool:
        return self.ends_wait.acquire(timeout=30)

    def disturb(self) -> None:
        self.ends_wait.release()


def test_ticks_wait_at_rest_and_those_that_rest_are_left_out(clock: JumpingClock) -> None:
    always, sometimes = threading.Semaphore(0), threading.Semaphore(0)
    rest = _Rest()
    ticks = [Tick("a", 0.0, always.release), Tick("b", 0.0, sometimes.release, rests=True)]
    with Ticks(ticks, lambda _name, error: pytest.fail(str(error)), clock, rest):
        for _ in range(3):
            rest.disturb()
            assert always.acquire(timeout=30)
            assert not always.acquire(blocking=False)
        assert not sometimes.acquire(blocking=False)
        rest.ended = True
        rest.disturb()
        assert sometimes.acquire(timeout=30)


@pytest.mark.parametrize("jump_s", _JUMPS_S)
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


@pytest.mark.parametrize("jump_s", _JUMPS_S)
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


@pytest.mark.parametrize("jump_s", _JUMPS_S)
def test_no_lease_is_doubled_or_lost_whatever_the_clock_says(lab: StateLab, jump_s: float) -> None:
    lab.accounts("a", sessions=2)
    lab.planned("A", (10, 10, 10))
    first = lab.lease()
    work = pieces.next_work(lab.db, lab.clock, first, lab.process)
    assert work is not None
    lab.clock.utc += jump_s
    second = lab.lease()
    assert (second.slot, lab.free()) == (3 - first.slot, [])
    assert leases.may_continue(lab.db, lab.clock, first)
    pieces.finish(lab.db, first, dict.fromkeys(work.pieces, Digests()))


def test_what_was_received_while_the_clock_was_years_ahead_does_not_count_for_years(lab: StateLab) -> None:
    lab.accounts("a", volume_bytes=10**9)
    lab.clock.utc += _YEARS_S
    leases.count_traffic(lab.db, lab.clock, "a", requests=1, size_bytes=10**9)
    assert _used_bytes(lab) == 10**9
    lab.clock.utc -= _YEARS_S
    assert (_used_bytes(lab), forecast.hours(lab.db, lab.clock, "a")) == (0, [])
    leases.count_traffic(lab.db, lab.clock, "a", requests=1, size_bytes=1000)
    lab.clock.utc -= _DAY_S
    assert _used_bytes(lab) == 1000


def _used_bytes(lab: StateLab) -> int:
    usage = quota_usage.of(lab.db, lab.clock, "a")
    assert usage is not None
    return usage.used_bytes


def test_a_product_that_is_refused_is_given_up_in_time_after_the_clock_was_set_back_by_years(lab: StateLab) -> None:
    product = products.get(lab.db, lab.ready("A"))
    refusals.count(lab.db, lab.clock, product, _HOUR_S)
    lab.clock.utc -= _YEARS_S
    for _ in range(23):
        lab.clock.pass_s(_HOUR_S)
        assert not refusals.of(lab.db, lab.clock, product, _DAY_S).lasting
        refusals.count(lab.db, lab.clock, product, _HOUR_S)
    lab.clock.pass_s(_HOUR_S)
    assert refusals.of(lab.db, lab.clock, product, _DAY_S).lasting


def test_a_pause_for_an_hour_lasts_an_hour_after_the_clock_was_set_back_by_years(lab: StateLab) -> None:
    pauses.add(lab.db, lab.clock, "all", "", lab.clock.utc_s() + _HOUR_S)
    pauses.add(lab.db, lab.clock, "group", "default", None)
    lab.clock.utc -= _YEARS_S
    assert pauses.end_over(lab.db, lab.clock) == []
    lab.clock.pass_s(_HOUR_S - 1)
    assert pauses.end_over(lab.db, lab.clock) == []
    lab.clock.pass_s(2)
    assert [pause.kind for pause in pauses.end_over(lab.db, lab.clock)] == ["all"]
    assert [pause.kind for pause in pauses.active(lab.db, lab.clock)] == ["group"]


def test_an_alarm_from_before_the_clock_was_set_back_by_years_is_given_to_people_now(lab: StateLab) -> None:
    hook = EventHook.model_validate({"name": "x", "command": ["/bin/true"], "alarm_after_s": 60})
    outbox.sync(lab.db, [hook])
    outbox.follow_alarms(lab.db, lab.clock, {"account_out a": outbox.PresentAlarm(0, {})})
    assert outbox.untried(lab.db, lab.clock, hook, 10) == 0
    lab.clock.utc -= _YEARS_S
    assert outbox.untried(lab.db, lab.clock, hook, 10) == 1
    assert outbox.form_batch(lab.db, lab.clock, hook, 10) is not None


def test_a_thread_is_not_taken_for_stuck_because_the_machine_slept(tmp_path: Path) -> None:
    clock, fifo = SetClock(), tmp_path / "fifo"
    watch = ThreadWatch(clock)
    os.mkfifo(fifo)

    def call() -> None:
        with watch.at("/spool"):
            os.close(os.open(fifo, os.O_RDONLY))

    thread = threading.Thread(target=call)
    thread.start()
    try:
        wait_until("it waits there", lambda: [clock.pass_s(60), watch.look(120)][1])
        clock.pass_s(8 * _HOUR_S)
        seen = []
        for _ in range(4):
            seen.append([one.place for one in watch.look(120)])
            clock.pass_s(60)
        assert seen == [[], [], [], ["/spool"]]
    finally:
        os.close(os.open(fifo, os.O_WRONLY))
        thread.join()


def test_a_run_for_once_goes_on_after_the_machine_slept(lab: StateLab, tmp_path: Path) -> None:
    settings = Settings.model_validate({"state_dir": str(tmp_path / "state"), "inbox": {"path": str(tmp_path / "in")}})
    settings.inbox.path.mkdir()
    lab.listed("one.txt", lab.ready("A"))
    end = OnceEnd(lab.db, lab.clock, settings.inbox, ["default"], idle_timeout_s=600)
    assert end.code() is None
    lab.clock.pass_s(8 * _HOUR_S)
    assert end.code() is None
    lab.clock.pass_s(599)
    assert end.code() is None
    lab.clock.pass_s(2)
    assert end.code() is ExitCode.UNFINISHED


def _boots(seconds: int) -> tuple[str, ...]:
    """Return a command that runs another one on a machine that has been up for so long."""
    offset_s = seconds - int(time.clock_gettime(time.CLOCK_BOOTTIME))
    return ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--time", "--boottime", str(offset_s))


def test_what_waited_on_a_machine_up_for_ten_years_continues_at_once_after_it_booted(tmp_path: Path) -> None:
    probe = subprocess.run([*_boots(60), "true"], capture_output=True, text=True, check=False)
    if probe.returncode:
        pytest.skip(f"no time namespace can be made here: {probe.stderr.strip()}")
    names = realistic_safenames("S1_OCN", 3, seed=12)
    with SandboxProcess() as sandbox:
        lab = Installation(tmp_path, sandbox, retry={"first_delay_s": 3000, "longest_delay_s": 3000})
        sandbox.add_products(*({"safename": name, "size_bytes": 300_000} for name in names))
        sandbox.fault(kind="forbidden", key=f"*{names[0]}*")
        lab.drop("three.txt", names)
        waits = "SELECT 1 FROM product WHERE state = 'retry_wait' AND due_s > 300000000"
        with DaemonProcess(lab, under=_boots(10 * 365 * 86_400)) as daemon:
            wait_until("one waits, the others are there", lambda: _is(lab, done=2) and lab.query(waits), daemon=daemon)
            daemon.kill()
        sandbox.clear_faults()
        with DaemonProcess(lab, under=_boots(60)) as daemon:
            wait_until("the report", lambda: lab.report("three.txt"), daemon=daemon)
            daemon.kill()
        assert lab.differences(names) == []


def _is(lab: Installation, *, done: int) -> bool:
    return lab.query("SELECT count(*) AS products FROM product WHERE state = 'done'") == [{"products": done}]
