"""A holder says that a piece has arrived only when it is on the disk."""

from dataclasses import dataclass, field

import pytest

from cdsed.engine.piece_group import PieceGroup
from cdsed.errors import DiskError, ServiceError
from cdsed.model.objects import Digests, Piece
from cdsed.transfer.fetch import ProgressCallback

_PIECES = tuple(Piece(n, n, f"k{n}", f"p{n}", "e", 4, 0, 4, 0, 0) for n in range(1, 6))
_DIGESTS = tuple(Digests(f"{piece.id}") for piece in _PIECES)


@dataclass
class _Files:
    """Pieces that arrive, and are synced until `syncs` is 0."""

    syncs: int = 99
    fails_at: int = 0
    events: list[str] = field(default_factory=list)

    def fetch(self, piece: Piece, progress: ProgressCallback) -> Digests:
        if piece.id == self.fails_at:
            progress.safe(2)
            raise ServiceError("it broke", code="503")
        return Digests(f"{piece.id}")

    def sync(self) -> None:
        if not self.syncs:
            raise DiskError("it is full", code="ENOSPC")
        self.syncs -= 1
        self.events.append("synced")

    def stop(self) -> None: ...

    def close(self) -> None:
        self.events.append("closed")


@dataclass
class _Head:
    """What is reported to the head."""

    files: _Files
    marks: list[tuple[int, tuple[Digests, ...], int]] = field(default_factory=list)

    def mark(self, first: int, digests: tuple[Digests, ...], done_bytes: int) -> None:
        assert self.files.events[-1] == "synced"
        self.marks.append((first, digests, done_bytes))


def test_all_pieces_are_reported_at_the_end_after_one_sync():
    head = _Head(_Files())
    assert PieceGroup(head.files, head.mark, 60.0).fetch(_PIECES).digests == _DIGESTS
    assert (head.marks, head.files.events) == ([], ["synced"])


def test_while_it_takes_long_they_are_reported_in_groups_and_the_directory_is_opened_again():
    head = _Head(_Files())
    assert PieceGroup(head.files, head.mark, 0.0).fetch(_PIECES).digests == _DIGESTS
    assert head.marks == [(n, (_DIGESTS[n],), 0) for n in range(4)]
    assert head.files.events.count("closed") == 4


def test_those_before_a_failure_are_reported_with_it():
    head = _Head(_Files(fails_at=3))
    answer = PieceGroup(head.files, head.mark, 60.0).fetch(_PIECES)
    assert head.marks == [(0, _DIGESTS[:2], 2)]
    assert (answer.digests, answer.failed) == (_DIGESTS[:2], True)


@pytest.mark.parametrize(("syncs", "reported"), [(0, 0), (1, 1), (2, 2)])
def test_those_that_could_not_be_synced_are_not_reported(syncs: int, reported: int):
    head = _Head(_Files(syncs=syncs))
    answer = PieceGroup(head.files, head.mark, 0.0).fetch(_PIECES)
    assert (answer.digests, len(head.marks)) == (_DIGESTS[:reported], reported)
    assert answer.failure is not None
    assert answer.failure.error == "DiskError"
