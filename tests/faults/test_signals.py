"""Signals to the real daemon: it leaves within seconds, keeps what has arrived, and reloads whole or not at all."""

import contextlib
import os
import random
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cdsed.sandbox.accounts import make_accounts
from cdsed.sandbox.names import realistic_safenames
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.sandbox import SandboxProcess

_MB = 10**6


def _large_product(sandbox: SandboxProcess, size_bytes: int, *, seed: int = 51) -> str:
    [name] = realistic_safenames("S1_SLC", 1, seed=seed)
    sandbox.add_products({"safename": name, "size_bytes": size_bytes})
    return name


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_in_the_middle_of_a_product_keeps_what_has_arrived(tmp_path: Path, number: signal.Signals) -> None:
    size_bytes = 40 * _MB
    with SandboxProcess(bandwidth_bytes_per_s=3 * _MB) as sandbox:
        lab = Installation(tmp_path, sandbox, transfer={"piece_bytes": 4 * 2**20})
        name = _large_product(sandbox, size_bytes)
        lab.drop("one.txt", [name])
        with DaemonProcess(lab) as daemon:
            wait_until("half of it has come", lambda: sandbox.bytes_sent() > size_bytes / 2, daemon=daemon)
            daemon.send(number)
            assert daemon.wait(60) == 0
            assert "has not left" not in daemon.log()
            assert daemon.worker_pids() == []
        fetched = sandbox.bytes_sent()
        sandbox.reset_counters()
        lab.run_once()
        assert sandbox.bytes_sent() < (size_bytes - fetched) + 0.1 * size_bytes
        assert lab.differences([name]) == []


def _holds_reloads(daemon: DaemonProcess) -> bool:
    """Tell whether Python runs our first line: before that, a program cannot handle a signal."""
    status = Path(f"/proc/{daemon.pid}/status").read_text(encoding="ascii")
    blocked, caught = (int(re.findall(rf"{name}:\s*(\w+)", status)[0], 16) for name in ("SigBlk", "SigCgt"))
    return bool((blocked | caught) & 1 << signal.SIGHUP - 1)


@pytest.mark.parametrize("after_s", [0.0, 0.5, 1.5])
def test_a_reload_that_is_asked_for_while_it_starts_is_remembered(tmp_path: Path, after_s: float) -> None:
    with SandboxProcess() as sandbox:
        lab = Installation(tmp_path, sandbox)
        with DaemonProcess(lab) as daemon:
            wait_until("Python runs", lambda: _holds_reloads(daemon), daemon=daemon)
            time.sleep(after_s)  # at whatever point of its start that is
            daemon.send(signal.SIGHUP)
            wait_until("it is reloaded", lambda: "are reloaded" in daemon.log(), daemon=daemon)
            assert daemon.log().index("download-2 started") < daemon.log().index("are reloaded")
            daemon.terminate()
            assert daemon.wait(60) == 0


def test_a_second_term_ends_it_at_once(tmp_path: Path) -> None:
    with SandboxProcess() as sandbox:
        lab = Installation(tmp_path, sandbox, process={"stop_within_s": 60})
        name = _large_product(sandbox, 5 * _MB)
        sandbox.fault(kind="stall", operation="get")
        lab.drop("one.txt", [name])
        with DaemonProcess(lab) as daemon:
            wait_until("a stall", lambda: sandbox.counters()["faults"], daemon=daemon)
            [download, *_] = daemon.worker_pids("download")
            os.kill(download, signal.SIGSTOP)  # it does not leave in order
            daemon.terminate()
            wait_until("the first is heard", lambda: "SIGTERM: stopping" in daemon.log(), daemon=daemon)
            daemon.terminate()
            assert daemon.wait(30) == 0  # half of the time-out of the workers
            assert daemon.worker_pids() == []


def test_stopped_at_five_random_moments_it_still_brings_everything(tmp_path: Path) -> None:
    names = [name for kind in ("S1_GRD", "S2_L1C", "S3") for name in realistic_safenames(kind, 4, seed=53)]
    dice = random.Random(53)
    with SandboxProcess(bandwidth_bytes_per_s=_MB) as sandbox:
        lab = Installation(tmp_path, sandbox)
        sandbox.add_products(*({"safename": name, "size_bytes": _MB} for name in names))
        lab.drop("all.txt", names)
        for _ in range(5):
            with DaemonProcess(lab) as daemon:
                timestamp = sandbox.bytes_sent() + dice.randrange(200_000, 2 * _MB)
                wait_until(f"{timestamp} bytes", lambda: sandbox.bytes_sent() >= timestamp, daemon=daemon)  # noqa: B023
                daemon.terminate()
                assert daemon.wait(60) == 0, daemon.log()
                assert "has not left" not in daemon.log()
        log = lab.run_once()
        assert lab.differences(names) == []
        assert sandbox.bytes_sent() < 1.3 * len(names) * _MB
        assert sandbox.counters()["accounts"]["sandbox-1"]["open_max"] <= 4
        assert "Traceback" not in log


def test_hup_brings_a_new_account_into_use_while_work_continues(tmp_path: Path) -> None:
    first, second = make_accounts(2, seed=1, bandwidth_bytes_per_s=_MB)
    with SandboxProcess([first, second]) as sandbox:
        lab = Installation(tmp_path, sandbox, accounts=[first], transfer={"piece_bytes": 2**20})
        name = _large_product(sandbox, 60 * _MB)  # the first account alone takes 15 s for it, longer than a reload
        lab.drop("one.txt", [name])
        with DaemonProcess(lab) as daemon:
            wait_until("it has begun", lambda: sandbox.bytes_sent() > _MB, daemon=daemon)
            lab.write_accounts({"default": [first, second]})
            daemon.send(signal.SIGHUP)
            counters = wait_until(
                "the new account carries bytes",
                lambda: (counted := sandbox.counters()["accounts"])[second.name]["bytes"] and counted,
                daemon=daemon,
            )
            assert counters[second.name]["open_max"] <= 4
            wait_until("its report", lambda: lab.report("one.txt"), daemon=daemon)
        assert "settings and accounts are reloaded" in daemon.log()
        assert "Traceback" not in daemon.log()
        assert lab.states("one.txt") == {name: "done"}
        report = lab.report("one.txt")
        assert report is not None
        assert report["products"][0]["attempts"] == 0
        assert lab.differences([name]) == []


def test_hup_brings_a_corrected_key_into_use(tmp_path: Path) -> None:
    [account] = make_accounts(1, seed=1)
    names = realistic_safenames("S1_OCN", 2, seed=59)
    with SandboxProcess([account]) as sandbox:
        retry = {"account_first_delay_s": 600, "account_longest_delay_s": 600}
        lab = Installation(tmp_path, sandbox, accounts=[replace(account, secret_key="0" * 40)], retry=retry)
        sandbox.add_products(*({"safename": name, "size_bytes": 200_000} for name in names))
        lab.drop("two.txt", names)
        with DaemonProcess(lab) as daemon:
            wait_until("it backs off", lambda: "it backs off for" in daemon.log(), daemon=daemon)
            lab.write_accounts({"default": [account]})
            daemon.send(signal.SIGHUP)
            wait_until("its report", lambda: lab.report("two.txt"), daemon=daemon)
        assert lab.differences(names) == []


def test_hup_with_bad_settings_changes_nothing(tmp_path: Path) -> None:
    names = realistic_safenames("S1_OCN", 2, seed=55)
    with SandboxProcess() as sandbox:
        lab = Installation(tmp_path, sandbox)
        sandbox.add_products(*({"safename": name, "size_bytes": 200_000} for name in names))
        with DaemonProcess(lab) as daemon:
            daemon.until_at_work()
            workers = daemon.worker_pids()
            lab.config.write_text("transfer: {processes: many, colour: red}\n", encoding="utf-8")
            daemon.send(signal.SIGHUP)
            wait_until("both problems are logged", lambda: "colour" in daemon.log(), daemon=daemon)
            assert "transfer.processes" in daemon.log()
            assert "ERROR" in daemon.log()
            lab.configure()
            lab.drop("two.txt", names)
            wait_until("its report", lambda: lab.report("two.txt"), daemon=daemon)
            assert daemon.worker_pids() == workers
        assert lab.differences(names) == []


def test_a_storm_of_hups_leaves_the_newest_settings_in_force(tmp_path: Path) -> None:
    names = realistic_safenames("S1_OCN", 6, seed=57)
    with SandboxProcess(bandwidth_bytes_per_s=200_000) as sandbox:
        lab = Installation(tmp_path, sandbox)
        sandbox.add_products(*({"safename": name, "size_bytes": 400_000} for name in names))
        lab.drop("six.txt", names)
        with DaemonProcess(lab) as daemon:
            wait_until("it has begun", lambda: sandbox.bytes_sent() > 0, daemon=daemon)
            for count in range(30):
                lab.configure(transfer={"processes": 1 + count % 3})
                daemon.send(signal.SIGHUP)
            lab.configure(transfer={"processes": 1})
            daemon.send(signal.SIGHUP)
            wait_until("one download process is left", lambda: len(daemon.worker_pids("download")) == 1, daemon=daemon)
            wait_until("its report", lambda: lab.report("six.txt"), daemon=daemon)
            assert daemon.running()
        assert lab.differences(names) == []
        assert sandbox.counters()["accounts"]["sandbox-1"]["open_max"] <= 4


def test_a_second_daemon_on_the_same_state_is_refused_by_name_of_the_first(tmp_path: Path) -> None:
    with SandboxProcess() as sandbox:
        lab = Installation(tmp_path, sandbox)
        with DaemonProcess(lab) as daemon:
            daemon.until_at_work()
            second = lab.command("run")
            assert second.returncode == 75
            assert f"another daemon (pid {daemon.pid})" in second.stderr
            assert "Traceback" not in second.stderr
            assert daemon.running()


@contextlib.contextmanager
def _service_manager(path: Path) -> Iterator[list[str]]:
    """Play systemd's end of NOTIFY_SOCKET; give the messages as they come."""
    reported: list[str] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(str(path))

        def listen() -> None:
            while message := ear.recv(4096):
                reported.append(message.decode())

        thread = threading.Thread(target=listen)
        thread.start()
        yield reported
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as mouth:
            mouth.sendto(b"", str(path))
        thread.join()


def test_the_service_manager_gets_ready_status_and_stopping(tmp_path: Path) -> None:
    with SandboxProcess() as sandbox, _service_manager(tmp_path / "notify") as reported:
        lab = Installation(tmp_path / "lab", sandbox)
        with DaemonProcess(lab, environ={"NOTIFY_SOCKET": str(tmp_path / "notify")}) as daemon:
            wait_until("READY", lambda: any("READY=1" in message for message in reported), daemon=daemon)
            starting = [message for message in reported if "READY=1" not in message]
            assert starting[0].startswith("EXTEND_TIMEOUT_USEC=")  # a large state takes a while to examine
            assert starting[1].startswith("EXTEND_TIMEOUT_USEC=")  # and so may its workers to start
            assert starting[2] == "STATUS=starting: 0 of 4 processes ready"
            assert "READY=1\nSTATUS=idle: nothing to do" in reported
            assert len(daemon.worker_pids()) == 4
            lab.configure(log_level="DEBUG")
            daemon.send(signal.SIGHUP)
            wait_until("READY again", lambda: sum("READY=1" in message for message in reported) == 2, daemon=daemon)
            assert any(re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=\d+", message) for message in reported)
            daemon.terminate()
            assert daemon.wait(60) == 0
        assert any(message.startswith("STOPPING=1\nSTATUS=stopping") for message in reported)
