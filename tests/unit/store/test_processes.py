"""Live processes, and what dead workers held."""

import contextlib

import pytest

from cdsed.model.objects import ResumePoint
from cdsed.model.product_state import State
from cdsed.store import breakers, pieces, processes, products, snapshot
from cdsed.store.breakers import SERVICE, BreakerPolicy
from cdsed.store.database import open_state
from cdsed.store.move import Move
from cdsed.store.processes import Evidence
from tests.support.state import BROKEN, SetClock, StateLab


def reclaim(lab, *, alive=(), busy=(), says=Evidence.PROOF):
    living = {f"process.{name}.lock" for name in alive}
    return processes.reclaim(
        lab.db,
        lab.clock,
        lambda path: path.name not in living and path.name not in busy,
        session_lock=lambda account, slot: lab.root / f"{account}.{slot}.lock",
        cooldown_s=2,
        evidence=lambda _dead: says,
    )


class BusyLab(StateLab):
    """A worker in the middle of everything: resolving, planning, verifying, and fetching a piece."""

    def __init__(self, db, clock, root):
        super().__init__(db, clock, root)
        self.accounts("a")
        self.numbers = {"fetched": self.planned("fetched"), "arrived": self.planned("arrived", (0,))}
        self.numbers |= {name: self.ready(name) for name in ("planned", "idle")}
        with db.write():
            products.claim_ready(db, clock, self.numbers["planned"], self.process)
        products.claim_verifying(db, clock, self.process)
        pieces.next_work(db, clock, self.lease(), self.process)
        self.numbers["resolved"] = self.queued("resolved")
        products.claim_resolving(db, clock, self.process, (each.id for each in products.queued(db, 1)))


@pytest.fixture
def busy(tmp_path):
    """The state in which that worker is."""
    with contextlib.closing(open_state(tmp_path / "state")) as db:
        yield BusyLab(db, SetClock(), tmp_path)


def deaths(lab):
    return {row["safename"] for row in lab.db.rows("SELECT safename FROM product WHERE deaths > 0")}


def test_living_workers_keep_their_work(busy):
    assert reclaim(busy, alive=["download-1"]) == []
    assert busy.state(busy.numbers["arrived"]) is State.VERIFYING


def test_what_a_dead_worker_held_is_free_again_and_only_what_it_was_at_is_suspected(busy):
    assert reclaim(busy) == ["download-1"]
    states = {name: busy.state(number).value for name, number in busy.numbers.items()}
    assert states == {
        "fetched": "downloading",
        "arrived": "downloading",
        "planned": "ready",
        "idle": "ready",
        "resolved": "queued",
    }
    assert deaths(busy) == {"fetched", "arrived", "planned"}
    assert busy.db.value("SELECT count(*) FROM piece WHERE fence IS NOT NULL") == 0
    assert busy.db.value("SELECT count(*) FROM product WHERE process IS NOT NULL") == 0
    assert len(busy.free()) == 3
    busy.clock.pass_s(2.1)
    assert len(busy.free()) == 4


def test_a_worker_that_left_because_of_the_state_charges_no_product(busy):
    (busy.root / "process.download-1.lock").write_bytes(processes.LEFT)
    assert reclaim(busy) == ["download-1"]
    assert deaths(busy) == set()
    assert busy.db.value("SELECT count(*) FROM piece WHERE fence IS NOT NULL") == 0


def test_an_unseen_death_charges_no_product(busy):
    """The same holds after a power cut, and if the supervisor died too."""
    assert reclaim(busy, says=processes.no_evidence(None)) == ["download-1"]
    assert deaths(busy) == set()


def test_a_death_of_which_nothing_is_known_yet_waits(busy):
    assert reclaim(busy, says=None) == []
    assert busy.db.value("SELECT count(*) FROM piece WHERE fence IS NOT NULL") == 1


def test_an_orderly_end_releases_everything_uncharged(busy):
    processes.release(busy.db, busy.clock, busy.process)
    assert deaths(busy) == set()
    assert len(busy.free()) == 4
    assert reclaim(busy) == []


def test_a_session_whose_own_lock_is_held_is_not_taken_back(busy):
    assert reclaim(busy, busy=["a.1.lock"]) == []
    assert deaths(busy) == set()


def test_the_third_death_gives_a_product_up_and_no_other(lab):
    lab.accounts("a")
    guilty, innocent = lab.ready("guilty"), lab.planned("innocent")
    for death in range(3):
        with lab.db.write():
            products.claim_ready(lab.db, lab.clock, guilty, lab.process)
        reclaim(lab)
        lab.process = lab.new_process(f"next-{death}")
        assert lab.state(guilty) is (State.FAILED if death == 2 else State.READY)
    product = products.get(lab.db, guilty)
    assert "killed the worker" in product.cause
    assert lab.state(innocent) is State.DOWNLOADING


def test_a_product_that_kills_its_verifier_thrice_is_given_up(lab):
    number = lab.planned("A", (0,))
    for death in range(3):
        assert products.claim_verifying(lab.db, lab.clock, lab.process) is not None
        reclaim(lab)
        lab.clock.pass_s(6)  # after the second death no worker must have died for a while
        lab.process = lab.new_process(f"next-{death}")
    assert lab.state(number) is State.FAILED


def test_what_a_dead_worker_wrote_is_kept_to_its_resume_point(lab):
    lab.accounts("a")
    lab.planned("A", (100,))
    lease = lab.lease()
    [piece] = pieces.next_work(lab.db, lab.clock, lease, lab.process).pieces
    booted_at = lab.clock.utc_s() - lab.clock.boot_s()
    (lab.root / "a.1.lock").write_bytes(ResumePoint(lease.fence, piece.id, 60, booted_at).pack())
    reclaim(lab)
    lab.clock.pass_s(3)
    process = lab.new_process("next")
    [rest] = pieces.next_work(lab.db, lab.clock, lab.lease(process=process), process).pieces
    assert rest.done_bytes == 60


@pytest.mark.parametrize(("fence_off", "boot_off"), [(1, 0.0), (0, 3600.0)])
def test_a_resume_point_of_another_lease_or_boot_is_ignored(lab, fence_off, boot_off):
    lab.accounts("a")
    lab.planned("A", (100,))
    lease = lab.lease()
    [piece] = pieces.next_work(lab.db, lab.clock, lease, lab.process).pieces
    booted_at = lab.clock.utc_s() - lab.clock.boot_s() - boot_off
    (lab.root / "a.1.lock").write_bytes(ResumePoint(lease.fence - fence_off, piece.id, 60, booted_at).pack())
    reclaim(lab)
    assert lab.db.value("SELECT max(done_bytes, written_bytes) FROM piece") == 0


def start(lab):
    processes.daemon_started(lab.db, lab.clock, version="1", once=False)


def test_a_restart_keeps_due_times_and_a_new_boot_makes_them_now(lab):
    lab.accounts("a")
    start(lab)
    waiting, piece_of = lab.planned("A"), lab.planned("B")
    due_s = lab.clock.boot_s() + 5000
    products.move(lab.db, lab.clock, products.get(lab.db, waiting), Move(State.RETRY_WAIT, cause="x", due_s=due_s))
    lab.db.rows("UPDATE piece SET due_s = :due_s, written_bytes = 5", due_s=due_s)
    breakers.fail(lab.db, lab.clock, SERVICE, BreakerPolicy(1, 5000, 5000), BROKEN)
    lab.db.rows("UPDATE session SET rest_until_s = :due_s", due_s=due_s)
    start(lab)
    products.wake_due(lab.db, lab.clock)
    assert lab.state(waiting) is State.RETRY_WAIT
    lab.clock.utc += 600
    lab.clock.boot = 20.0
    start(lab)
    products.wake_due(lab.db, lab.clock)
    assert lab.state(waiting) is State.READY
    assert len(lab.free()) == 4
    [piece] = pieces.next_work(lab.db, lab.clock, lab.lease(), lab.process).pieces
    assert (products.get(lab.db, piece_of).id, piece.done_bytes) == (piece_of, 0)


def test_a_daemon_that_left_in_order_has_not_died(lab):
    start(lab)
    assert snapshot.report(lab.db, lab.clock, running=True).daemon.state == "running"
    assert snapshot.report(lab.db, lab.clock, running=False).daemon.state == "died"
    processes.daemon_stopped(lab.db, lab.clock)
    assert snapshot.report(lab.db, lab.clock, running=False).daemon.state == "stopped"
