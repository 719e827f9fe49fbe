"""What a holder on another machine worked on when it was lost begins again, in new files; all else stays."""

import pytest

from cdsed.errors import LeaseLost
from cdsed.model.objects import Digests, Lease, Piece
from cdsed.model.product_state import State
from cdsed.store import leases, lost_holders, pieces, processes, products
from tests.support.state import StateLab

_PIECE_BYTES = 2**25
_DONE = """SELECT object.path, sum(done_bytes) AS bytes FROM piece JOIN object ON object.id = object
           GROUP BY object ORDER BY object.path"""


@pytest.fixture
def product(lab: StateLab) -> int:
    lab.accounts("a", sessions=3)
    number = lab.planned("P", sizes=(3 * _PIECE_BYTES, 2 * _PIECE_BYTES))
    lab.ready("Q")  # no piece is cut while there is other work
    return number


def _held(lab: StateLab) -> tuple[Lease, tuple[Piece, ...]]:
    lease = lab.lease()
    leases.hold(lab.db, lab.clock, lease, 40.0)
    work = pieces.next_work(lab.db, lab.clock, lease, lab.process)
    assert work is not None
    return lease, work.pieces


def _done(lab: StateLab) -> list[int]:
    return [row["bytes"] for row in lab.db.rows(_DONE)]


def _lose(lab: StateLab, lease: Lease) -> None:
    with lab.db.write():
        lost_holders.begin_again(lab.db, lab.clock, [lease.fence])
        leases.release(lab.db, lab.clock, lease, cooldown_s=0.0, closed=False)


def test_its_objects_begin_again_and_the_others_stay(lab, product):
    lease, [first] = _held(lab)
    pieces.finish(lab.db, lease, {first: Digests()})
    lease, [second] = _held(lab)
    pieces.finish(lab.db, lease, {second: Digests()})
    lease, [third] = _held(lab)
    pieces.advance(lab.db, lease, third, 5)
    assert _done(lab) == [2 * _PIECE_BYTES, 5]
    _lose(lab, lease)
    assert _done(lab) == [2 * _PIECE_BYTES, 0]


def test_its_product_is_planned_again_without_a_charge(lab, product):
    lease, _ = _held(lab)
    _lose(lab, lease)
    found = products.get(lab.db, product)
    assert (found.state, found.planned, found.attempts, found.transient_failures) == (State.READY, False, 0, 0)
    assert not lab.db.value("SELECT count(*) FROM piece WHERE fence IS NOT NULL")


def test_so_does_what_other_holders_work_on_in_the_product_because_it_is_planned_again(lab, product):
    lost, _ = _held(lab)
    other, [piece] = _held(lab)
    pieces.advance(lab.db, other, piece, 5)
    _lose(lab, lost)
    assert sum(_done(lab)) == 0
    with pytest.raises(LeaseLost):
        pieces.advance(lab.db, other, piece, 6)


def test_a_holder_that_worked_on_nothing_changes_nothing(lab, product):
    lease = lab.lease()
    _lose(lab, lease)
    assert lab.state(product) is State.DOWNLOADING


def test_the_end_of_the_process_that_had_the_leases_is_such_a_loss(lab, product):
    lease, (piece, *_) = _held(lab)
    pieces.advance(lab.db, lease, piece, 5)
    processes.release(lab.db, lab.clock, lab.process)
    assert lab.state(product) is State.READY
    assert sum(_done(lab)) == 0


def test_what_a_process_of_this_machine_wrote_stays_when_it_ends(lab, product):
    lease = lab.lease()
    work = pieces.next_work(lab.db, lab.clock, lease, lab.process)
    pieces.advance(lab.db, lease, work.pieces[0], 5)
    processes.release(lab.db, lab.clock, lab.process)
    assert lab.state(product) is State.DOWNLOADING
    assert sum(_done(lab)) == 5
