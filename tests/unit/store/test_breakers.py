"""Breakers: accounts, the service and disks back off by one rule, and one probe finds out when the failure is over."""

import pytest

from cdsed.errors import AccountError
from cdsed.store import breakers, leases, snapshot
from cdsed.store.breakers import CATALOGUE, SERVICE, BreakerPolicy, account_breaker
from tests.support.state import BROKEN

_AT_ONCE = BreakerPolicy(threshold=1, first_s=10, longest_s=60)


def fail(lab, name=SERVICE, policy=_AT_ONCE, error=BROKEN):
    return breakers.fail(lab.db, lab.clock, name, policy, error)


def test_a_breaker_opens_at_its_threshold(lab):
    third = BreakerPolicy(threshold=3, first_s=10, longest_s=60)
    assert [fail(lab, policy=third) > 0 for _ in range(3)] == [False, False, True]


def test_the_pause_doubles_up_to_the_longest(lab):
    pauses = []
    for _ in range(6):
        pauses.append(fail(lab))
        lab.clock.pass_s(pauses[-1] + 0.1)
    assert pauses == pytest.approx([10, 20, 40, 60, 60, 60], rel=0.11)


def test_what_was_in_flight_when_it_opened_does_not_lengthen_the_pause(lab):
    first = fail(lab)
    assert [fail(lab) for _ in range(16)] == pytest.approx([first] * 16)
    lab.clock.pass_s(first + 0.1)
    assert fail(lab) == pytest.approx(20, rel=0.11)


def test_retry_after_is_honoured_even_by_a_breaker_already_open(lab):
    throttled = AccountError("429", code="Throttled", retry_after_s=300)
    assert fail(lab) < 12
    assert fail(lab, error=throttled) == pytest.approx(300)
    lab.clock.pass_s(299)
    assert fail(lab) == pytest.approx(1)


def test_a_success_closes_it_and_the_next_failure_begins_again(lab):
    lab.clock.pass_s(fail(lab) + 0.1)
    assert breakers.last_failure(lab.db, SERVICE) == "ConnectionLost"
    assert breakers.close(lab.db, lab.clock, SERVICE)
    assert not breakers.close(lab.db, lab.clock, SERVICE)
    assert breakers.last_failure(lab.db, SERVICE) is None
    assert fail(lab) == pytest.approx(10, rel=0.11)


def test_a_success_that_was_in_flight_when_it_opened_does_not_close_it(lab):
    pause = fail(lab)
    lab.clock.pass_s(pause - 0.1)
    assert not breakers.close(lab.db, lab.clock, SERVICE)
    assert breakers.last_failure(lab.db, SERVICE) == "ConnectionLost"


def test_an_open_breaker_leases_nothing_and_one_probe_passes_afterwards(lab):
    lab.accounts("a", "b")
    pause = fail(lab, account_breaker("a"))
    assert {session.account for session in lab.free()} == {"b"}
    lab.clock.pass_s(pause + 0.1)
    assert len([session for session in lab.free() if session.account == "a"]) == 4
    lab.lease("a")
    assert {session.account for session in lab.free()} == {"b"}
    breakers.close(lab.db, lab.clock, account_breaker("a"))
    assert "a" in {session.account for session in lab.free()}


def test_a_lease_ends_when_its_accounts_breaker_opens(lab):
    lab.accounts("a")
    lease = lab.lease()
    fail(lab, account_breaker("a"))
    assert not leases.may_continue(lab.db, lab.clock, lease)


def test_a_failing_service_is_probed_by_one_session_of_all(lab):
    lab.accounts("a", "b")
    pause = fail(lab)
    assert lab.free() == []
    lab.clock.pass_s(pause + 0.1)
    probe = lab.lease("a")
    assert leases.may_continue(lab.db, lab.clock, probe)
    assert lab.free() == []
    leases.release(lab.db, lab.clock, probe, cooldown_s=0)
    assert lab.free() != []


def test_the_catalogue_is_the_reason_why_nothing_moves_only_while_no_place_is_known(lab):
    lab.queued("A")
    pause = fail(lab, CATALOGUE)
    reported = snapshot.report(lab.db, lab.clock, running=True).why_idle
    assert reported == f"service:catalogue backs off, next try in {pause:.0f} s: the connection broke"
    lab.ready("B")
    assert snapshot.report(lab.db, lab.clock, running=True).why_idle == "the accounts file has no account"


def test_an_account_below_its_threshold_is_still_used(lab):
    lab.accounts("a")
    fail(lab, account_breaker("a"), BreakerPolicy(threshold=3, first_s=10, longest_s=60))
    assert len(lab.free()) == 4


@pytest.mark.parametrize("name", [SERVICE, account_breaker("a")])
def test_a_session_hanging_since_before_the_failure_blocks_no_probe(lab, name):
    lab.accounts("a")
    lab.lease()  # its thread is stuck at a dead file server
    lab.clock.pass_s(1)
    pause = fail(lab, name)
    assert lab.free() == []
    lab.clock.pass_s(pause + 0.1)
    lab.lease()
    assert lab.free() == []


@pytest.mark.parametrize("name", [SERVICE, account_breaker("a")])
def test_a_probe_that_never_comes_back_is_followed_by_another(lab, name):
    lab.accounts("a")
    lab.clock.pass_s(fail(lab, name) + 0.1)
    lab.lease()
    lab.clock.pass_s(599)
    assert lab.free() == []
    lab.clock.pass_s(2)
    assert lab.free() != []
