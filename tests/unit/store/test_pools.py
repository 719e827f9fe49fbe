"""Accounts that share quotas: together they never exceed the connections, requests or volume of their pool."""

import subprocess
import sys
from pathlib import Path

import pytest

from cdsed.clock import SYSTEM_CLOCK
from cdsed.model.operation import EtaLimit
from cdsed.model.quota import Limit, ThrottleReason
from cdsed.model.status_report import StatusReport
from cdsed.store import leases, pieces, quota_usage, snapshot
from cdsed.store.database import open_state
from cdsed.store.leases import AccountLimits
from tests.support.state import SetClock, StateLab

_ROOT = Path(__file__).resolve().parents[3]


def now(lab: StateLab, account: str = "a") -> quota_usage.QuotaUsage:
    found = quota_usage.of(lab.db, lab.clock, account)
    assert found is not None
    return found


def test_two_accounts_hold_no_more_connections_than_their_pool(lab):
    lab.accounts("a", "b", sessions=4, pool_sessions=5)
    held = []
    while free := lab.free():
        held.append(leases.take(lab.db, lab.clock, free[0], lab.process))
    assert sorted(lease.account for lease in held) == ["a", "a", "a", "b", "b"]
    assert now(lab).held_in_pool == now(lab, "b").held_in_pool == 5
    assert [leases.may_continue(lab.db, lab.clock, lease) for lease in held] == [True] * 5


def test_a_connection_that_was_just_closed_counts_in_the_pool_until_it_has_cooled_down(lab):
    lab.accounts("a", "b", sessions=2, pool_sessions=2)
    first, _second = lab.lease("a"), lab.lease("a")
    leases.release(lab.db, lab.clock, first, cooldown_s=2)
    assert lab.free() == []
    lab.clock.pass_s(2.1)
    assert {session.account for session in lab.free()} == {"a", "b"}


def test_a_pool_that_has_become_smaller_keeps_the_oldest_leases(lab):
    lab.accounts("a", "b", sessions=4, pool_sessions=4)
    held = [lab.lease(name) for name in "abab"]
    lab.accounts("a", "b", sessions=4, pool_sessions=2)
    assert [leases.may_continue(lab.db, lab.clock, lease) for lease in held] == [True, True, False, False]


def test_two_accounts_send_no_more_requests_than_their_pool(lab):
    lab.accounts("a", "b", requests_per_minute=10, sessions=1, shares=frozenset({Limit.REQUESTS}))
    lab.planned("A", (10,) * 50)
    first, second = lab.lease("a"), lab.lease("b")
    assert len(pieces.next_work(lab.db, lab.clock, first, lab.process).pieces) == 9  # the other has claimed one
    assert len(pieces.next_work(lab.db, lab.clock, second, lab.process).pieces) == 1
    assert not leases.claim_one_more(lab.db, lab.clock, first)
    assert not leases.claim_unleased(lab.db, lab.clock, "b")
    assert now(lab).requests_left == now(lab, "b").requests_left == 0


def test_two_accounts_are_handed_out_no_more_than_the_volume_of_their_pool(lab):
    lab.accounts("a", "b", volume_bytes=100_000_000, shares=frozenset({Limit.VOLUME}))
    lab.planned("A", (30_000_000,) * 9)
    held = [lab.lease(name) for name in "abab"]
    handed = [pieces.next_work(lab.db, lab.clock, lease, lab.process) for lease in held]
    assert [len(work.pieces) if work else 0 for work in handed] == [1, 1, 1, 0]
    assert now(lab, "b").handout_bytes == 10_000_000


def test_what_left_the_accounts_file_still_counts_in_the_pool(lab):
    lab.accounts("a", "b", volume_bytes=1000, shares=frozenset({Limit.VOLUME}))
    leases.count_traffic(lab.db, lab.clock, "b", requests=1, size_bytes=600)
    lab.accounts("a", volume_bytes=1000, shares=frozenset({Limit.VOLUME}))
    leases.count_traffic(lab.db, lab.clock, "a", requests=1, size_bytes=300)
    assert now(lab).used_bytes == 900


def test_each_group_has_its_own_pool_and_accounts_that_share_nothing_count_for_themselves(lab):
    shared = {"shares": frozenset({Limit.VOLUME, Limit.REQUESTS}), "pool_sessions": 1}
    limits = [("a", "one", shared), ("b", "one", shared), ("c", "two", shared), ("d", "three", {}), ("e", "three", {})]
    leases.sync_accounts(
        lab.db,
        [
            AccountLimits(name, group, 1, 100, 10_000, None, has_keys=True, **more)  # type: ignore[arg-type]
            for name, group, more in limits
        ],
    )
    for number, name in enumerate("abcde", start=1):
        leases.count_traffic(lab.db, lab.clock, name, requests=number, size_bytes=number * 10)
    lab.clock.pass_s(0)
    used = {each.name: (each.used_bytes, each.requests) for each in quota_usage.of_all(lab.db, lab.clock)}
    assert used == {"a": (30, 3), "b": (30, 3), "c": (30, 3), "d": (40, 4), "e": (50, 5)}
    for group in ("one", "two", "three"):
        while free := lab.free(group):
            leases.take(lab.db, lab.clock, free[0], lab.process)
    held = {each.name: each.held for each in quota_usage.of_all(lab.db, lab.clock)}
    assert (held["a"] + held["b"], held["c"], held["d"], held["e"]) == (1, 1, 1, 1)


def test_a_refusal_of_a_full_pool_is_ours(lab):
    lab.accounts("a", "b", sessions=4, pool_sessions=4)
    held = [lab.lease("a"), *(lab.lease("b") for _ in range(3))]
    quota_usage.throttled(lab.db, lab.clock, "a", held[0].fence, grow_after_s=60)
    assert now(lab).throttle_reason is ThrottleReason.THROTTLED


def test_a_pool_frees_with_the_traffic_of_all_its_accounts(lab):
    lab.accounts("a", "b", volume_bytes=10**12, shares=frozenset({Limit.VOLUME}))
    hour = int(lab.clock.utc_s() // 3600)
    leases.count_traffic(lab.db, lab.clock, "b", requests=1, size_bytes=7 * 10**11)
    lab.clock.pass_s(26 * 3600)
    leases.count_traffic(lab.db, lab.clock, "a", requests=1, size_bytes=3 * 10**11)
    report = snapshot.report(lab.db, lab.clock, running=True)
    [pool] = report.pools
    assert (pool.volume_used_bytes, pool.volume_bytes, pool.requests_per_minute, pool.sessions) == (
        10**12,
        10**12,
        None,
        None,
    )
    assert pool.quota_free_at is not None
    assert pool.quota_free_at.at == (hour + 720) * 3600
    assert report.used_bytes == 10**12, "a shared volume counts once"
    assert {each.wait.reason for each in report.accounts} == {"the 30-day volume that its group shares is spent"}


def test_the_forecast_spends_the_volume_of_a_pool_once(lab):
    lab.listed("x", lab.planned("A", (1_500_000_000,)))

    def seen() -> StatusReport:
        for _ in range(4):
            for name in "ab":
                leases.count_traffic(lab.db, lab.clock, name, requests=1, size_bytes=1_000_000)
            lab.clock.pass_s(5)
        return snapshot.report(lab.db, lab.clock, running=True)

    lab.accounts("a", "b", volume_bytes=10**9)
    assert seen().eta.seconds == pytest.approx(1_500_000_000 / 400_000, rel=0.05)
    lab.accounts("a", "b", volume_bytes=10**9, shares=frozenset({Limit.VOLUME}))
    assert seen().eta.seconds > 29 * 86_400
    assert seen().eta.limit is EtaLimit.VOLUME


_PROCESS = """
import random, sys, time
from pathlib import Path
from cdsed.clock import SYSTEM_CLOCK
from cdsed.store import leases, pieces, processes
from cdsed.store.database import open_state

db = open_state(Path(sys.argv[1]))
lock = Path(sys.argv[1]) / f"process.{sys.argv[2]}.lock"
lock.touch()
process = processes.register(db, SYSTEM_CLOCK, name=sys.argv[2], lock=lock)
dice = random.Random(sys.argv[2])
most_held = refused = 0
end_s = time.monotonic() + 40
while refused < 50 and time.monotonic() < end_s:  # until the limit is reached, and then some more
    free = leases.free_sessions(db, SYSTEM_CLOCK, ["default"])
    lease = leases.take(db, SYSTEM_CLOCK, dice.choice(free), process) if free else None
    sessions = db.rows("SELECT process, rest_until_s FROM session")
    now_s = SYSTEM_CLOCK.boot_s()  # after the look: another process may take a session as soon as it has rested
    held = sum(each["process"] is not None or each["rest_until_s"] > now_s for each in sessions)
    if lease is None:
        refused += held == 0
        continue
    most_held = max(most_held, held)
    work = pieces.next_work(db, SYSTEM_CLOCK, lease, process)
    refused = 0 if work else refused + 1
    for piece in work.pieces if work else ():
        pieces.let_go(db, lease, piece)
        leases.count_traffic(db, SYSTEM_CLOCK, lease.account, requests=1, size_bytes=piece.size_bytes, lease=lease)
    leases.release(db, SYSTEM_CLOCK, lease, cooldown_s=dice.choice([0, 0.01]))
print(most_held)
"""


@pytest.mark.parametrize(
    ("requests", "volume_bytes"),
    [pytest.param(300, 10**13, id="requests"), pytest.param(10**6, 40_000_000, id="volume")],
)
def test_three_processes_together_never_exceed_a_pool(tmp_path, requests, volume_bytes):
    lab = StateLab(open_state(tmp_path), SetClock(), tmp_path)
    lab.db.rows("PRAGMA synchronous = OFF")
    shared = frozenset({Limit.VOLUME, Limit.REQUESTS})
    limits = {"requests_per_minute": requests, "volume_bytes": volume_bytes, "pool_sessions": 2}
    lab.accounts("a", "b", sessions=2, shares=shared, **limits)
    lab.planned("A", (200_000,) * 60)
    command = [sys.executable, "-c", _PROCESS, str(tmp_path)]
    running = [
        subprocess.Popen([*command, str(number)], stdout=subprocess.PIPE, text=True, cwd=_ROOT) for number in range(3)
    ]
    most_held = [int(process.communicate(timeout=60)[0]) for process in running]
    assert max(most_held) <= 2
    sent = lab.db.row("SELECT sum(requests) AS requests, sum(bytes) AS bytes FROM traffic_hour")
    used = quota_usage.of(lab.db, SYSTEM_CLOCK, "a")
    assert sent is not None
    assert used is not None
    assert used.used_bytes == sent["bytes"] <= volume_bytes
    assert sent["requests"] <= requests
    assert sent["requests"] == requests or sent["bytes"] > 0.85 * volume_bytes, "the limit was reached"
    lab.db.close()
