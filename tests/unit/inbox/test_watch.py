import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers.api import BaseObserver

from cdsed.inbox.watch import InboxWatch

DEADLINE_S = 10


@pytest.fixture
def woken() -> threading.Event:
    return threading.Event()


@pytest.fixture
def inbox(tmp_path: Path, woken: threading.Event) -> Iterator[Path]:
    (tmp_path / ".accepted").mkdir()
    with InboxWatch(tmp_path, woken.set):
        yield tmp_path


def test_a_dropped_file_wakes(inbox: Path, woken: threading.Event) -> None:
    (inbox / "a.txt").write_text("x", encoding="utf-8")
    assert woken.wait(DEADLINE_S)


def test_a_file_renamed_in_wakes(inbox: Path, woken: threading.Event) -> None:
    (inbox / ".accepted" / "a.txt").touch()
    (inbox / ".accepted" / "a.txt").rename(inbox / "a.txt")
    assert woken.wait(DEADLINE_S)


def test_a_file_in_a_directory_made_later_wakes(inbox: Path, woken: threading.Event) -> None:
    (inbox / "lops").mkdir()
    assert woken.wait(DEADLINE_S)
    woken.clear()
    (inbox / "lops" / "a.txt").write_text("x", encoding="utf-8")
    assert woken.wait(DEADLINE_S)


def test_our_own_reading_and_writing_does_not_wake(tmp_path: Path) -> None:
    wakes: list[None] = []
    ended = threading.Event()

    class End(FileSystemEventHandler):
        """Gets the same events in the same order, and knows the last one."""

        def on_created(self, event: FileSystemEvent) -> None:
            if str(event.src_path).endswith("end"):
                ended.set()

    (tmp_path / "a.txt").write_text("x", encoding="utf-8")
    (tmp_path / ".accepted").mkdir()
    with InboxWatch(tmp_path, lambda: wakes.append(None)) as watch:
        observer = watch._observer
        assert observer is not None
        observer.add_handler_for_watch(End(), next(iter(observer._handlers)))
        (tmp_path / "a.txt").read_text(encoding="utf-8")
        (tmp_path / "a.txt").rename(tmp_path / ".accepted" / "a.txt")
        (tmp_path / ".accepted" / "a.txt.receipt.txt").write_text("x", encoding="utf-8")
        (tmp_path / ".accepted" / "end").mkdir()
        assert ended.wait(DEADLINE_S)
    assert len(wakes) == 1  # the file that left


def test_where_inotify_is_refused_this_is_logged_and_nothing_breaks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refused(_: BaseObserver) -> None:
        raise OSError(28, "inotify watch limit reached")

    monkeypatch.setattr(BaseObserver, "start", refused)
    with caplog.at_level(logging.WARNING), InboxWatch(tmp_path, lambda: None):
        (tmp_path / "a.txt").touch()
    assert len(caplog.messages) == 1
    assert "inotify watch limit reached" in caplog.text
