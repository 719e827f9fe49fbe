"""Sessions: which worker gets one, and that two never share one."""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cdsed.clock import SYSTEM_CLOCK
from cdsed.errors import LeaseLost
from cdsed.model.objects import Digests
from cdsed.model.status_report import Rates
from cdsed.process.lock import KernelLock
from cdsed.store import leases, pieces, processes, quota_usage, snapshot
from cdsed.store.database import open_state
from cdsed.store.leases import FreeSession
from tests.support.state import SetClock, StateLab

_ROOT = Path(__file__).resolve().parents[3]


def is_free(path: Path) -> bool:
    """Ask the kernel whether the flock of a file is free."""
    lock = KernelLock(path)
    free = lock.acquire()
    lock.release()
    return free


def test_a_session_is_held_by_one(lab):
    lab.accounts("a", sessions=1)
    first = leases.take(lab.db, lab.clock, FreeSession("a", 1), lab.process)
    assert first is not None
    assert leases.take(lab.db, lab.clock, FreeSession("a", 1), lab.new_process("other")) is None
    assert lab.free() == []


def test_a_fence_is_never_given_twice(lab):
    lab.accounts("a")
    fences = []
    for _ in range(20):
        lease = lab.lease()
        fences.append(lease.fence)
        leases.release(lab.db, lab.clock, lease, cooldown_s=0)
    assert fences == sorted(set(fences))


def test_a_session_rests_after_use(lab):
    lab.accounts("a", sessions=1)
    leases.release(lab.db, lab.clock, lab.lease(), cooldown_s=2)
    assert lab.free() == []
    lab.clock.pass_s(2.1)
    assert lab.free() == [FreeSession("a", 1)]


def test_it_is_known_when_the_first_session_that_rests_may_be_leased_again(lab):
    lab.accounts("a", sessions=2)
    held = [lab.lease(), lab.lease()]
    second_ends_in_s = quota_usage.second_ends_in_s(lab.clock)
    assert leases.more_in_s(lab.db, lab.clock) == second_ends_in_s
    leases.release(lab.db, lab.clock, held[0], cooldown_s=second_ends_in_s + 1)
    assert leases.more_in_s(lab.db, lab.clock) == second_ends_in_s
    leases.release(lab.db, lab.clock, held[1], cooldown_s=second_ends_in_s / 2)
    lab.clock.pass_s(leases.more_in_s(lab.db, lab.clock))
    assert lab.free() == [FreeSession("a", held[1].slot)]


def test_giving_back_a_lease_that_is_lost_changes_nothing(lab):
    lab.accounts("a", sessions=1)
    lost = lab.lease()
    processes.release(lab.db, lab.clock, lab.process)
    lab.process = lab.new_process("next")
    held = lab.lease()
    leases.release(lab.db, lab.clock, lost, cooldown_s=0)
    assert lab.free() == []
    assert leases.may_continue(lab.db, lab.clock, held)
    assert not leases.may_continue(lab.db, lab.clock, lost)


def test_requests_of_a_minute_used_up_stop_leasing_until_they_are_a_minute_old(lab):
    lab.accounts("a", requests_per_minute=10)
    lease = lab.lease()
    leases.count_traffic(lab.db, lab.clock, "a", requests=9, size_bytes=0)
    assert leases.may_continue(lab.db, lab.clock, lease)
    leases.count_traffic(lab.db, lab.clock, "a", requests=1, size_bytes=0)
    assert not leases.may_continue(lab.db, lab.clock, lease)
    assert lab.free() == []
    lab.clock.pass_s(59)
    assert not leases.may_continue(lab.db, lab.clock, lease)
    lab.clock.pass_s(6)
    assert leases.may_continue(lab.db, lab.clock, lease)
    assert len(lab.free()) == 3


def test_the_volume_of_30_days_used_up_stops_leasing_until_it_frees(lab):
    lab.accounts("a", volume_bytes=1000)
    lease = lab.lease()
    leases.count_traffic(lab.db, lab.clock, "a", requests=1, size_bytes=1000)
    assert lab.free() == []
    assert not leases.may_continue(lab.db, lab.clock, lease)
    lab.clock.pass_s(30 * 24 * 3600 - 3600)
    assert lab.free() == []
    lab.clock.pass_s(3600)
    assert len(lab.free()) == 3
    assert leases.may_continue(lab.db, lab.clock, lease)


def test_old_traffic_is_forgotten_and_the_window_is_not(lab):
    lab.accounts("a", volume_bytes=1000)
    leases.count_traffic(lab.db, lab.clock, "a", requests=1, size_bytes=1000)
    lab.clock.pass_s(29 * 24 * 3600)
    leases.forget_old_traffic(lab.db, lab.clock)
    assert lab.free() == []
    lab.clock.pass_s(3 * 24 * 3600)
    leases.forget_old_traffic(lab.db, lab.clock)
    assert lab.db.value("SELECT count(*) FROM traffic_hour") == 0
    assert lab.db.value("SELECT count(*) FROM traffic_step") == 0


def test_an_expired_key_is_not_leased_nor_gone_on_with(lab):
    lab.accounts("a", key_expires_at=lab.clock.utc_s() + 10)
    lease = lab.lease()
    lab.clock.pass_s(11)
    assert lab.free() == []
    assert not leases.may_continue(lab.db, lab.clock, lease)


def test_an_account_that_left_the_accounts_file_ends_with_its_leases(lab):
    lab.accounts("a", "b")
    lease = lab.lease("a")
    lab.accounts("b")
    assert not leases.may_continue(lab.db, lab.clock, lease)
    assert {session.account for session in lab.free()} == {"b"}


def test_fewer_sessions_than_before_are_not_leased_again(lab):
    lab.accounts("a", sessions=4)
    lab.accounts("a", sessions=2)
    assert lab.free() == [FreeSession("a", 1), FreeSession("a", 2)]


def test_load_spreads_over_accounts(lab):
    lab.accounts("a", "b")
    held = [lab.lease(lab.free()[0].account).account for _ in range(4)]
    assert sorted(held) == ["a", "a", "b", "b"]


def test_a_group_gets_only_its_own_accounts(lab):
    lab.accounts("a", group="other")
    assert lab.free("default") == []
    assert len(lab.free("other")) == 4


# One contender: takes any free session, first its flock and then its row, writes down that it is in, holds it for a
# moment, writes down that it is out. An append of a few bytes is atomic, so the file is a true order of events.
_CONTENDER = """
import os, random, sys, time
from pathlib import Path
from cdsed.clock import SYSTEM_CLOCK as clock
from cdsed.process.lock import KernelLock
from cdsed.store import leases, processes
from cdsed.store.database import open_state
root = Path(sys.argv[1])
dice = random.Random(int(sys.argv[2]))
lock = KernelLock(root / f"process.{os.getpid()}.lock")
lock.acquire()
db = open_state(root)
me = processes.register(db, clock, name=str(os.getpid()), lock=lock.path)
while True:
    free = leases.free_sessions(db, clock, ["default"])
    for session in dice.sample(free, len(free)):
        own = KernelLock(root / f"{session.account}.{session.slot}.lock")
        if not own.acquire():
            continue
        lease = leases.take(db, clock, session, me)
        if lease is None:
            own.release()
            continue
        witness = KernelLock(root / f"{session.account}.{session.slot}.witness")
        if not witness.acquire():
            (root / "SHARED").write_text(f"{session} was held twice")
        with open(root / "fences", "ab", buffering=0) as fences:
            fences.write(b"%s.%d %d\\n" % (session.account.encode(), session.slot, lease.fence))
        time.sleep(dice.uniform(0, 0.01))
        witness.release()
        leases.release(db, clock, lease, cooldown_s=0)
        own.release()
        break
"""


def test_processes_killed_at_random_never_share_a_session(tmp_path):
    db = open_state(tmp_path)
    lab = StateLab(db, SetClock(), tmp_path)
    processes.release(db, lab.clock, lab.process)
    lab.accounts("a", "b")
    dice = random.Random(7)

    def start(number: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", _CONTENDER, str(tmp_path), str(number)], cwd=_ROOT)

    contenders = [start(number) for number in range(8)]
    kills = 0
    try:
        until = time.monotonic() + 120
        fences = tmp_path / "fences"
        fences.touch()
        while (kills < 25 or len(fences.read_bytes().split(b"\n")) < 250) and time.monotonic() < until:
            time.sleep(dice.uniform(0.02, 0.2))  # the moment of a kill is what is random here
            victim = dice.randrange(8)
            contenders[victim].kill()
            contenders[victim].wait()
            kills += 1
            processes.reclaim(
                db,
                SYSTEM_CLOCK,
                is_free,
                session_lock=lambda account, slot: tmp_path / f"{account}.{slot}.lock",
                cooldown_s=0,
            )
            contenders[victim] = start(100 + kills)
    finally:
        for contender in contenders:
            contender.kill()
            contender.wait()
    taken = [line.split() for line in fences.read_text(encoding="utf-8").split("\n") if line]
    assert kills >= 25
    assert not (tmp_path / "SHARED").exists()
    assert len({session for session, _ in taken}) == 8
    assert len({fence for _, fence in taken}) == len(taken) > 200
    for session in {session for session, _ in taken}:
        fences = [int(fence) for name, fence in taken if name == session]
        assert fences == sorted(fences)
    processes.reclaim(db, SYSTEM_CLOCK, is_free, session_lock=lambda a, s: tmp_path / f"{a}.{s}.lock", cooldown_s=0)
    assert db.value("SELECT count(*) FROM session WHERE process IS NOT NULL") == 0
    assert db.value("SELECT count(*) FROM process") == 0
    db.close()


def test_a_stopped_process_keeps_its_sessions(lab):
    lab.accounts("a", sessions=1)
    lab.lease()
    with KernelLock(lab.root / "process.download-1.lock"):
        dead = processes.reclaim(
            lab.db, lab.clock, is_free, session_lock=lambda a, s: lab.root / f"{a}.{s}", cooldown_s=0
        )
    assert dead == []
    assert lab.free() == []


def test_the_next_work_of_a_lost_lease_is_not_noted(lab):
    lab.accounts("a")
    lab.planned("A", (10,))
    lease = lab.lease()
    work = pieces.next_work(lab.db, lab.clock, lease, lab.process)
    processes.release(lab.db, lab.clock, lab.process)
    with pytest.raises(LeaseLost):
        pieces.advance(lab.db, lease, work.pieces[0], 5)
    with pytest.raises(LeaseLost):
        pieces.finish(lab.db, lease, {work.pieces[0]: Digests()})
    assert lab.db.value("SELECT done_bytes FROM piece") == 0


def test_speed_is_the_mean_over_the_last_minutes_whatever_the_wall_clock_does(lab):
    def rates():
        found = snapshot.report(lab.db, lab.clock, running=True).rates
        return found.over_1_min, found.over_10_min, found.over_60_min

    lab.accounts("a", "b")
    assert rates() == (0, 0, 0)
    leases.count_traffic(lab.db, lab.clock, "a", requests=1, size_bytes=4_000)
    leases.count_traffic(lab.db, lab.clock, "b", requests=1, size_bytes=2_000)
    lab.clock.utc -= 86_400  # the clock is set back
    lab.clock.pass_s(20)
    assert rates() == (300, 300, 300)  # it has only just begun
    lab.clock.pass_s(100)
    assert rates() == (0, 50, 50)
    lab.clock.pass_s(1080)
    leases.count_traffic(lab.db, lab.clock, "a", requests=1, size_bytes=600_000)
    assert rates() == (10_000, 1_000, 505)
    lab.clock.pass_s(2405)
    leases.forget_old_traffic(lab.db, lab.clock)
    assert rates() == (0, 0, 600_000 / 2405)


def test_a_login_under_a_new_name_has_what_it_holds_and_has_used_under_the_former_one(lab):
    lab.accounts("former", login="one", volume_bytes=1000)
    for _ in range(3):
        lab.lease("former")
    leases.count_traffic(lab.db, lab.clock, "former", requests=7, size_bytes=600)
    lab.accounts("new", login="one", volume_bytes=1000)
    assert len([lab.lease("new")]) == 1
    assert lab.free() == []
    now = quota_usage.of(lab.db, lab.clock, "new")
    assert (now.held, now.used_bytes, now.requests) == (4, 600, 7)


def test_a_name_given_to_another_login_leaves_the_first_one_what_it_holds(lab):
    lab.accounts("a", login="one")
    held = [lab.lease("a") for _ in range(4)]
    leases.sync_accounts(
        lab.db,
        [
            leases.AccountLimits(name, "default", 4, 2000, 10**13, None, has_keys=True, login=login)
            for name, login in (("a", "two"), ("b", "one"))
        ],
    )
    assert lab.free() == []  # all of the first login's connections are still open, under its former name
    leases.release(lab.db, lab.clock, held[0], cooldown_s=0)
    assert {(each.account, each.login) for each in lab.free()} >= {("b", "one")}


def test_products_of_a_group_without_accounts_are_reported(lab):
    lab.accounts("a", group="former")
    lab.ready("A", group="former")
    processes.daemon_started(lab.db, lab.clock, version="0", once=False)
    assert snapshot.report(lab.db, lab.clock, running=True).why_idle is None
    lab.accounts("a", group="new")
    assert "no account of group former" in (snapshot.report(lab.db, lab.clock, running=True).why_idle or "")


def test_after_a_new_boot_no_speed_of_the_former_one_is_shown(lab):
    lab.accounts("a")
    processes.daemon_started(lab.db, lab.clock, version="1", once=False)
    leases.count_traffic(lab.db, lab.clock, "a", requests=1, size_bytes=6_000)
    assert snapshot.report(lab.db, lab.clock, running=False).rates.over_60_min > 0
    lab.clock.utc += 600  # and as many seconds since boot as before
    assert snapshot.report(lab.db, lab.clock, running=False).rates == Rates()
