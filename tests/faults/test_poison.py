"""Who kills workers is parked after the third; who only stood by, and who was killed by chance, is not.

With real processes: ``test_a_product_that_kills_its_worker_three_times…`` in ``test_daemon_deaths.py``.
"""

from pathlib import Path
from typing import Any

from cdsed.model.product import State
from cdsed.store import breakers, pieces, processes, products
from cdsed.store.database import open_state
from tests.unit.store.conftest import lab as state_lab
from tests.unit.store.state import Lab

__all__ = ["state_lab"]


def _die(lab: Any, number: int, *, charged: bool = True) -> None:
    """Let the worker of the lab die, and give it another."""
    dead = processes.sweep(
        lab.db,
        lab.clock,
        lambda _path: True,
        session_lock=lambda account, slot: Path(lab.root / f"{account}.{slot}.lock"),
        rest_s=0.0,
        charged=charged,
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


def test_a_worker_that_we_kill_ourselves_is_charged_to_nobody(state_lab: Any) -> None:
    state_lab.accounts("a")
    number = state_lab.planned("A", (10,))
    for death in range(4):
        assert _hand_out(state_lab) == "A"
        _die(state_lab, death, charged=False)
    assert state_lab.db.value("SELECT deaths FROM product WHERE id = :id", id=number) == 0
