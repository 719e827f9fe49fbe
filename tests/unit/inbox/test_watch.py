import logging
import os
import select
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from watchdog.observers.inotify import InotifyObserver

from cdsed.inbox.watch import InboxChanges, InboxWatch


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    (tmp_path / ".accepted").mkdir()
    (tmp_path / "lops").mkdir()
    return tmp_path


@pytest.fixture
def watch(inbox: Path) -> Iterator[InboxWatch]:
    with InboxWatch(inbox) as watch:
        yield watch


def seen(watch: InboxWatch, *files: Path) -> InboxChanges:
    """Read until each file was seen; the observer has a thread of its own."""
    moved_in: dict[Path, bool] = {}
    while not set(files) <= moved_in.keys() or is_readable(watch):
        assert select.select([watch], [], [], 10)[0], f"{set(files) - moved_in.keys()} not seen"
        time.sleep(0.05)
        changes = watch.read()
        moved_in |= changes.moved_in
    return InboxChanges(True, moved_in)


def is_readable(watch: InboxWatch) -> bool:
    return bool(select.select([watch], [], [], 0)[0])


def test_a_file_written_in_place_is_noticed_and_not_taken_for_one_moved_in(inbox: Path, watch: InboxWatch) -> None:
    (inbox / "a.txt").write_text("x", encoding="utf-8")
    assert seen(watch, inbox / "a.txt").moved_in == {inbox / "a.txt": False}
    assert not is_readable(watch)


@pytest.mark.parametrize("folder", ["", "lops"])
def test_a_file_renamed_in_is_noticed_as_moved(inbox: Path, watch: InboxWatch, folder: str) -> None:
    (inbox / ".accepted" / "a.txt").touch()
    (inbox / ".accepted" / "a.txt").rename(inbox / folder / "a.txt")
    assert seen(watch, inbox / folder / "a.txt").moved_in == {inbox / folder / "a.txt": True}


def test_a_file_that_comes_from_outside_is_noticed_as_moved(
    inbox: Path, watch: InboxWatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside") / "a.txt"
    outside.touch()
    outside.rename(inbox / "a.txt")
    assert seen(watch, inbox / "a.txt").moved_in == {inbox / "a.txt": True}


def test_a_file_that_is_written_after_it_was_moved_in_counts_as_written(inbox: Path, watch: InboxWatch) -> None:
    (inbox / ".a.txt").touch()
    (inbox / ".a.txt").rename(inbox / "a.txt")
    (inbox / "a.txt").write_text("x", encoding="utf-8")
    (inbox / "b.txt").touch()
    assert seen(watch, inbox / "b.txt").moved_in[inbox / "a.txt"] is False


def test_a_file_in_a_directory_made_later_is_noticed(inbox: Path, watch: InboxWatch) -> None:
    (inbox / "esa").mkdir()
    (inbox / "esa" / "a.txt").write_text("x", encoding="utf-8")
    assert inbox / "esa" / "a.txt" in seen(watch, inbox / "esa" / "a.txt").moved_in


def test_our_own_reading_and_writing_is_not_noticed(inbox: Path) -> None:
    (inbox / "a.txt").write_text("x", encoding="utf-8")
    with InboxWatch(inbox) as watch:
        (inbox / "a.txt").read_text(encoding="utf-8")
        (inbox / "a.txt").rename(inbox / ".accepted" / "a.txt")
        (inbox / ".accepted" / "a.txt.receipt.txt").write_text("x", encoding="utf-8")
        (inbox / ".put-0123.tmp").write_text("x", encoding="utf-8")
        (inbox / "b.txt").touch()
        assert seen(watch, inbox / "b.txt").moved_in.keys() == {inbox / "b.txt"}


def test_where_inotify_is_refused_this_is_logged_and_nothing_breaks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(InotifyObserver, "schedule", refused)
    with caplog.at_level(logging.WARNING), InboxWatch(tmp_path) as watch:
        (tmp_path / "a.txt").touch()
        assert (watch.fileno(), watch.read().any) == (-1, False)
    assert len(caplog.messages) == 1
    assert os.strerror(28) in caplog.text
