"""What an account may use: sessions limited by the service, requests and volume reserved before use."""

import itertools

import pytest

from cdsed.errors import LeaseLost
from cdsed.model.objects import Lease
from cdsed.model.quota import Limit, ThrottleReason
from cdsed.store import leases, pieces, processes, quota_usage, snapshot
from cdsed.store.leases import FreeSession
from tests.support.state import StateLab

GROW_S = 60.0
HOUR_S = 3600.0


def unsafe(lab: StateLab) -> None:
    """Let a test with thousands of transactions not wait for the disk."""
    lab.db.rows("PRAGMA synchronous = OFF")


def refuse(lab: StateLab, fence: int, account: str = "a") -> bool:
    """Have the service refuse a lease; return whether that was news."""
    return quota_usage.throttled(lab.db, lab.clock, account, fence, grow_after_s=GROW_S) is not None


def deliver(lab: StateLab, fence: int, account: str = "a") -> None:
    quota_usage.delivered(lab.db, lab.clock, account, fence, grow_after_s=GROW_S)


def now(lab: StateLab, account: str = "a") -> quota_usage.QuotaUsage:
    found = quota_usage.of(lab.db, lab.clock, account)
    assert found is not None
    return found


def download(lab: StateLab, size_bytes: int, requests: int = 0, account: str = "a", lease: Lease | None = None) -> None:
    leases.count_traffic(lab.db, lab.clock, account, requests=requests, size_bytes=size_bytes, lease=lease)


def test_four_refusals_in_flight_at_once_halve_the_sessions_once(lab):
    lab.accounts("a")
    held = [lab.lease() for _ in range(4)]
    assert [refuse(lab, lease.fence) for lease in held] == [True, False, False, False]
    assert now(lab).usable_sessions == 2
    assert now(lab).throttle_reason is ThrottleReason.THROTTLED


def test_the_sessions_leased_last_are_given_back_and_not_leased_again(lab):
    lab.accounts("a")
    held = [lab.lease() for _ in range(4)]
    refuse(lab, held[0].fence)
    assert [leases.may_continue(lab.db, lab.clock, lease) for lease in held] == [True, True, False, False]
    leases.release(lab.db, lab.clock, held[3], cooldown_s=0)
    leases.release(lab.db, lab.clock, held[2], cooldown_s=0)
    assert lab.free() == []
    leases.release(lab.db, lab.clock, held[1], cooldown_s=0)
    assert len(lab.free()) == 3  # any of them, but one only
    assert lab.lease()
    assert lab.free() == []


def test_a_refusal_of_a_newer_lease_halves_again_down_to_one(lab):
    lab.accounts("a")
    for usable in (2, 1, 1):
        held = [lab.lease() for _ in range(now(lab).usable_sessions)]
        refuse(lab, held[-1].fence)
        assert now(lab).usable_sessions == usable
        for lease in held:
            leases.release(lab.db, lab.clock, lease, cooldown_s=0)


def test_sessions_grow_by_one_after_each_undisturbed_minute_of_deliveries(lab):
    lab.accounts("a")
    held = [lab.lease() for _ in range(4)]
    refuse(lab, held[3].fence)
    for lease in held:
        leases.release(lab.db, lab.clock, lease, cooldown_s=0)
    fresh = lab.lease()
    usable = []
    for _ in range(13):
        deliver(lab, fresh.fence)
        usable.append(now(lab).usable_sessions)
        lab.clock.pass_s(GROW_S / 6)
    assert usable == [2] * 6 + [3] * 6 + [4]
    assert now(lab).throttle_reason is None


def test_time_alone_lets_nothing_grow(lab):
    lab.accounts("a")
    lease = lab.lease()
    lab.lease()
    refuse(lab, lease.fence)
    lab.clock.pass_s(GROW_S * 100)
    assert now(lab).usable_sessions == 1


def test_a_delivery_from_before_the_refusal_says_nothing_about_after_it(lab):
    lab.accounts("a")
    older, refused = lab.lease(), lab.lease()
    refuse(lab, refused.fence)
    deliver(lab, older.fence)
    assert now(lab).grows_s is None
    leases.release(lab.db, lab.clock, older, cooldown_s=0)
    leases.release(lab.db, lab.clock, refused, cooldown_s=0)
    deliver(lab, lab.lease().fence)
    assert now(lab).grows_s == lab.clock.boot_s() + GROW_S


def test_a_refusal_is_ours_with_all_sessions_in_use_else_of_other_use(lab):
    lab.accounts("a", "b")
    mine = [lab.lease("a") for _ in range(4)]
    refuse(lab, mine[0].fence)
    refuse(lab, lab.lease("b").fence, "b")
    assert [now(lab, name).throttle_reason for name in "ab"] == [ThrottleReason.THROTTLED, ThrottleReason.SHARED]


def crawl(lab: StateLab, steps: int = 5, bytes_per_step: int = 5_000_000, fence: int = 2**40) -> None:
    for _ in range(steps):
        download(lab, bytes_per_step)
        lab.clock.pass_s(quota_usage.STEP_S)
        deliver(lab, fence)


def test_one_session_at_a_megabyte_per_second_is_an_account_that_has_spent_its_volume_elsewhere(lab):
    lab.accounts("a")
    refuse(lab, lab.lease().fence)
    crawl(lab)
    assert now(lab).throttle_reason is ThrottleReason.PENALISED
    assert now(lab).usable_sessions == 1
    lab.clock.pass_s(HOUR_S - 60)
    deliver(lab, 2**40)
    assert now(lab).usable_sessions == 1
    assert not refuse(lab, 2**41)  # known already
    lab.clock.pass_s(60)
    deliver(lab, 2**40)
    assert (now(lab).throttle_reason, now(lab).usable_sessions) == (ThrottleReason.THROTTLED, 2)


@pytest.mark.parametrize("bytes_per_step", [1_000_000, 20_000_000, 100_000_000])
def test_another_rate_is_no_penalty(lab, bytes_per_step):
    lab.accounts("a")
    refuse(lab, lab.lease().fence)
    crawl(lab, bytes_per_step=bytes_per_step)
    assert now(lab).throttle_reason is ThrottleReason.SHARED


def test_a_megabyte_per_second_that_the_accounts_file_asks_for_is_no_penalty(lab):
    lab.accounts("a", bandwidth_bytes_per_s=1_000_000)
    refuse(lab, lab.lease().fence)
    crawl(lab)
    assert now(lab).throttle_reason is ThrottleReason.SHARED


def test_a_megabyte_per_second_without_a_refusal_is_no_penalty(lab):
    lab.accounts("a")
    lab.lease()
    crawl(lab)
    assert now(lab).throttle_reason is None


def test_a_reload_and_a_new_boot_end_waiting(lab):
    lab.accounts("a")
    held = [lab.lease() for _ in range(4)]
    refuse(lab, held[0].fence)
    processes.daemon_started(lab.db, lab.clock, version="1", once=False)
    deliver(lab, held[3].fence + 1)
    lab.clock.boot = 5.0  # the machine has booted again
    processes.daemon_started(lab.db, lab.clock, version="1", once=False)
    deliver(lab, held[3].fence + 1)
    assert now(lab).usable_sessions == 3
    leases.close_breakers(lab.db)
    assert now(lab).usable_sessions == 4


def test_fewer_sessions_in_the_accounts_file_count_those_still_held(lab):
    lab.accounts("a", sessions=4)
    held = [lab.lease() for _ in range(4)]
    lab.accounts("a", sessions=2)
    for lease in held[:2]:  # slots 1 and 2 are free, 3 and 4 are still connected
        leases.release(lab.db, lab.clock, lease, cooldown_s=0)
    assert lab.free() == []


def test_status_withholds_the_sessions_that_may_not_be_used(lab):
    lab.accounts("a")
    held = [lab.lease() for _ in range(4)]
    refuse(lab, held[0].fence)
    for lease in held[2:]:
        leases.release(lab.db, lab.clock, lease, cooldown_s=0)
    [account] = snapshot.report(lab.db, lab.clock, running=True).accounts
    assert [mark.value for mark in account.sessions] == ["busy", "busy", "withheld", "withheld"]
    leases.release(lab.db, lab.clock, held[0], cooldown_s=0)
    [account] = snapshot.report(lab.db, lab.clock, running=True).accounts
    assert [mark.value for mark in account.sessions] == ["free", "busy", "withheld", "withheld"]


def test_requests_that_are_in_flight_count_before_they_are_made(lab):
    lab.accounts("a", requests_per_minute=10, sessions=2)
    lab.planned("A", (10,) * 50)
    first, second = lab.lease(), lab.lease()
    work = pieces.next_work(lab.db, lab.clock, first, lab.process)
    assert len(work.pieces) == 9  # the second session has claimed one
    assert now(lab).requests_left == 0
    assert len(pieces.next_work(lab.db, lab.clock, second, lab.process).pieces) == 1
    assert now(lab).requests_left == 0
    assert lab.free() == []


def test_a_request_beyond_those_claimed_with_the_work_is_claimed_before_it_is_sent(lab):
    lab.accounts("a", requests_per_minute=4)
    lab.ready("A")
    first, second = lab.lease(), lab.lease()
    assert pieces.next_work(lab.db, lab.clock, first, lab.process).requests == 1
    assert [leases.claim_one_more(lab.db, lab.clock, first) for _ in range(3)] == [True, True, False]
    download(lab, 0, requests=3, lease=first)
    assert (now(lab).requests, now(lab).claimed_requests, now(lab).requests_left) == (3, 1, 0)
    assert not leases.may_continue(lab.db, lab.clock, first)
    assert leases.may_continue(lab.db, lab.clock, second)
    lab.clock.pass_s(66)
    assert leases.claim_one_more(lab.db, lab.clock, first)


def test_a_claim_that_was_not_used_is_free_again_with_the_session(lab):
    lab.accounts("a", requests_per_minute=10, sessions=1)
    lab.planned("A", (10,) * 50)
    lease = lab.lease()
    pieces.next_work(lab.db, lab.clock, lease, lab.process)
    assert now(lab).requests_left == 0
    leases.release(lab.db, lab.clock, lease, cooldown_s=0)
    assert now(lab).requests_left == 10


def test_what_a_dead_worker_had_claimed_counts_as_sent(lab):
    lab.accounts("a", requests_per_minute=10, sessions=1)
    lab.planned("A", (10,) * 7)
    pieces.next_work(lab.db, lab.clock, lab.lease(), lab.process)
    processes.release(lab.db, lab.clock, lab.process)
    assert (now(lab).requests, now(lab).requests_left) == (7, 3)
    lab.clock.pass_s(66)
    assert now(lab).requests_left == 10


def test_a_session_that_is_no_longer_held_may_send_nothing(lab):
    lab.accounts("a")
    lease = lab.lease()
    leases.release(lab.db, lab.clock, lease, cooldown_s=0)
    with pytest.raises(LeaseLost):
        leases.claim_one_more(lab.db, lab.clock, lease)


@pytest.mark.parametrize(
    "sent",
    [pytest.param({"requests": 95}, id="its-own-requests"), pytest.param({"size_bytes": 10**13}, id="its-own-volume")],
)
def test_a_refusal_that_our_own_counts_explain_is_ours(lab, sent):
    lab.accounts("a", requests_per_minute=100)
    leases.count_traffic(lab.db, lab.clock, "a", **{"requests": 0, "size_bytes": 0, **sent})
    quota_usage.throttled(lab.db, lab.clock, "a", 10**6, grow_after_s=GROW_S)
    assert now(lab).throttle_reason is ThrottleReason.THROTTLED


def test_a_refusal_while_our_sessions_cool_down_is_ours(lab):
    lab.accounts("a")
    held = [lab.lease() for _ in range(4)]
    for lease in held[:3]:
        leases.release(lab.db, lab.clock, lease, cooldown_s=2)
    refuse(lab, held[3].fence)
    assert now(lab).throttle_reason is ThrottleReason.THROTTLED


def test_no_sixty_seconds_see_more_requests_than_the_limit(lab):
    """Two sessions fetch many tiny objects, wherever the minute begins."""
    limit = 60
    unsafe(lab)
    lab.accounts("a", requests_per_minute=limit, sessions=2)
    lab.planned("A", (10,) * 400)
    sent: list[float] = []
    while lab.clock.boot_s() < 1400 and len(sent) < 400:
        taken = [leases.take(lab.db, lab.clock, session, lab.process) for session in lab.free()]
        held = [lease for lease in taken if lease is not None]
        for lease in held:
            if not leases.may_continue(lab.db, lab.clock, lease):
                continue
            work = pieces.next_work(lab.db, lab.clock, lease, lab.process)
            for piece in work.pieces if work else ():
                sent.append(lab.clock.boot_s())
                lab.clock.pass_s(0.13)
                pieces.let_go(lab.db, lease, piece, due_s=1e9)
                download(lab, 10, requests=1, lease=lease)
        for lease in held:
            leases.release(lab.db, lab.clock, lease, cooldown_s=0)
        lab.clock.pass_s(0.7)
    assert len(sent) == 400
    assert all(later - earlier > 60 for earlier, later in zip(sent, sent[limit:], strict=False))
    assert max(later - earlier for earlier, later in itertools.pairwise(sent)) < 66
    assert sent[-1] - sent[0] < 400 / limit * 66


def test_volume_that_is_in_flight_counts_before_it_arrives(lab):
    lab.accounts("a", volume_bytes=100_000_000)
    lab.planned("A", (30_000_000,) * 9)
    held = [lab.lease() for _ in range(4)]
    for lease in held[:3]:
        assert len(pieces.next_work(lab.db, lab.clock, lease, lab.process).pieces) == 1
    assert (now(lab).left_bytes, now(lab).handout_bytes) == (0, 10_000_000)
    assert pieces.next_work(lab.db, lab.clock, held[3], lab.process) is None


def test_thirty_days_of_deliveries_never_pass_the_volume_and_use_nearly_all_of_it(lab):
    unsafe(lab)
    lab.accounts("a", "b", volume_bytes=1_000_000_000, sessions=1)
    lab.planned("A", (30_000_000,) * 300)
    hours: dict[str, list[int]] = {"a": [], "b": []}
    for _ in range(31 * 6):
        for account, brought in hours.items():
            brought.append(0)
            free = [session for session in lab.free() if session.account == account]
            lease = leases.take(lab.db, lab.clock, free[0], lab.process) if free else None
            if lease is None:
                continue
            if (work := pieces.next_work(lab.db, lab.clock, lease, lab.process)) is not None:
                brought[-1] = work.pieces[0].size_bytes
                pieces.let_go(lab.db, lease, work.pieces[0], due_s=1e9)
                download(lab, work.pieces[0].size_bytes, account=account)
            leases.release(lab.db, lab.clock, lease, cooldown_s=0)
        lab.clock.pass_s(4 * HOUR_S)
        leases.forget_old_traffic(lab.db, lab.clock)
    for brought in hours.values():
        windows = [sum(brought[at : at + 180]) for at in range(len(brought))]
        assert max(windows) <= 1_000_000_000
        assert windows[0] >= 900_000_000
        assert sum(brought[-6:]) > 0  # what was fetched first has left the window


def test_sessions_are_leased_in_proportion_to_the_volume_left(lab):
    lab.accounts("a", "b", volume_bytes=10**12, sessions=4)
    download(lab, 6 * 10**11, account="a")
    order = []
    for _ in range(6):
        session = lab.free()[0]
        leases.take(lab.db, lab.clock, session, lab.process)
        order.append(session.account)
    assert order == ["b", "b", "a", "b", "b", "a"]
    assert lab.free()[0] == FreeSession("a", 3)


def test_status_says_when_volume_is_free_again_and_how_much(lab):
    lab.accounts("a", volume_bytes=10**12)
    begun_hour = int(lab.clock.utc_s() // HOUR_S)
    for _ in range(10):
        download(lab, 10**11)
        lab.clock.pass_s(2 * HOUR_S)
    [account] = snapshot.report(lab.db, lab.clock, running=True).accounts
    assert account.error is None
    assert account.wait is not None
    assert (account.wait.limit, account.wait.reason) == (Limit.VOLUME, "its 30-day volume is spent")
    assert account.volume_left_bytes == 0
    assert account.quota_free_at is not None
    assert account.quota_free_at.at == (begun_hour + 720) * HOUR_S
    assert account.quota_free_at.size_bytes == 10**12 - 10**9
    assert lab.free() == []
    lab.clock.pass_s(account.quota_free_at.at - lab.clock.utc_s())
    assert len(lab.free()) == 4


@pytest.mark.parametrize("began_s", [0.0, 1.3, 4.9])
def test_requests_of_the_minute_are_free_as_soon_as_a_second_ends(lab, began_s):
    lab.accounts("a", requests_per_minute=10)
    lab.clock.pass_s(began_s)
    leases.count_traffic(lab.db, lab.clock, "a", requests=10, size_bytes=0)
    begun_s = lab.clock.boot_s()
    while lab.free() == []:
        lab.clock.pass_s(quota_usage.second_ends_in_s(lab.clock))
    assert 60 < lab.clock.boot_s() - begun_s <= 61.1
    lab.clock.pass_s(-0.1)
    assert lab.free() == []


def test_requests_of_one_second_are_free_before_those_of_the_next(lab):
    lab.accounts("a", requests_per_minute=10)
    left = []
    for requests in (1, 2, 0, 3, 4):  # one step of the table
        download(lab, 0, requests=requests)
        lab.clock.pass_s(1)
    lab.clock.pass_s(60 - 5)
    for _ in range(6):
        left.append(now(lab).requests_left)
        lab.clock.pass_s(1)
    assert left == [0, 1, 3, 3, 6, 10]


def test_what_a_dead_worker_had_claimed_counts_as_sent_at_the_end_of_its_step(lab):
    lab.accounts("a", requests_per_minute=2)
    held = [lab.lease(), lab.lease()]
    processes.release(lab.db, lab.clock, lab.process)
    assert len(held) == 2
    lab.clock.pass_s(quota_usage.STEP_S - 1 + quota_usage.COUNTS_FOR_S - 0.1)
    assert now(lab).requests_left == 0
    lab.clock.pass_s(0.1)
    assert now(lab).requests_left == 2
