"""A file that the head sees whole, and a holder does not see yet, is waited for; one that is lost is not."""

from pathlib import Path

import pytest

from cdsed.engine.remote_transport import RemoteBatchFetch, RemoteTransport
from cdsed.errors import DiskError, OwnedElsewhere, TransferError
from cdsed.model.objects import Digests, ListedObject, Piece
from cdsed.transfer.staging import prepare

_PIECE = Piece(1, 1, "key", "a", "etag", 10, 0, 10, 0, transient_failures=0)


class _Deaf:
    def written(self, done_bytes: int) -> None: ...

    def safe(self, done_bytes: int) -> None: ...


class _Holder(RemoteTransport):
    """A holder whose machine sees a file after so many tries."""

    def __init__(self, tries: int, error: TransferError) -> None:
        self.did: list[str] = []
        self.waited_s = 0.0
        self._tries, self._error = tries, error
        self._batches = 0

    def fetch(self, batch: int, *_: object) -> Digests:
        self.did.append(f"fetch in batch {batch}")
        if self._tries > 0:
            self._tries -= 1
            raise self._error
        return Digests()

    def sync(self) -> None:
        self.did.append("sync")

    def wait(self, seconds: float) -> None:
        self.waited_s += seconds


@pytest.fixture
def staging(tmp_path: Path) -> Path:
    place = tmp_path / ".cdsed" / "P"
    prepare(place, [ListedObject("key", "a", 10, "etag")])
    return place


def _fetch(holder: _Holder, staging: Path) -> None:
    batch = RemoteBatchFetch(holder, "eodata", str(staging), "P", lambda: None)
    batch.fetch(_PIECE, _Deaf())
    batch.fetch(_PIECE, _Deaf())


_UNSEEN = [
    DiskError("a: No such file or directory", code="ENOENT", where="a"),
    DiskError("a: 0 of 10 bytes are left", code="Lost"),
    DiskError("a: Stale file handle", code="ESTALE", where="a"),
    OwnedElsewhere("another cdsed"),
]


@pytest.mark.parametrize("error", _UNSEEN, ids=lambda error: error.code)
def test_it_is_tried_again_in_a_directory_that_is_opened_again(staging, error):
    holder = _Holder(2, error)
    _fetch(holder, staging)
    assert holder.did == ["fetch in batch 1", "fetch in batch 2", "fetch in batch 3", "fetch in batch 3"]
    assert holder.waited_s > 0


def test_small_objects_before_it_are_synced_first(staging):
    holder = _Holder(0, _UNSEEN[0])
    batch = RemoteBatchFetch(holder, "eodata", str(staging), "P", lambda: None)
    batch.fetch(_PIECE, _Deaf())
    batch.transport = second = _Holder(1, _UNSEEN[0])
    batch.fetch(_PIECE, _Deaf())
    assert second.did[:2] == ["fetch in batch 1", "sync"]


def test_caches_of_a_minute_are_waited_for_and_no_longer(staging):
    holder = _Holder(1000, _UNSEEN[0])
    with pytest.raises(DiskError):
        _fetch(holder, staging)
    assert 60 < holder.waited_s < 90


def test_what_the_head_does_not_see_either_is_lost_at_once(staging):
    (staging / "a").unlink()
    holder = _Holder(1, _UNSEEN[0])
    with pytest.raises(DiskError):
        _fetch(holder, staging)
    assert holder.waited_s == 0


def test_a_disk_that_is_full_is_not_waited_for(staging):
    holder = _Holder(1, DiskError("full", code="ENOSPC"))
    with pytest.raises(DiskError):
        _fetch(holder, staging)
    assert holder.waited_s == 0
