"""How far a piece is goes to the lock file often enough for a kill, and not with each buffer."""

from dataclasses import dataclass

import pytest

from cdsed.model.objects import ListedObject
from cdsed.store import pieces
from cdsed.store.database import open_state
from cdsed.work.context import StoreContext
from cdsed.work.piece_progress import PieceProgress
from cdsed.work.traffic import Traffic
from tests.support.clocks import HandClock
from tests.support.s3_lab import piece_of
from tests.support.state import SetClock, StateLab

_MIB = 2**20


@dataclass
class Lab:
    clock: HandClock
    saved: list[tuple[int, int]]
    progress: PieceProgress


class Grant:
    def __init__(self, saved, lease=None):
        self._saved = saved
        self.lease = lease

    def save_resume_point(self, piece, done_bytes, _booted_at):
        self._saved.append((piece, done_bytes))


@dataclass
class Idle:
    requests: int = 0
    delivered_bytes: int = 0


@pytest.fixture
def lab():
    clock, saved = HandClock(), []
    piece = piece_of(ListedObject("k", "p", 100 * _MIB, "e"), done=_MIB)
    return Lab(clock, saved, PieceProgress(StoreContext(None, clock, 1), Grant(saved), piece, None, 2.0))


def test_a_fast_piece_is_noted_every_8_mib(lab):
    for done in range(_MIB, 20 * _MIB, _MIB // 4):
        lab.progress.written(done)
    assert lab.saved == [(1, 9 * _MIB), (1, 17 * _MIB)]


def test_a_slow_piece_is_noted_after_a_twentieth_of_a_second(lab):
    lab.progress.written(_MIB + 1)
    lab.clock.now_s += 0.06
    lab.progress.written(_MIB + 2)
    lab.progress.written(_MIB + 3)
    assert lab.saved == [(1, _MIB + 2)]


@pytest.mark.parametrize(
    ("sync_every_s", "synchronous"), [pytest.param(0, 2, id="due"), pytest.param(600, 1, id="not due")]
)
def test_what_is_safe_is_noted_at_once_and_synced_when_that_is_due(tmp_path, sync_every_s, synchronous):
    state = StateLab(open_state(tmp_path), SetClock(), tmp_path)
    state.accounts("a")
    state.planned("A", (100,))
    lease = state.lease()
    piece = pieces.next_work(state.db, state.clock, lease, state.process).pieces[0]
    store = StoreContext(state.db, state.clock, state.process)
    traffic = Traffic(store, lease, Idle(), 2.0)
    PieceProgress(store, Grant([], lease), piece, traffic, sync_every_s).safe(30)
    assert state.db.value("PRAGMA synchronous") == synchronous
    assert state.db.value("SELECT sum(done_bytes) FROM piece") == 30
    state.db.close()
