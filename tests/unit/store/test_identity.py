"""The identity of a state: the same over restarts, another one in a copy."""

import shutil

import pytest

from cdsed.errors import StateDiskError
from cdsed.store.state_id import FILE_NAME, state_id


def test_a_state_keeps_its_identity(tmp_path):
    made = state_id(tmp_path)
    assert len(made) == 32
    assert state_id(tmp_path) == made


def test_a_moved_state_keeps_it_and_a_copied_one_gets_its_own(tmp_path):
    (tmp_path / "a").mkdir()
    made = state_id(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "copy")
    (tmp_path / "a").rename(tmp_path / "b")
    assert state_id(tmp_path / "b") == made
    assert state_id(tmp_path / "copy") not in {made, ""}


def test_a_damaged_identity_is_made_again(tmp_path):
    made = state_id(tmp_path)
    (tmp_path / FILE_NAME).write_bytes(b"\0" * 40)
    assert state_id(tmp_path) != made


def test_a_disk_that_refuses_it_is_reported(tmp_path):
    with pytest.raises(StateDiskError, match="identity cannot be read and written"):
        state_id(tmp_path / "absent")
