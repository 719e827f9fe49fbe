"""What a real datagram socket receives."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from cdsed.process.systemd import Systemd
from tests.support.clocks import HandClock


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as manager:
        manager.bind(str(tmp_path / "notify") if request.param == "path" else f"\0cdsed-test-{os.getpid()}")
        yield manager


def address(manager: socket.socket) -> str:
    name = manager.getsockname()
    return "@" + name[1:].decode() if isinstance(name, bytes) else name


def received(manager: socket.socket) -> list[str]:
    messages = []
    while True:
        try:
            messages.append(manager.recv(4096).decode())
        except BlockingIOError:
            return messages


def test_messages_arrive_as_systemd_reads_them(manager: socket.socket, clock: HandClock) -> None:
    systemd = Systemd(clock, {"NOTIFY_SOCKET": address(manager)})
    systemd.ready("all is\nwell")
    systemd.stopping("waiting")
    assert received(manager) == ["READY=1\nSTATUS=all is well", "STOPPING=1\nSTATUS=waiting"]


def test_a_status_is_sent_when_it_is_new_and_not_too_often(manager: socket.socket, clock: HandClock) -> None:
    systemd = Systemd(clock, {"NOTIFY_SOCKET": address(manager)})
    systemd.ready("one")
    systemd.status(lambda: "two")
    assert received(manager) == ["READY=1\nSTATUS=one"]
    clock.now_s += 10
    systemd.status(lambda: "one")
    assert received(manager) == []
    clock.now_s += 10
    systemd.status(lambda: "two")
    systemd.status(lambda: "three")
    assert received(manager) == ["STATUS=two"]


def test_the_watchdog_is_fed_every_half_of_its_time(manager: socket.socket, clock: HandClock) -> None:
    systemd = Systemd(clock, {"NOTIFY_SOCKET": address(manager), "WATCHDOG_USEC": "60000000"})
    assert systemd.ping_every_s == 30
    for _ in range(61):
        systemd.ping()
        clock.now_s += 1
    assert received(manager) == ["WATCHDOG=1"] * 3


@pytest.mark.parametrize("watchdog", [{}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}])
def test_a_watchdog_that_is_off_or_not_ours_is_not_fed(
    manager: socket.socket, clock: HandClock, watchdog: dict[str, str]
) -> None:
    Systemd(clock, {"NOTIFY_SOCKET": address(manager)} | watchdog).ping()
    assert received(manager) == []


def test_without_systemd_nothing_is_sent_and_no_status_asked_for(clock: HandClock) -> None:
    systemd = Systemd(clock, {"WATCHDOG_USEC": "60000000"})
    systemd.ready("up")
    systemd.ping()
    systemd.status(lambda: pytest.fail("asked"))


def test_a_service_manager_that_is_gone_does_no_harm(
    tmp_path: Path, clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    Systemd(clock, {"NOTIFY_SOCKET": str(tmp_path / "absent")}).ready("up")
    assert "cannot send READY=1 to systemd" in caplog.text
