"""A product that kills workers is parked after the third. One that was under way by chance is not.

With real processes: ``test_a_product_that_kills_its_worker_three_times…`` in ``test_deaths.py``.
"""

from pathlib import Path
from typing import Any

from cdsed.model.product_state import State
from cdsed.store import breakers, pieces, processes, products
from cdsed.store.database import open_state
from cdsed.store.processes import Evidence
from tests.support.state import StateLab


def _die(lab: Any, number: int, *, says: Evidence = Evidence.PROOF) -> None:
    """Let the worker of the lab crash, and give it another."""
    dead = processes.reclaim(
        lab.db,
        lab.clock,
        lambda _path: True,
        session_lock=lambda account, slot: Path(lab.root / f"{account}.{slot}.lock"),
        cooldown_s=0.0,
        evidence=lambda _dead: says,
    )
    assert dead
    lab.process = lab.new_process(f"next-{number}-{lab.clock.boot_s()}")


def _hand_out(lab: Any) -> str | None:
    """Take the next work under a new lease; return the product's name."""
    work = pieces.next_work(lab.db, lab.clock, lab.lease(), lab.process)
    return None if work is None else str(work.product.safename)


def test_the_third_death_waits_until_workers_have_lived_for_a_while(lab: Any) -> None:
    lab.accounts("a")
    number = lab.planned("suspect", (10,))
    for death in range(2):
        assert _hand_out(lab) == "suspect"
        _die(lab, death)
    assert _hand_out(lab) is None  # two workers died: the next death decides, so not now
    assert breakers.is_open(lab.db, lab.clock, breakers.SUSPECTS)
    lab.clock.pass_s(6)
    assert _hand_out(lab) == "suspect"
    _die(lab, 2)
    row = lab.db.row("SELECT state, code, cause FROM product WHERE id = :id", id=number)
    assert (row["state"], row["code"]) == ("failed", "KilledWorker")
    assert "cdsed retry" in row["cause"]


def test_deaths_elsewhere_put_the_decision_off_and_the_others_continue(lab: Any) -> None:
    lab.accounts("a")
    suspect = lab.planned("suspect", (10,))
    for death in range(2):
        _hand_out(lab)
        _die(lab, death)
    lab.planned("innocent", (10,))
    for death in range(20):  # workers are killed every other second
        lab.clock.pass_s(2)
        assert _hand_out(lab) in ("innocent", None)
        lab.db.rows("UPDATE product SET deaths = 0 WHERE safename = 'innocent'")
        _die(lab, 10 + death)
    assert lab.state(suspect) is State.DOWNLOADING
    lab.clock.pass_s(6)
    lease = lab.lease()
    assert [lab.fetched(lease).safename for _ in range(2)] == ["innocent", "suspect"]
    assert lab.db.value("SELECT deaths FROM product WHERE id = :id", id=suspect) == 0


def test_a_suspect_that_arrives_is_cleared_and_the_weaker_suspicion_goes_first(lab: Any) -> None:
    lab.accounts("a")
    poison, bystander = lab.planned("poison", (10,)), lab.planned("bystander", (10,))
    assert {_hand_out(lab), _hand_out(lab)} == {"poison", "bystander"}
    _die(lab, 0)
    assert _hand_out(lab) == "poison"
    assert _hand_out(lab) is None  # suspects are worked on one at a time
    _die(lab, 1)
    assert lab.fetched(lab.lease()).safename == "bystander"
    lab.clock.pass_s(6)
    assert _hand_out(lab) == "poison"
    _die(lab, 2)
    assert lab.state(poison) is State.FAILED
    assert lab.state(bystander) is State.DOWNLOADING


def test_a_suspect_is_worked_on_by_a_process_that_is_at_nothing_else(lab: Any) -> None:
    lab.accounts("a")
    suspect, other = lab.planned("suspect", (10, 10_000_000)), lab.planned("other", (10, 10_000_000))
    lab.db.rows("UPDATE product SET deaths = 1 WHERE id = :id", id=suspect)
    busy, fresh = lab.process, None
    held = lab.lease()
    lab.db.rows("UPDATE product SET deaths = 0 WHERE id = :id", id=suspect)
    work = pieces.next_work(lab.db, lab.clock, held, busy)
    assert work.product.safename == "suspect"
    lab.db.rows("UPDATE piece SET fence = NULL")
    lab.db.rows("UPDATE product SET deaths = 1 WHERE id = :id", id=suspect)
    lab.db.rows("UPDATE piece SET fence = :fence WHERE product = :other", fence=held.fence, other=other)
    # The only process finishes its work, and takes no new work.
    assert pieces.next_work(lab.db, lab.clock, lab.lease(), busy) is None
    # An idle process takes it, and no other work beside it.
    fresh = lab.new_process("download-2")
    first, second = lab.lease(process=fresh), lab.lease(process=fresh)
    assert pieces.next_work(lab.db, lab.clock, first, fresh).product.safename == "suspect"
    lab.db.rows("UPDATE piece SET fence = NULL WHERE product = :other", other=other)
    joined = pieces.next_work(lab.db, lab.clock, second, fresh)
    assert joined is None or joined.product.safename == "suspect"
    again = pieces.next_work(lab.db, lab.clock, held, busy)
    assert again.product.safename == "other"


def test_suspects_without_a_free_session_delay_no_other(lab: Any) -> None:
    lab.accounts("a")
    lab.planned("other", (10,))
    suspect = lab.planned("suspect", (10,), group="elsewhere")  # a group without an account
    lab.db.rows("UPDATE product SET deaths = 2 WHERE id = :id", id=suspect)
    assert _hand_out(lab) == "other"


def test_only_the_product_a_worker_was_alone_with_is_charged_for_its_crash(lab: Any) -> None:
    lab.accounts("a")
    one, two = lab.planned("one", (10,)), lab.planned("two", (10,))
    deaths = "SELECT deaths FROM product WHERE id IN (:one, :two) ORDER BY id"

    def charged() -> list[int]:
        return [row["deaths"] for row in lab.db.rows(deaths, one=one, two=two)]

    for death in range(5):
        with lab.db.write():
            lease = lab.lease()
            lab.db.rows("UPDATE piece SET fence = :fence", fence=lease.fence)
        _die(lab, death)
        assert charged() == [1, 1]  # suspected: one of two, and it is not known which
        lab.clock.pass_s(6)
    _hand_out(lab)
    _die(lab, 9)
    assert charged() == [2, 1]
    assert lab.state(one) is State.DOWNLOADING


def test_a_crash_together_with_others_is_only_a_suspicion(lab: Any) -> None:
    lab.accounts("a")
    number = lab.planned("A", (10,))
    for death in range(4):
        assert _hand_out(lab) == "A"
        _die(lab, death, says=Evidence.SUSPICION)
        lab.clock.pass_s(6)
    assert lab.db.value("SELECT deaths FROM product WHERE id = :id", id=number) == 1


def test_a_restart_forgets_no_death(lab: Any) -> None:
    lab.accounts("a")
    number = lab.planned("suspect", (10,))
    for death in range(2):
        _hand_out(lab)
        _die(lab, death)
    db = open_state(lab.root / "state")
    (lab.root / "again").mkdir()
    processes.daemon_started(db, lab.clock, version="0", once=False)
    again = StateLab(db, lab.clock, lab.root / "again")
    again.clock.pass_s(6)
    assert _hand_out(again) == "suspect"
    _die(again, 2)
    assert products.get(db, number).state is State.FAILED
    db.close()


def test_a_worker_killed_from_outside_charges_no_product(lab: Any) -> None:
    lab.accounts("a")
    number = lab.planned("A", (10,))
    for death in range(4):
        assert _hand_out(lab) == "A"
        _die(lab, death, says=Evidence.NOTHING)
    assert lab.db.value("SELECT deaths FROM product WHERE id = :id", id=number) == 0
