"""How refusals and deliveries of an account change its sessions, and what the log says."""

import pytest

from cdsed.config.settings import RetrySettings
from cdsed.errors import AccountError, ServiceError
from cdsed.model.objects import Lease
from cdsed.model.quota import ThrottleReason
from cdsed.store import breakers, leases, quota_usage
from cdsed.store.breakers import BreakerPolicy
from cdsed.work.throttling import Throttling

THROTTLED = AccountError("429", code="Throttled", retry_after_s=50)
SLOW_DOWN = ServiceError("503", code="SlowDown")


@pytest.fixture
def throttling(lab):
    lab.accounts("a")
    return Throttling(lab.db, lab.clock, RetrySettings(account_first_delay_s=30))


def usable(lab):
    return quota_usage.of(lab.db, lab.clock, "a").usable_sessions


@pytest.mark.parametrize("error", [THROTTLED, SLOW_DOWN], ids=lambda error: error.code)
def test_a_throttling_response_halves_the_sessions(lab, throttling, error, caplog):
    held = [lab.lease() for _ in range(4)]
    for lease in held:
        throttling.refused(error, lease)
    assert usable(lab) == 2
    assert [record.getMessage() for record in caplog.records] == [
        "account a: throttled; it continues with 2 of 4 sessions"
    ]


@pytest.mark.parametrize(
    "error",
    [AccountError("x", code="InvalidAccessKeyId"), ServiceError("x", code="500"), ServiceError("x", code="TooSlow")],
    ids=lambda error: error.code,
)
def test_other_errors_leave_the_sessions_alone(lab, throttling, error):
    throttling.refused(error, lab.lease())
    assert usable(lab) == 4


def test_a_refusal_with_sessions_to_spare_is_logged_as_other_use(lab, throttling, caplog):
    throttling.refused(THROTTLED, lab.lease())
    assert "account a was refused although it had only 1 of 4 sessions in use: something else seems to use it" in (
        caplog.records[-1].getMessage()
    )


def test_a_service_that_throttles_all_says_nothing_of_other_use(lab, throttling, caplog):
    throttling.refused(SLOW_DOWN, lab.lease())
    assert "something else" not in caplog.text


@pytest.mark.parametrize("code", ["Timeout", "TooSlow", "ConnectionLost", "Unreachable"])
def test_a_refusal_after_a_connection_broke_is_not_logged_as_other_use(lab, throttling, caplog, code):
    broken = lab.lease()
    throttling.broke(ServiceError("x", code=code), broken)
    lab.clock.pass_s(60)
    throttling.refused(THROTTLED, broken)
    assert "something else" not in caplog.text


def test_a_refusal_while_the_service_fails_is_not_logged_as_other_use(lab, throttling, caplog):
    breakers.fail(lab.db, lab.clock, breakers.SERVICE, BreakerPolicy(8, 1, 1), ServiceError("x", code="Timeout"))
    throttling.refused(THROTTLED, lab.lease())
    assert "something else" not in caplog.text


def test_a_quarter_of_an_hour_after_a_connection_broke_a_refusal_is_logged_as_other_use(lab, throttling, caplog):
    throttling.broke(ServiceError("x", code="Timeout"), lab.lease())
    lab.clock.pass_s(901)
    throttling.refused(THROTTLED, lab.lease())
    assert "something else" in caplog.text


def test_a_refusal_after_all_allowed_requests_is_logged_as_ours(lab, throttling, caplog):
    leases.count_traffic(lab.db, lab.clock, "a", requests=1950, size_bytes=0)
    throttling.refused(THROTTLED, lab.lease())
    assert "something else" not in caplog.text


def test_a_minute_of_deliveries_after_a_refusal_gives_one_session_back(lab, throttling, caplog):
    caplog.set_level("INFO")
    held = [lab.lease() for _ in range(4)]
    throttling.refused(THROTTLED, held[0])
    for lease in held:
        leases.release(lab.db, lab.clock, lease, cooldown_s=0)
    fresh = lab.lease()
    throttling.delivered(fresh)
    lab.clock.pass_s(59)
    throttling.delivered(fresh)
    assert usable(lab) == 2
    lab.clock.pass_s(1)
    throttling.delivered(fresh)
    assert usable(lab) == 3
    assert caplog.records[-1].getMessage() == "account a: 3 of 4 sessions again"


def test_a_penalty_is_logged_with_a_remedy(lab, throttling, caplog):
    throttling.refused(THROTTLED, lab.lease())
    for _ in range(quota_usage.MINUTE_STEPS // 2):
        leases.count_traffic(lab.db, lab.clock, "a", requests=1, size_bytes=5_000_000)
        lab.clock.pass_s(quota_usage.STEP_S)
        throttling.delivered(Lease("a", 1, "default", 2**40))
    assert quota_usage.of(lab.db, lab.clock, "a").throttle_reason is ThrottleReason.PENALISED
    assert "find out what else uses it" in caplog.records[-1].getMessage()


def test_a_penalty_that_our_own_count_explains_is_logged_as_ours(lab, caplog):
    lab.accounts("a", volume_bytes=100_000_000)
    throttling = Throttling(lab.db, lab.clock, RetrySettings(account_first_delay_s=30))
    throttling.refused(THROTTLED, lab.lease())
    leases.count_traffic(lab.db, lab.clock, "a", requests=1, size_bytes=80_000_000)
    lab.clock.pass_s(60)
    for _ in range(quota_usage.MINUTE_STEPS // 2):
        leases.count_traffic(lab.db, lab.clock, "a", requests=1, size_bytes=5_000_000)
        lab.clock.pass_s(quota_usage.STEP_S)
        throttling.delivered(Lease("a", 1, "default", 2**40))
    assert quota_usage.of(lab.db, lab.clock, "a").throttle_reason is ThrottleReason.PENALISED
    assert "is spent at CDSE" in caplog.text
    assert "what else" not in caplog.records[-1].getMessage()
