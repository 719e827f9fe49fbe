"""Locks between real processes."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cdsed.errors import AlreadyRunning
from cdsed.process.lock import DaemonLock, Holder, KernelLock, holder

HOLD = """
import sys
from pathlib import Path
from cdsed.process import lock
with getattr(lock, sys.argv[1])(Path(sys.argv[2])):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def another_process_holding(kind: type[KernelLock], path: Path) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, kind.__name__, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("kind", [KernelLock, DaemonLock])
def test_a_lock_is_refused_while_another_process_lives_and_free_when_it_is_killed(
    kind: type[KernelLock], tmp_path: Path
) -> None:
    lock = kind(tmp_path / "lock")
    with another_process_holding(kind, lock.path) as process:
        assert not lock.acquire()
        process.send_signal(signal.SIGSTOP)
        assert not lock.acquire()
        process.kill()
        process.wait()
        assert lock.acquire()
    lock.release()


@pytest.mark.parametrize("kind", [KernelLock, DaemonLock])
def test_a_lock_holds_within_one_process_too_and_its_file_stays(kind: type[KernelLock], tmp_path: Path) -> None:
    first, second = kind(tmp_path / "lock"), kind(tmp_path / "lock")
    with first:
        assert not second.acquire()
    with second:
        assert not first.acquire()
    second.release()
    assert second.path.exists()


def test_a_lock_is_not_inherited_by_a_command_started_meanwhile(tmp_path: Path) -> None:
    lock = KernelLock(tmp_path / "lock")
    with lock, subprocess.Popen(["sleep", "60"], close_fds=False) as sleeper:
        lock.release()
        assert lock.acquire()
        sleeper.kill()


def test_entering_a_held_lock_says_which(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with KernelLock(path), pytest.raises(BlockingIOError, match=str(path)), KernelLock(path):
        pass


def test_a_second_daemon_names_the_pid_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with (
        another_process_holding(DaemonLock, path) as process,
        pytest.raises(AlreadyRunning, match=rf"pid {process.pid}\b"),
        DaemonLock(path),
    ):
        pass


def test_the_holder_of_a_daemon_lock_is_running_then_stopped(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert holder(path) == Holder(running=False, pid=None)
    with DaemonLock(path):
        assert holder(path) == Holder(running=True, pid=os.getpid())
    assert holder(path) == Holder(running=False, pid=None)


def test_the_holder_of_a_daemon_lock_that_was_killed_has_died(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with another_process_holding(DaemonLock, path) as process:
        path.chmod(0o444)
        assert holder(path) == Holder(running=True, pid=process.pid)
        assert not holder(path).died
        process.kill()
        process.wait()
        assert holder(path) == Holder(running=False, pid=process.pid)
        assert holder(path).died


def test_asking_for_the_holder_takes_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.touch()
    lock = DaemonLock(path)
    for _ in range(3):
        assert not holder(path).running
        assert lock.acquire()
        lock.release()


def test_a_lock_in_a_directory_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        KernelLock(tmp_path / "absent" / "lock").acquire()


def test_a_lock_whose_file_was_tidied_away_before_it_was_locked_is_not_held(tmp_path):
    class Overtaken(KernelLock):
        def _lock(self, fd: int) -> None:
            self.path.unlink()
            super()._lock(fd)

    assert not Overtaken(tmp_path / "process.lock").acquire()
    assert KernelLock(tmp_path / "process.lock").acquire()
