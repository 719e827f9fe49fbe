"""Who kills workers is parked after the third; who only stood by, and who was killed by chance, is not.

With real processes: ``test_a_product_that_kills_its_worker_three_times…`` in ``test_deaths.py``.
"""

from pathlib import Path
from typing import Any

from cdsed.model.product import State
from cdsed.store import breakers, pieces, processes, products
from cdsed.store.database import open_state
from cdsed.store.processes import Evidence
from tests.unit.store.conftest import lab as state_lab
from tests.unit.store.state import Lab

__all__ = ["state_lab"]


def _die(lab: Any, number: int, *, says: Evidence = Evidence.PROOF) -> None:
    """Let the worker of the lab crash, and give it another."""
    dead = processes.sweep(
        lab.db,
        lab.clock,
        lambda _path: True,
        session_lock=lambda account, slot: Path(lab.root / f"{account}.{slot}.lock"),
        rest_s=0.0,
        evidence=lambda _dead: says,
    )
    assert dead
    lab.process = lab.new_process(f"next-{number}-{lab.clock.boot_s()}")


def _hand_out(lab: Any) -> str | None:
    """Let a session of a fresh lease take the next work; return the product's name."""
    work = pieces.next_work(lab.db, lab.clock, lab.lease(), lab.process)
    return None if work is None else str(work.product.safename)


def test_the_third_death_waits_until_workers_have_lived_for_a_while(state_lab: Any) -> None:
    state_lab.accounts("a")
    number = state_lab.planned("suspect", (10,))
    for death in range(2):
        assert _hand_out(state_lab) == "suspect"
        _die(state_lab, death)
    assert _hand_out(state_lab) is None  # two died: the next death decides, so not now
    assert breakers.is_open(state_lab.db, state_lab.clock, breakers.SUSPECTS)
    state_lab.clock.pass_s(6)
    assert _hand_out(state_lab) == "suspect"
    _die(state_lab, 2)
    row = state_lab.db.row("SELECT state, code, cause FROM product WHERE id = :id", id=number)
    assert (row["state"], row["code"]) == ("failed", "KilledWorker")
    assert "cdsed retry" in row["cause"]


def test_deaths_elsewhere_put_the_decision_off_and_the_others_go_on(state_lab: Any) -> None:
    state_lab.accounts("a")
    suspect = state_lab.planned("suspect", (10,))
    for death in range(2):
        _hand_out(state_lab)
        _die(state_lab, death)
    state_lab.planned("innocent", (10,))
    for death in range(20):  # somebody kills workers every other second
        state_lab.clock.pass_s(2)
        assert _hand_out(state_lab) in ("innocent", None)
        state_lab.db.rows("UPDATE product SET deaths = 0 WHERE safename = 'innocent'")
        _die(state_lab, 10 + death)
    assert state_lab.state(suspect) is State.DOWNLOADING
    state_lab.clock.pass_s(6)
    lease = state_lab.lease()
    assert [state_lab.fetched(lease).safename for _ in range(2)] == ["innocent", "suspect"]
    assert state_lab.db.value("SELECT deaths FROM product WHERE id = :id", id=suspect) == 0


def test_who_stood_by_clears_itself_and_the_weaker_suspicion_is_looked_at_first(state_lab: Any) -> None:
    state_lab.accounts("a")
    poison, bystander = state_lab.planned("poison", (10,)), state_lab.planned("bystander", (10,))
    assert {_hand_out(state_lab), _hand_out(state_lab)} == {"poison", "bystander"}
    _die(state_lab, 0)
    assert _hand_out(state_lab) == "poison"
    assert _hand_out(state_lab) is None  # suspects are worked on one at a time
    _die(state_lab, 1)
    assert state_lab.fetched(state_lab.lease()).safename == "bystander"
    state_lab.clock.pass_s(6)
    assert _hand_out(state_lab) == "poison"
    _die(state_lab, 2)
    assert state_lab.state(poison) is State.FAILED
    assert state_lab.state(bystander) is State.DOWNLOADING


def test_a_suspect_is_worked_on_by_a_process_that_is_at_nothing_else(state_lab: Any) -> None:
    state_lab.accounts("a")
    suspect, other = state_lab.planned("suspect", (10, 10_000_000)), state_lab.planned("other", (10, 10_000_000))
    state_lab.db.rows("UPDATE product SET deaths = 1 WHERE id = :id", id=suspect)
    busy, fresh = state_lab.process, None
    held = state_lab.lease()
    state_lab.db.rows("UPDATE product SET deaths = 0 WHERE id = :id", id=suspect)
    work = pieces.next_work(state_lab.db, state_lab.clock, held, busy)
    assert work.product.safename == "suspect"
    state_lab.db.rows("UPDATE piece SET fence = NULL")
    state_lab.db.rows("UPDATE product SET deaths = 1 WHERE id = :id", id=suspect)
    state_lab.db.rows("UPDATE piece SET fence = :fence WHERE product = :other", fence=held.fence, other=other)
    # The one process there is finishes what it has, and takes nothing new.
    assert pieces.next_work(state_lab.db, state_lab.clock, state_lab.lease(), busy) is None
    # A process that has nothing takes it, and nothing else beside it.
    fresh = state_lab.new_process("download-2")
    first, second = state_lab.lease(process=fresh), state_lab.lease(process=fresh)
    assert pieces.next_work(state_lab.db, state_lab.clock, first, fresh).product.safename == "suspect"
    state_lab.db.rows("UPDATE piece SET fence = NULL WHERE product = :other", other=other)
    joined = pieces.next_work(state_lab.db, state_lab.clock, second, fresh)
    assert joined is None or joined.product.safename == "suspect"
    again = pieces.next_work(state_lab.db, state_lab.clock, held, busy)
    assert again.product.safename == "other"


def test_suspects_for_whom_no_session_is_free_hold_nobody_up(state_lab: Any) -> None:
    state_lab.accounts("a")
    state_lab.planned("other", (10,))
    suspect = state_lab.planned("suspect", (10,), group="elsewhere")  # a group without an account
    state_lab.db.rows("UPDATE product SET deaths = 2 WHERE id = :id", id=suspect)
    assert _hand_out(state_lab) == "other"


def test_only_the_product_a_worker_was_alone_with_is_charged_for_its_crash(state_lab: Any) -> None:
    state_lab.accounts("a")
    one, two = state_lab.planned("one", (10,)), state_lab.planned("two", (10,))
    deaths = "SELECT deaths FROM product WHERE id IN (:one, :two) ORDER BY id"

    def charged() -> list[int]:
        return [row["deaths"] for row in state_lab.db.rows(deaths, one=one, two=two)]

    for death in range(5):
        with state_lab.db.write():
            lease = state_lab.lease()
            state_lab.db.rows("UPDATE piece SET fence = :fence", fence=lease.fence)
        _die(state_lab, death)
        assert charged() == [1, 1]  # suspected, but of two nobody knows which one it was
        state_lab.clock.pass_s(6)
    _hand_out(state_lab)
    _die(state_lab, 9)
    assert charged() == [2, 1]
    assert state_lab.state(one) is State.DOWNLOADING


def test_a_crash_together_with_others_is_only_a_suspicion(state_lab: Any) -> None:
    state_lab.accounts("a")
    number = state_lab.planned("A", (10,))
    for death in range(4):
        assert _hand_out(state_lab) == "A"
        _die(state_lab, death, says=Evidence.SUSPICION)
        state_lab.clock.pass_s(6)
    assert state_lab.db.value("SELECT deaths FROM product WHERE id = :id", id=number) == 1


def test_a_restart_forgets_no_death(state_lab: Any) -> None:
    state_lab.accounts("a")
    number = state_lab.planned("suspect", (10,))
    for death in range(2):
        _hand_out(state_lab)
        _die(state_lab, death)
    db = open_state(state_lab.root / "state")
    (state_lab.root / "again").mkdir()
    processes.daemon_started(db, state_lab.clock, version="0", once=False)
    again = Lab(db, state_lab.clock, state_lab.root / "again")
    again.clock.pass_s(6)
    assert _hand_out(again) == "suspect"
    _die(again, 2)
    assert products.get(db, number).state is State.FAILED
    db.close()


def test_a_worker_that_was_killed_from_outside_is_charged_to_nobody(state_lab: Any) -> None:
    state_lab.accounts("a")
    number = state_lab.planned("A", (10,))
    for death in range(4):
        assert _hand_out(state_lab) == "A"
        _die(state_lab, death, says=Evidence.NOTHING)
    assert state_lab.db.value("SELECT deaths FROM product WHERE id = :id", id=number) == 0
