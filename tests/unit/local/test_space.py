from pathlib import Path

from cdsed.local.space import free_bytes, same_filesystem


def test_free_space_is_told_for_a_place_that_does_not_exist_yet(tmp_path: Path) -> None:
    assert free_bytes(tmp_path / "not" / "yet") > 0


def test_two_places_below_one_directory_share_a_file_system(tmp_path: Path) -> None:
    assert same_filesystem(tmp_path / "a", tmp_path / "b" / "c")


def test_proc_is_another_file_system(tmp_path: Path) -> None:
    assert not same_filesystem(tmp_path, Path("/proc"))
