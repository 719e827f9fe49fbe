import os
from pathlib import Path

import pytest

from cdsed.local.space import free_bytes


def test_free_space_is_known_for_a_place_that_does_not_exist_yet(tmp_path: Path) -> None:
    assert free_bytes(tmp_path / "not" / "yet") > 0


def test_a_disk_that_cannot_hold_one_more_file_has_no_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full_of_files = os.statvfs_result((1, 1, 100, 5, 5, 100, 0, 0, 0, 255))
    monkeypatch.setattr("os.statvfs", lambda _: full_of_files)
    with pytest.raises(OSError, match="No space left"):
        free_bytes(tmp_path)
