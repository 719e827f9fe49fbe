"""A file that the head sees whole, and a holder does not see yet, is waited for; one that is lost is not."""

from pathlib import Path

import pytest

from cdsed.engine.carried_errors import carried
from cdsed.engine.orders import Answer, FetchTask, TaskOrder
from cdsed.engine.remote_transport import RemoteBatchFetch, RemoteTransport, RunningTask
from cdsed.errors import DiskError, OwnedElsewhere, TransferError
from cdsed.model.objects import Digests, ListedObject, Piece
from cdsed.transfer.staging import prepare

_PIECES = tuple(Piece(n, n, "key", name, "etag", 10, 0, 10, 0, 0) for n, name in enumerate("ab"))


class _Deaf:
    def written(self, done_bytes: int) -> None: ...

    def safe(self, done_bytes: int) -> None: ...


class _Holder(RemoteTransport):
    """A holder whose machine sees a file after so many tries."""

    def __init__(self, tries: int, error: TransferError) -> None:
        self.asked: list[int] = []  # for how many pieces
        self.waited_s = 0.0
        self._tries, self._error = tries, error

    def begin(self, order: TaskOrder, requests: int = 1, within_s: float | None = None) -> RunningTask:  # noqa: ARG002
        self.asked.append(requests)
        return RunningTask(len(self.asked))

    def hear(self, task: RunningTask) -> None:
        self._tries -= 1
        seen = (Digests(),) * self.asked[-1]
        unseen = Answer(digests=seen[:-1], failure=carried(self._error), failed=True)
        task.answer = unseen if self._tries >= 0 else Answer(digests=seen)

    def wait(self, seconds: float) -> None:
        self.waited_s += seconds


@pytest.fixture
def staging(tmp_path: Path) -> Path:
    place = tmp_path / ".cdsed" / "P"
    prepare(place, [ListedObject("key", piece.path, 10, "etag") for piece in _PIECES])
    return place


def _fetch(holder: _Holder, staging: Path) -> None:
    order = FetchTask("eodata", str(staging), "P", "state", _PIECES, 2.0)
    batch = RemoteBatchFetch(holder, order, lambda: None)
    for piece in _PIECES:
        batch.fetch(piece, _Deaf())


_UNSEEN = [
    DiskError("a: No such file or directory", code="ENOENT", where="a"),
    DiskError("a: 0 of 10 bytes are left", code="Lost"),
    DiskError("a: Stale file handle", code="ESTALE", where="a"),
    OwnedElsewhere("another cdsed"),
]


@pytest.mark.parametrize("error", _UNSEEN, ids=lambda error: error.code)
def test_it_is_tried_again_with_what_has_not_arrived(staging, error):
    holder = _Holder(2, error)
    _fetch(holder, staging)
    assert holder.asked == [2, 1, 1]
    assert holder.waited_s > 0


def test_caches_of_a_minute_are_waited_for_and_no_longer(staging):
    holder = _Holder(1000, _UNSEEN[0])
    with pytest.raises(DiskError):
        _fetch(holder, staging)
    assert 60 < holder.waited_s < 90


def test_what_the_head_does_not_see_either_is_lost_at_once(staging):
    (staging / "b").unlink()
    holder = _Holder(1, _UNSEEN[0])
    with pytest.raises(DiskError):
        _fetch(holder, staging)
    assert holder.waited_s == 0


def test_a_disk_that_is_full_is_not_waited_for(staging):
    holder = _Holder(1, DiskError("full", code="ENOSPC"))
    with pytest.raises(DiskError):
        _fetch(holder, staging)
    assert holder.waited_s == 0


def test_what_came_with_an_answer_is_at_hand(staging):
    order = FetchTask("eodata", str(staging), "P", "state", _PIECES, 2.0)
    batch = RemoteBatchFetch(_Holder(0, _UNSEEN[0]), order, lambda: None)
    assert [batch.has(piece) for piece in _PIECES] == [False, False]
    batch.fetch(_PIECES[0], _Deaf())
    assert [batch.has(piece) for piece in _PIECES] == [True, True]
