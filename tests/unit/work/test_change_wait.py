import threading
import time
from collections.abc import Iterator

import pytest

from cdsed.inotify import Inotify
from cdsed.process.worker_control import WorkerControl
from cdsed.store import notices
from cdsed.store.database import Database, join_state
from cdsed.work.change_wait import ChangeWait
from tests.support.state import StateLab

_LONG_S = 20.0
_SOON_S = 5.0  # far more than it takes, far less than the time-out


@pytest.fixture
def control() -> WorkerControl:
    return WorkerControl("a worker", None, 1.0)


@pytest.fixture
def other(lab: StateLab) -> Iterator[Database]:
    db = join_state(lab.root / "state")
    yield db
    db.close()


@pytest.fixture
def changes(lab: StateLab, control: WorkerControl) -> Iterator[ChangeWait]:
    changes = ChangeWait(lab.db, control, lab.root / "state")
    yield changes
    changes.close()


def ended_after_s(changes: ChangeWait) -> float:
    begun_s = time.monotonic()
    assert changes.wait(_LONG_S)
    return time.monotonic() - begun_s


def test_a_commit_of_another_process_ends_a_wait_at_once(lab: StateLab, changes: ChangeWait, other: Database) -> None:
    threading.Timer(0.1, lambda: notices.note(other, lab.clock, "a", "b")).start()
    assert ended_after_s(changes) < _SOON_S


def test_a_commit_before_a_wait_ends_it_and_only_it(lab: StateLab, changes: ChangeWait, other: Database) -> None:
    notices.note(other, lab.clock, "a", "b")
    assert ended_after_s(changes) < _SOON_S
    assert not changes.wait(0.1)


def test_our_own_commit_ends_no_wait(lab: StateLab, changes: ChangeWait) -> None:
    notices.note(lab.db, lab.clock, "a", "b")
    assert not changes.wait(0.1)


def test_a_commit_of_another_process_is_noticed_among_many_of_our_own(
    lab: StateLab, changes: ChangeWait, other: Database
) -> None:
    ends = threading.Event()

    def commit() -> None:
        while not ends.is_set():
            notices.note(lab.db, lab.clock, "a", str(time.monotonic()))

    ours = threading.Thread(target=commit)
    ours.start()
    threading.Timer(0.1, lambda: notices.note(other, lab.clock, "b", "c")).start()
    try:
        assert ended_after_s(changes) < _SOON_S
    finally:
        ends.set()
        ours.join()


def test_the_request_to_stop_ends_a_wait_at_once(changes: ChangeWait, control: WorkerControl) -> None:
    threading.Timer(0.1, control._ask_to_leave).start()
    assert ended_after_s(changes) < _SOON_S


def test_where_inotify_is_refused_a_commit_is_noticed_a_little_later(
    lab: StateLab, control: WorkerControl, other: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> int:
        raise OSError(24, "too many")

    monkeypatch.setattr(Inotify, "watch", refused)
    changes = ChangeWait(lab.db, control, lab.root / "state")
    threading.Timer(0.1, lambda: notices.note(other, lab.clock, "a", "b")).start()
    assert ended_after_s(changes) < _SOON_S
