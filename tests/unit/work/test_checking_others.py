"""`cdsed check --state` names another state that works at the same place, and ignores its files."""

from pathlib import Path

from cdsed.clock import SYSTEM_CLOCK
from cdsed.config.settings import Settings
from cdsed.model.objects import Places
from cdsed.model.product_state import State
from cdsed.store import products
from cdsed.store.move import Move
from cdsed.transfer.ownerfile import this_owner
from cdsed.transfer.owners import Owners
from cdsed.work.checking import check_state


def test_check_names_the_other_state_and_leaves_its_files_alone(lab):
    lab.clock = SYSTEM_CLOCK
    spool = lab.root / "spool"
    room = spool / ".cdsed"
    room.mkdir(parents=True, mode=0o700)
    (spool / "A").write_bytes(b"a product")
    settings = Settings.model_validate({"state_dir": str(lab.root / "state"), "spools": [str(spool)]})
    number = lab.ready("A")
    with lab.db.write():
        product = products.claim_ready(lab.db, lab.clock, number, lab.process)
    products.choose_place(lab.db, product, Places(str(room / "A"), str(spool)), 10)
    products.move(lab.db, lab.clock, product, Move(State.ALREADY_PRESENT, path=str(spool / "A")))
    (room / "A").mkdir()

    def leftovers_and_others():
        checked = check_state(lab.db, settings, runs=False, every=True, wait=lambda _seconds: None)
        return [violation.subject for violation in checked.violations if violation.rule == "orphan"], checked.others

    assert leftovers_and_others() == (["A"], {})
    other = Owners(this_owner("b" * 32, Path("/their/state"), 4711))
    other.claim(room, "A", lambda: None)
    left, [(who, count)] = leftovers_and_others()[0], leftovers_and_others()[1].items()
    assert (left, count) == ([], 1)
    assert "pid 4711, state /their/state" in who
