"""For each account, session and product: which quota it waits for, and until when."""

import pytest

from cdsed.errors import AccountError
from cdsed.model.operation import EtaLimit
from cdsed.model.quota import Limit, QuotaWait
from cdsed.model.status_report import SessionMark, StatusReport
from cdsed.store import breakers, leases, pieces, processes, products, quota_usage, snapshot
from cdsed.store.breakers import BreakerPolicy
from tests.support.state import StateLab

_OPENS = BreakerPolicy(threshold=1, first_s=30, longest_s=300)


def report(lab: StateLab) -> StatusReport:
    processes.daemon_started(lab.db, lab.clock, version="1", once=False)
    return snapshot.report(lab.db, lab.clock, running=True)


def wait_of(lab: StateLab, number: int) -> QuotaWait | None:
    return snapshot.quota_wait(lab.db, lab.clock, products.get(lab.db, number))


def spend(lab: StateLab, account: str = "a", *, requests: int = 0, size_bytes: int = 0) -> None:
    leases.count_traffic(lab.db, lab.clock, account, requests=requests, size_bytes=size_bytes)


def test_a_single_account_that_waits_for_its_minute_is_calm_and_knows_when_it_continues(lab):
    lab.accounts("a", requests_per_minute=150)
    number = lab.ready("A")
    spend(lab, requests=140)
    lab.clock.pass_s(20)
    spend(lab, requests=10)
    lab.clock.pass_s(10)
    seen = report(lab)
    wait = QuotaWait(Limit.REQUESTS, lab.clock.utc_s() + 31)  # 61 s after the second in which they were sent
    assert seen.quota_wait == seen.accounts[0].wait == wait_of(lab, number) == wait
    assert seen.accounts[0].session_waits == (wait,) * 4
    assert seen.accounts[0].sessions == (SessionMark.WAITING,) * 4
    assert (seen.accounts[0].error, seen.needs_account) == (None, False)
    assert seen.why_idle == (
        "the work waits for a quota: a: its requests of this minute are used up, continues in 31 s"
    )
    lab.clock.pass_s(31)
    assert (report(lab).quota_wait, report(lab).why_idle, len(lab.free())) == (None, None, 4)


def test_a_session_that_waits_between_two_requests_is_not_at_work(lab):
    lab.accounts("a", requests_per_minute=4, sessions=1)
    number = lab.planned("A", (10,) * 9)
    lease = lab.lease()
    work = pieces.next_work(lab.db, lab.clock, lease, lab.process)
    assert len(work.pieces) == 4
    assert not leases.claim_one_more(lab.db, lab.clock, lease)
    leases.count_traffic(lab.db, lab.clock, "a", requests=4, size_bytes=0, lease=lease)
    seen = report(lab)
    wait = QuotaWait(Limit.REQUESTS, lab.clock.utc_s() + 61)
    assert (seen.accounts[0].sessions, seen.accounts[0].session_waits) == ((SessionMark.WAITING,), (wait,))
    assert (seen.quota_wait, wait_of(lab, number)) == (wait, wait)
    lab.clock.pass_s(66)
    assert leases.claim_one_more(lab.db, lab.clock, lease)
    assert report(lab).accounts[0].sessions == (SessionMark.BUSY,)
    assert (report(lab).accounts[0].session_waits, wait_of(lab, number)) == ((None,), None)


@pytest.mark.parametrize("end", ["release", "death"])
def test_a_session_that_is_given_back_waits_no_more(lab, end):
    lab.accounts("a", requests_per_minute=1, sessions=1)
    lease = lab.lease()
    assert not leases.claim_one_more(lab.db, lab.clock, lease)
    if end == "release":
        leases.release(lab.db, lab.clock, lease, cooldown_s=0)
    else:
        processes.release(lab.db, lab.clock, lab.process)
    assert lab.db.value("SELECT count(*) FROM session WHERE waits_for IS NOT NULL") == 0


def test_a_spent_volume_with_nothing_else_to_use_says_the_date_calmly(lab):
    lab.accounts("a", volume_bytes=10**9)
    number = lab.ready("A")
    hour = int(lab.clock.utc_s() // 3600)
    spend(lab, size_bytes=10**9)
    seen = report(lab)
    assert seen.quota_wait == wait_of(lab, number) == QuotaWait(Limit.VOLUME, (hour + 720) * 3600.0)
    assert not seen.needs_account
    assert seen.why_idle == (
        "the work waits for a quota: a: its 30-day volume is spent, continues at 2027-02-14T08:00:00Z"
    )


def refuse(lab: StateLab, account: str, code: str) -> None:
    error = AccountError(f"account {account}: refused", code=code)
    breakers.fail(lab.db, lab.clock, breakers.account_breaker(account), _OPENS, error)


def test_an_account_that_was_asked_for_less_waits_and_one_that_is_refused_needs_a_person(lab):
    lab.accounts("a", "b")
    lab.ready("A")
    refuse(lab, "a", "Throttled")
    refuse(lab, "b", "InvalidAccessKeyId")
    seen = report(lab)
    first, second = seen.accounts
    assert (first.error, first.wait.limit, first.error_code) == (None, Limit.PENALTY, "Throttled")
    assert 27 <= first.wait.until_at - lab.clock.utc_s() <= 33
    assert (second.error, second.wait) == ("refused", None)
    assert (seen.quota_wait, seen.needs_account) == (first.wait, False)
    refuse(lab, "a", "Throttled")
    lab.db.rows("DELETE FROM breaker WHERE name = 'account:a'")
    refuse(lab, "a", "AccessDenied")
    assert report(lab).why_idle == "no account can be used: a: refused; b: refused"
    assert (report(lab).quota_wait, report(lab).needs_account) == (None, True)


def test_a_refused_account_beside_one_whose_volume_is_spent_needs_a_person_and_the_date_is_said(lab):
    lab.accounts("a", "b", volume_bytes=10**9)
    lab.ready("A")
    spend(lab, size_bytes=10**9)
    refuse(lab, "b", "InvalidAccessKeyId")
    seen = report(lab)
    assert seen.needs_account
    assert seen.why_idle == (
        "the work waits for a quota: a: its 30-day volume is spent, continues at 2027-02-14T08:00:00Z; b: refused"
    )


def test_the_accounts_of_another_group_do_not_hide_why_nothing_moves(lab):
    limits = [("a", "default", 1), ("b", "other", 2000)]
    leases.sync_accounts(
        lab.db,
        [leases.AccountLimits(name, group, 4, most, 10**13, None, has_keys=True) for name, group, most in limits],
    )
    number = lab.ready("A")
    listing = "INSERT INTO listing (sha256, account_group, priority, name, state, path, taken_at) VALUES"
    lab.db.rows(f"{listing} ('x', 'default', 0, 'x', 'open', '/x', 0)")
    lab.db.rows("INSERT INTO want VALUES ((SELECT id FROM listing), :product, 1)", product=number)
    spend(lab, requests=1)
    assert report(lab).quota_wait == QuotaWait(Limit.REQUESTS, lab.clock.utc_s() + 61)


@pytest.mark.parametrize(
    ("spent", "limit"), [({"size_bytes": 10**9}, Limit.VOLUME), ({"requests": 150}, Limit.REQUESTS)]
)
def test_a_penalty_that_is_over_does_not_hide_the_quota_that_still_lasts(lab, spent, limit):
    lab.accounts("a", requests_per_minute=150, volume_bytes=10**9)
    lab.ready("A")
    refuse(lab, "a", "Throttled")
    lab.clock.pass_s(100)
    assert report(lab).accounts[0].wait.limit is Limit.PENALTY
    spend(lab, **spent)
    [account] = report(lab).accounts
    assert account.wait.limit is limit
    assert account.wait.until_at > lab.clock.utc_s()


def test_a_throttled_account_names_its_penalty_and_the_next_session(lab):
    lab.accounts("a")
    held = [lab.lease() for _ in range(2)]
    quota_usage.throttled(lab.db, lab.clock, "a", held[0].fence, grow_after_s=60)
    quota_usage.delivered(lab.db, lab.clock, "a", held[1].fence + 1, grow_after_s=60)
    [account] = report(lab).accounts
    grows = QuotaWait(Limit.PENALTY, lab.clock.utc_s() + 60)
    assert account.session_waits == (None, None, grows, grows)
    assert account.wait == grows


def test_connections_at_the_bandwidth_of_the_accounts_file_say_so(lab):
    lab.accounts("a", bandwidth_bytes_per_s=1_000_000)
    for _ in range(2):
        lab.lease()
    for _ in range(5):
        spend(lab, size_bytes=10_000_000)
        lab.clock.pass_s(5)
    [account] = report(lab).accounts
    assert account.session_waits == (QuotaWait(Limit.BANDWIDTH, None),) * 2 + (None, None)


def test_a_product_waits_for_a_connection_while_all_are_in_use(lab):
    lab.accounts("a", sessions=1)
    number = lab.ready("A")
    assert wait_of(lab, number) is None
    lease = lab.lease()
    assert wait_of(lab, number) == QuotaWait(Limit.CONNECTIONS, None)
    leases.release(lab.db, lab.clock, lease, cooldown_s=2)
    [account] = report(lab).accounts
    assert account.session_waits == (QuotaWait(Limit.CONNECTIONS, lab.clock.utc_s() + 2),)


def test_sessions_beyond_the_connections_of_a_pool_wait_for_one(lab):
    lab.accounts("a", "b", sessions=2, pool_sessions=2)
    for _ in range(2):
        lab.lease("a")
    first, second = report(lab).accounts
    assert first.session_waits == (None, None)
    assert second.session_waits == (QuotaWait(Limit.CONNECTIONS, None, shared=True),) * 2
    assert second.sessions == (SessionMark.WAITING,) * 2


def test_a_product_that_waits_for_the_catalogue_waits_for_no_quota(lab):
    lab.accounts("a", requests_per_minute=1)
    spend(lab, requests=1)
    number = lab.queued("A")
    assert wait_of(lab, number) is None


def test_while_the_minute_is_waited_for_the_requests_give_the_time_to_go(lab):
    lab.accounts("a", requests_per_minute=10)
    lab.listed("x", lab.planned("A", (6_000_000,) * 100))
    spend(lab, requests=10, size_bytes=60_000_000)
    lab.clock.pass_s(30)
    seen = report(lab)
    assert seen.quota_wait is not None
    assert seen.eta.seconds == pytest.approx(31 + 9 * 61, rel=0.02)
    assert seen.eta.limit is EtaLimit.REQUESTS
