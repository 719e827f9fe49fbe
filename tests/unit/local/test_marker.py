from pathlib import Path

import pytest

from cdsed.errors import DiskError
from cdsed.local.marker import MARKER, look, mark, recognise


def test_a_directory_that_is_not_there_is_nothing(tmp_path: Path) -> None:
    assert look(tmp_path / "not" / "there") is None


def test_a_marked_directory_is_known_again_and_marking_it_twice_changes_nothing(tmp_path: Path) -> None:
    place = tmp_path / "new" / "spool"
    first = mark(place)
    assert len(first.marker) == 32
    assert mark(place) == first == look(place)


def test_the_marker_moves_with_what_is_in_the_directory(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    identity = mark(old)
    old.rename(new)
    old.mkdir()
    bare = look(old)
    assert bare is not None
    assert bare.marker == ""
    assert not bare.is_same_directory(identity)
    moved = look(new)
    assert moved is not None
    assert moved.marker == identity.marker


@pytest.mark.parametrize("said", [b"", b"\n", b"\xff\xfe", b"x" * 1000, b"two words"])
def test_a_marker_that_says_nothing_is_none_and_is_written_again(tmp_path: Path, said: bytes) -> None:
    mark(tmp_path)
    (tmp_path / MARKER).write_bytes(said)
    identity = look(tmp_path)
    assert identity is not None
    assert identity.marker == ""
    assert mark(tmp_path, "given").marker == "given"
    assert (tmp_path / MARKER).read_text(encoding="ascii") == "given\n"


def test_a_link_in_the_place_of_the_marker_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / ".cdsed").mkdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("of-another", encoding="ascii")
    (tmp_path / MARKER).symlink_to(elsewhere)
    with pytest.raises(OSError, match="symbolic links"):
        mark(tmp_path)
    assert elsewhere.read_text(encoding="ascii") == "of-another"


def test_a_new_directory_is_made_and_marked(tmp_path: Path) -> None:
    identity = recognise(tmp_path / "spool", None)
    assert identity == look(tmp_path / "spool")
    assert recognise(tmp_path / "spool", identity) == identity


def test_a_marker_that_was_removed_is_put_back_when_the_kernel_says_it_is_the_same_directory(tmp_path: Path) -> None:
    identity = recognise(tmp_path, None)
    (tmp_path / MARKER).unlink()
    assert recognise(tmp_path, identity) == identity == look(tmp_path)


@pytest.mark.parametrize(
    ("instead", "message"), [("nothing", "is not there"), ("bare", "lacks"), ("other", "is not the directory it was")]
)
def test_a_directory_that_is_not_the_one_it_was_is_not_mounted(tmp_path: Path, instead: str, message: str) -> None:
    place = tmp_path / "spool"
    identity = recognise(place, None)
    place.rename(tmp_path / "away")
    if instead == "bare":
        place.mkdir()
    elif instead == "other":
        mark(place)
    with pytest.raises(DiskError, match=message) as caught:
        recognise(place, identity)
    assert caught.value.code == "NotMounted"
    assert identity.marker in str(caught.value)


@pytest.mark.parametrize(("read_only", "code"), [(True, "EROFS"), (False, "EACCES")])
def test_a_directory_that_cannot_be_made_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read_only: bool, code: str
) -> None:
    monkeypatch.setattr("cdsed.local.marker.why_not_made", lambda _: "as root: install -d")
    monkeypatch.setattr("cdsed.local.marker.is_read_only", lambda _: read_only)
    with pytest.raises(DiskError, match="install -d") as caught:
        recognise(tmp_path / "spool", None)
    assert caught.value.code == code
    assert not (tmp_path / "spool").exists()
