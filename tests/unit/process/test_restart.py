import pytest

from cdsed.errors import ExitCode
from cdsed.process.limits import Limits
from cdsed.process.restart import LONG_LIFE_S, CrashRecord, Death, after_death

LIMITS = Limits(stop_within_s=1, hung_after_s=1, restart_first_s=0.5, restart_longest_s=30, boot_failures_max=3)


def test_the_pause_doubles_with_each_death_up_to_the_longest() -> None:
    record, delays_s = CrashRecord(), []
    for _ in range(9):
        verdict = after_death(record, Death(code=1, ready=True, lived_s=1), LIMITS)
        record = verdict.record
        delays_s.append(verdict.delay_s)
    assert delays_s == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_the_pause_stays_the_longest_after_very_many_deaths() -> None:
    verdict = after_death(CrashRecord(deaths=10_000), Death(code=1, ready=True, lived_s=1), LIMITS)
    assert verdict.delay_s == 30


def test_a_long_run_clears_the_deaths_before_it() -> None:
    verdict = after_death(CrashRecord(deaths=7), Death(code=1, ready=True, lived_s=LONG_LIFE_S), LIMITS)
    assert verdict.record == CrashRecord(deaths=1, booted=True, crashes=1)
    assert verdict.delay_s == 0.5


@pytest.mark.parametrize(("lived_s", "crashes"), [(1, 3), (299, 3), (300, 1)])
def test_crashes_are_remembered_until_the_worker_was_well(lived_s: float, crashes: int) -> None:
    verdict = after_death(CrashRecord(crashes=2), Death(code=70, ready=True, lived_s=lived_s), LIMITS)
    assert verdict.record.crashes == crashes


def test_leaving_in_order_is_no_crash() -> None:
    assert after_death(CrashRecord(crashes=2), Death(code=0, ready=True, lived_s=1), LIMITS).record.crashes == 2


def test_bad_settings_found_at_boot_end_everything_at_once() -> None:
    assert after_death(CrashRecord(), Death(code=78, ready=False, lived_s=1), LIMITS).give_up is ExitCode.CONFIG


def test_bad_settings_found_later_are_a_death_like_any_other() -> None:
    assert after_death(CrashRecord(), Death(code=78, ready=True, lived_s=1), LIMITS).give_up is None


def test_settings_that_are_spoilt_while_the_others_work_are_waited_for() -> None:
    record = CrashRecord(booted=True)
    for _ in range(20):
        verdict = after_death(record, Death(code=78, ready=False, lived_s=1), LIMITS)
        record = verdict.record
        assert verdict.give_up is None
    assert verdict.delay_s == 30


def test_too_many_deaths_before_ready_end_everything_however_long_each_took() -> None:
    record = CrashRecord()
    for expected in (None, None, ExitCode.BUG):
        verdict = after_death(record, Death(code=None, ready=False, lived_s=LONG_LIFE_S + 1), LIMITS)
        record = verdict.record
        assert verdict.give_up is expected


def test_one_successful_boot_wipes_out_the_failed_ones() -> None:
    verdict = after_death(CrashRecord(deaths=2, boot_failures=2), Death(code=1, ready=True, lived_s=1), LIMITS)
    assert verdict.record == CrashRecord(deaths=3, boot_failures=0, booted=True, crashes=1)
    assert verdict.give_up is None


@pytest.mark.parametrize("code", [ExitCode.DAMAGED, ExitCode.STATE_DISK, ExitCode.TEMPORARY])
def test_a_worker_that_leaves_for_the_states_sake_never_ends_everything(code: ExitCode) -> None:
    record = CrashRecord()
    for _ in range(20):
        verdict = after_death(record, Death(code=code, ready=False, lived_s=1), LIMITS)
        record = verdict.record
        assert verdict.give_up is None
    assert verdict.delay_s == 30
