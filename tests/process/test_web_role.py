"""The page as a worker of the real daemon, and ``cdsed web`` without one."""

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests

from cdsed.cli.main import main
from cdsed.clock import SYSTEM_CLOCK
from cdsed.config.settings import Settings
from cdsed.config.web_page import Listen
from cdsed.errors import UsageError
from cdsed.web.server import bind, serving
from tests.support.cli_lab import ROOT, CliLab
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.ports import free_port
from tests.support.sandbox import SandboxProcess


def test_the_daemon_works_on_while_the_page_cannot_be_served_and_serves_it_again_after_a_kill(
    tmp_path: Path, shared_sandbox: SandboxProcess
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        lab = Installation(tmp_path / "lab", shared_sandbox, web={"listen": url[7:-1]})
        with DaemonProcess(lab) as daemon:
            [notice] = wait_until("the notice", lambda: lab.query("SELECT text FROM notice"), daemon=daemon)
            assert notice["text"] == f"the page cannot be served at {url}: Address already in use"
            taken.close()
            status = wait_until("the page", lambda: _status(url), daemon=daemon)
            assert (status["daemon"]["state"], status["daemon"]["pid"]) == ("running", daemon.pid)
            assert lab.query("SELECT text FROM notice") == []
            [pid] = daemon.worker_pids("web")
            os.kill(pid, signal.SIGKILL)
            wait_until("the page again", lambda: daemon.worker_pids("web") != [pid] and _status(url), daemon=daemon)


def _status(url: str) -> Any:
    try:
        return requests.get(f"{url}api/v1/status", timeout=5).json()
    except requests.ConnectionError:
        return None


def test_the_command_serves_the_page_until_a_signal(used_cli_lab: CliLab) -> None:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "cdsed", "web", "--listen", f"127.0.0.1:{port}"],
        stdout=subprocess.PIPE,
        env={**os.environ, "CDSED_CONFIG": str(used_cli_lab.config), "PYTHONPATH": str(ROOT)},
        text=True,
    )
    try:
        assert process.stdout is not None
        assert f"http://127.0.0.1:{port}/" in process.stdout.readline()
        assert (
            requests.get(f"http://127.0.0.1:{port}/api/v1/listings", timeout=5).json()["listings"][0]["name"]
            == "storm.txt"
        )
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("address", "code", "reason"),
    [("0.0.0.0:8340", 78, "allow_remote"), ("nonsense", 78, "HOST:PORT"), ("/nowhere/x.sock", 64, "No such file")],
)
def test_the_command_refuses_what_cannot_be_served(
    used_cli_lab: CliLab, capsys: pytest.CaptureFixture[str], address: str, code: int, reason: str
) -> None:
    assert main(["web", "--config", str(used_cli_lab.config), "--listen", address]) == code
    assert reason in capsys.readouterr().err


def test_a_socket_file_is_replaced_only_if_nothing_listens(tmp_path: Path) -> None:
    listen = Listen(path=tmp_path / "web.sock")
    with bind(listen):
        assert (tmp_path / "web.sock").stat().st_mode & 0o777 == 0o660
        with pytest.raises(UsageError, match="in use"):
            bind(listen)
    with bind(listen):  # what a killed process has left
        pass
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match="in use"):
        bind(Listen(path=tmp_path / "file"))
    assert (tmp_path / "file").read_text(encoding="utf-8") == "mine"


def test_a_socket_of_a_process_that_hangs_is_neither_waited_for_nor_replaced(tmp_path: Path) -> None:
    path = tmp_path / "web.sock"
    with ExitStack() as stack:
        hung = stack.enter_context(socket.socket(socket.AF_UNIX))
        hung.bind(str(path))
        hung.listen(0)
        for _ in range(3):  # more than its queue holds
            waiting = stack.enter_context(socket.socket(socket.AF_UNIX))
            waiting.setblocking(False)
            waiting.connect_ex(str(path))
        with pytest.raises(UsageError, match="in use"):
            bind(Listen(path=path))
    assert path.is_socket()


def test_the_page_is_served_over_a_unix_socket_which_is_removed_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "web.sock"
    settings = Settings(state_dir=tmp_path / "state")
    with bind(Listen(path=path)) as listener, serving(settings, listener, SYSTEM_CLOCK):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(path))
            connection.sendall(b"GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["daemon"]["state"] == "never started"
    assert not path.exists()
