"""A staging directory that stays open: its owner is checked, and files of another state are never opened."""

import os
import shutil
from pathlib import Path

import pytest

from cdsed.errors import OwnedElsewhere
from cdsed.transfer.staging import HeldStaging


@pytest.fixture
def staging(tmp_path):
    staging = tmp_path / ".cdsed" / "P.SAFE"
    (staging / "m").mkdir(parents=True)
    staging.parent.chmod(0o700)
    for name in ("a", "m/b"):
        (staging / name).write_bytes(b"old")
    return staging


class _Owner:
    """Counts how often it is asked; `lost` once another state has taken the place over."""

    def __init__(self) -> None:
        self.asked, self.lost = 0, False

    def check(self) -> None:
        self.asked += 1
        if self.lost:
            raise OwnedElsewhere("another cdsed has it")


def _write(held: HeldStaging, path: str) -> None:
    file = held.open(path)
    try:
        os.pwrite(file, b"new", 0)
    finally:
        os.close(file)


def test_the_owner_is_checked_once_until_it_is_closed(staging):
    owner = _Owner()
    held = HeldStaging(staging, owner.check)
    for path in ("a", "m/b", "a"):
        _write(held, path)
    assert owner.asked == 1
    held.close()
    _write(held, "a")
    assert owner.asked == 2
    held.close()


def test_no_file_of_the_state_that_took_it_over_is_opened(staging):
    owner = _Owner()
    held = HeldStaging(staging, owner.check)
    _write(held, "a")
    owner.lost = True
    shutil.rmtree(staging)
    staging.mkdir()
    (staging / "a").write_bytes(b"its")
    with pytest.raises(OwnedElsewhere):
        held.open("a")
    with pytest.raises(OwnedElsewhere):
        held.open("a")
    assert (staging / "a").read_bytes() == b"its"


def test_a_directory_that_is_gone_is_an_error_and_one_that_is_back_is_opened(staging):
    held = HeldStaging(staging, lambda: None)
    _write(held, "a")
    staging.rename(staging.with_name("aside"))
    _write(held, "m/b")  # still the same directory
    assert (staging.with_name("aside") / "m/b").read_bytes() == b"new"
    held.close()
    with pytest.raises(FileNotFoundError):
        held.open("a")
    staging.with_name("aside").rename(staging)
    _write(held, "a")
    held.close()


def test_no_descriptor_is_left_open(staging):
    before = sum(1 for _ in Path("/proc/self/fd").iterdir())
    owner = _Owner()
    held = HeldStaging(staging, owner.check)
    owner.lost = True
    for path in ("a", "absent"):
        with pytest.raises(OwnedElsewhere):
            held.open(path)
    held.close()
    assert sum(1 for _ in Path("/proc/self/fd").iterdir()) == before
