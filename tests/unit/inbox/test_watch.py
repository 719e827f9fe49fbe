import logging
import os
import select
from collections.abc import Iterator
from pathlib import Path

import pytest

from cdsed.inbox.watch import InboxWatch
from cdsed.inotify import Inotify


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    (tmp_path / ".accepted").mkdir()
    (tmp_path / "lops").mkdir()
    return tmp_path


@pytest.fixture
def watch(inbox: Path) -> Iterator[InboxWatch]:
    with InboxWatch(inbox) as watch:
        yield watch


def is_readable(watch: InboxWatch) -> bool:
    return bool(select.select([watch], [], [], 0)[0])


def test_a_file_written_in_place_is_noticed_and_not_taken_for_one_moved_in(inbox: Path, watch: InboxWatch) -> None:
    (inbox / "a.txt").write_text("x", encoding="utf-8")
    assert is_readable(watch)
    assert watch.read().moved_in == {inbox / "a.txt": False}
    assert not is_readable(watch)


@pytest.mark.parametrize("folder", ["", "lops"])
def test_a_file_renamed_in_is_noticed_as_moved(inbox: Path, watch: InboxWatch, folder: str) -> None:
    (inbox / ".accepted" / "a.txt").touch()
    (inbox / ".accepted" / "a.txt").rename(inbox / folder / "a.txt")
    assert watch.read().moved_in == {inbox / folder / "a.txt": True}


def test_a_file_that_is_written_after_it_was_moved_in_counts_as_written(inbox: Path, watch: InboxWatch) -> None:
    (inbox / ".a.txt").touch()
    (inbox / ".a.txt").rename(inbox / "a.txt")
    (inbox / "a.txt").write_text("x", encoding="utf-8")
    assert watch.read().moved_in == {inbox / "a.txt": False}


def test_a_file_in_a_directory_made_later_is_noticed(inbox: Path, watch: InboxWatch) -> None:
    (inbox / "esa").mkdir()
    assert watch.read().any
    (inbox / "esa" / "a.txt").write_text("x", encoding="utf-8")
    assert watch.read().moved_in == {inbox / "esa" / "a.txt": False}


def test_our_own_reading_and_writing_is_not_noticed(inbox: Path) -> None:
    (inbox / "a.txt").write_text("x", encoding="utf-8")
    with InboxWatch(inbox) as watch:
        (inbox / "a.txt").read_text(encoding="utf-8")
        (inbox / "a.txt").rename(inbox / ".accepted" / "a.txt")
        (inbox / ".accepted" / "a.txt.receipt.txt").write_text("x", encoding="utf-8")
        (inbox / ".put-0123.tmp").write_text("x", encoding="utf-8")
        assert not watch.read().any


def test_where_inotify_is_refused_this_is_logged_and_nothing_breaks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refused(*_: object) -> int:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(Inotify, "watch", refused)
    with caplog.at_level(logging.WARNING), InboxWatch(tmp_path) as watch:
        (tmp_path / "a.txt").touch()
        assert (watch.fileno(), watch.read().any) == (-1, False)
    assert len(caplog.messages) == 1
    assert os.strerror(28) in caplog.text
