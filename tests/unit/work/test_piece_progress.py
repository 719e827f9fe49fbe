"""How far a piece is goes to the lock file often enough for a kill, and not with each buffer."""

from dataclasses import dataclass

import pytest

from cdsed.model.objects import ListedObject
from cdsed.work.context import StoreContext
from cdsed.work.piece_progress import PieceProgress
from tests.support.clocks import HandClock
from tests.support.s3_lab import piece_of

_MIB = 2**20


@dataclass
class Lab:
    clock: HandClock
    saved: list[tuple[int, int]]
    progress: PieceProgress


class Grant:
    def __init__(self, saved):
        self._saved = saved

    def save_resume_point(self, piece, done_bytes, _booted_at):
        self._saved.append((piece, done_bytes))


@pytest.fixture
def lab():
    clock, saved = HandClock(), []
    piece = piece_of(ListedObject("k", "p", 100 * _MIB, "e"), done=_MIB)
    return Lab(clock, saved, PieceProgress(StoreContext(None, clock, 1), Grant(saved), piece, None))


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
