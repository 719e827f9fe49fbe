"""Workers that are forked from the template, in a real daemon."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.sandbox import SandboxProcess

_WORKERS = 4


@pytest.fixture
def daemon(tmp_path: Path, shared_sandbox: SandboxProcess) -> Iterator[DaemonProcess]:
    with DaemonProcess(Installation(tmp_path, shared_sandbox, process={"stop_within_s": 10})) as daemon:
        daemon.until_at_work(_WORKERS)
        yield daemon


def _status(pid: int, field: str) -> str:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return next(line.split(":", 1)[1].strip() for line in lines if line.startswith(f"{field}:"))


def _opened(pid: int) -> dict[str, str]:
    return {entry.name: str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir()}


def _template(daemon: DaemonProcess) -> int:
    [pid] = [
        pid
        for pid in map(int, Path(f"/proc/{daemon.pid}/task/{daemon.pid}/children").read_text("ascii").split())
        if pid not in daemon.worker_pids()
    ]
    return pid


def test_a_forked_worker_looks_like_one_that_was_started_as_a_command(daemon: DaemonProcess) -> None:
    [pid] = daemon.worker_pids("intake")
    assert int(_status(pid, "PPid")) == daemon.pid
    assert os.getsid(pid) == os.getpgid(pid) == pid
    assert Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[-6:-1] == [
        *(b"intake", b"--name", b"intake", b"--config"),
        os.fsencode(daemon.lab.config),
    ]
    assert {_opened(pid)[str(fd)] for fd in (0, 1, 2)} == {os.devnull, str(daemon.log_path)}
    assert not any("daemon.lock" in path for path in _opened(pid).values())


def test_the_template_has_one_thread_no_state_and_no_lock(daemon: DaemonProcess) -> None:
    pid = _template(daemon)
    assert _status(pid, "Threads") == "1"
    assert not any(str(daemon.lab.state) in path for path in _opened(pid).values())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may read the memory of another process")
def test_the_template_has_no_secret(daemon: DaemonProcess) -> None:
    pid = _template(daemon)
    secrets = [account.secret_key.encode() for account in daemon.lab.sandbox.accounts]
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text("utf-8").splitlines():
            begin, end = (int(word, 16) for word in line.split()[0].split("-"))
            if "rw-p" in line and "[v" not in line:
                memory.seek(begin)
                text = memory.read(end - begin)
                assert not any(secret in text for secret in secrets), line


def test_without_its_template_a_worker_starts_as_a_command(daemon: DaemonProcess) -> None:
    os.kill(_template(daemon), signal.SIGKILL)
    [pid] = daemon.worker_pids("resolve")
    os.kill(pid, signal.SIGKILL)
    wait_until(
        "another resolve worker",
        lambda: (
            [each for each in daemon.worker_pids("resolve") if each != pid]
            and daemon.lab.query("SELECT 1 FROM process")[3:]
        ),
        daemon=daemon,
    )
    assert "workers start as commands from now on" in daemon.log()
    daemon.terminate()
    assert daemon.wait(30) == 0, daemon.log()


def test_the_template_and_its_workers_leave_after_a_killed_supervisor(daemon: DaemonProcess) -> None:
    template, workers = _template(daemon), daemon.worker_pids()
    daemon.kill()
    wait_until("their ends", lambda: not any(Path(f"/proc/{pid}").exists() for pid in (template, *workers)))
