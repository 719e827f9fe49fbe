from pathlib import Path
from types import SimpleNamespace

import pytest

from cdsed.local.space import free_bytes


def test_free_space_is_told_for_a_place_that_does_not_exist_yet(tmp_path: Path) -> None:
    assert free_bytes(tmp_path / "not" / "yet") > 0


def test_a_disk_that_cannot_hold_one_more_file_has_no_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.statvfs", lambda _: SimpleNamespace(f_files=100, f_favail=0, f_bavail=5, f_frsize=1))
    with pytest.raises(OSError, match="No space left"):
        free_bytes(tmp_path)
