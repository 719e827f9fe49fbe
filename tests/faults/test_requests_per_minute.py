"""Requests per minute: the processes of a daemon together never send more requests for an account than it allows."""

import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest

from cdsed.sandbox.accounts import make_accounts
from cdsed.sandbox.names import realistic_safenames
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.sandbox import SandboxProcess

_LIMIT = 80


def _sandbox() -> SandboxProcess:
    """Return a lab with many tiny objects, and an account that refuses more than so many requests in 60 s."""
    return SandboxProcess(accounts=[replace(make_accounts(1, 1)[0], requests_per_minute=_LIMIT)])


def _tiny_objects(lab: Installation, sandbox: SandboxProcess) -> list[str]:
    names = realistic_safenames("S1_GRD", 8, seed=61)
    sandbox.add_products(*({"safename": name, "size_bytes": 100_000} for name in names))
    lab.drop("tiny.txt", names)
    return names


def test_three_processes_stop_together_before_the_limit(tmp_path: Path) -> None:
    with _sandbox() as sandbox:
        lab = Installation(tmp_path, sandbox, transfer={"processes": 3})
        _tiny_objects(lab, sandbox)

        def requests() -> int:
            return int(sandbox.counters()["accounts"]["sandbox-1"]["requests"])

        with DaemonProcess(lab) as daemon:
            wait_until("the limit is near", lambda: requests() >= _LIMIT - 8, daemon=daemon)
            # Meanwhile a worker that ignored the limit would have time to exceed it.
            wait_until("all wait for the minute", lambda: lab.status()["quota_wait"], daemon=daemon)
            screen, waits = lab.command("status"), lab.status()
            counted = sandbox.counters()["accounts"]["sandbox-1"]
        assert counted["refused"] == 0, daemon.log()
        assert screen.returncode == 0, screen.stdout
        assert (
            "Waiting: the work waits for a quota: sandbox-1: its requests of this minute are used up" in screen.stdout
        )
        assert "····" in screen.stdout
        assert "✕" not in screen.stdout
        assert (waits["quota_wait"]["limit"], waits["needs_account"]) == ("requests", False)
        assert 0 < waits["quota_wait"]["in_s"] <= 65
        assert _LIMIT - 8 <= counted["requests"] <= _LIMIT
        assert lab.query("SELECT 1 FROM breaker") == []


def test_accounts_that_share_their_quotas_never_exceed_them_together(tmp_path: Path) -> None:
    shares = {"organisation": "lops", "shares": ("requests", "connections"), "requests_per_minute": _LIMIT}
    accounts = [replace(account, sessions=3, **shares) for account in make_accounts(2, 1)]
    with SandboxProcess(accounts=accounts) as sandbox:
        lab = Installation(tmp_path, sandbox, transfer={"processes": 3})
        _tiny_objects(lab, sandbox)

        def counted() -> list[dict[str, int]]:
            return [sandbox.counters()["accounts"][account.name] for account in accounts]

        with DaemonProcess(lab) as daemon:
            wait_until("all wait for the minute", lambda: lab.status()["quota_wait"], daemon=daemon)
            response = lab.status()
        assert all(each["refused"] == each["overbooked"] == 0 for each in counted()), daemon.log()
        assert _LIMIT - 8 <= sum(each["requests"] for each in counted()) <= _LIMIT
        assert all(each["requests"] for each in counted()), "both accounts were used"
        assert response["quota_wait"]["shared"]
        [pool] = response["pools"]
        assert (pool["sessions"], pool["requests_per_minute"], pool["volume_bytes"]) == (3, _LIMIT, None)


def _counted(sandbox: SandboxProcess) -> dict[str, int]:
    counters: dict[str, int] = sandbox.counters()["accounts"]["sandbox-1"]
    return counters


def _limited(limit: int, sessions: int = 4) -> SandboxProcess:
    account = replace(make_accounts(1, 1)[0], requests_per_minute=limit, sessions=sessions)
    return SandboxProcess(accounts=[account])


def test_products_that_need_two_requests_to_be_found_are_never_asked_for_beyond_the_limit(tmp_path: Path) -> None:
    limit = 101
    with _limited(limit) as sandbox:
        lab = Installation(tmp_path, sandbox, transfer={"processes": 3})
        names = realistic_safenames("S5P", 120, seed=61)  # one object each: nothing below its name, so LIST and HEAD
        sandbox.add_products(*({"safename": name, "size_bytes": 2_000} for name in names))
        lab.drop("s5p.txt", names)
        with DaemonProcess(lab) as daemon:
            wait_until("the limit is near", lambda: _counted(sandbox)["requests"] >= limit - 4, daemon=daemon)
            time.sleep(3)  # a worker that ignored the limit would have time to
            counted = _counted(sandbox)
            assert counted["refused"] == 0, daemon.log()
            assert counted["requests"] <= limit
        assert lab.query("SELECT 1 FROM breaker") == []
        assert "something else" not in daemon.log()
        assert lab.query("SELECT 1 FROM product WHERE attempts + transient_failures > 0") == []


@pytest.mark.timeout(240)
@pytest.mark.parametrize("limit", [pytest.param(1, marks=pytest.mark.soak), 2])
def test_a_product_that_needs_more_requests_than_are_left_waits_for_them_and_arrives(
    tmp_path: Path, limit: int
) -> None:
    """Planning needs two requests: with one a minute, the first must not be wasted."""
    with _limited(limit) as sandbox:
        lab = Installation(tmp_path, sandbox)
        [name] = realistic_safenames("S5P", 1, seed=62)
        sandbox.add_products({"safename": name, "size_bytes": 2_000})
        lab.drop("one.txt", [name])
        with DaemonProcess(lab) as daemon:
            wait_until("the report", lambda: lab.report("one.txt"), 220, daemon=daemon)
        assert lab.endings("one.txt") == [("done", 0)]
        assert (_counted(sandbox)["requests"], _counted(sandbox)["refused"]) == (3, 0)


def test_workers_killed_in_the_middle_of_their_requests_do_not_send_them_twice_in_a_minute(tmp_path: Path) -> None:
    with _sandbox() as sandbox:
        lab = Installation(tmp_path, sandbox, transfer={"processes": 3})
        _tiny_objects(lab, sandbox)
        killed: set[int] = set()

        def near() -> bool:
            for pid in daemon.worker_pids("download"):
                if pid not in killed and len(killed) < 6 and lab.query(_holds(pid)):
                    os.kill(pid, signal.SIGKILL)
                    killed.add(pid)
            # What the dead had claimed counts as sent: it may use up the minute, and then no session is leased in it.
            return len(killed) >= 6 or lab.query(_USED_UP)

        with DaemonProcess(lab) as daemon:
            wait_until("six were killed, or the minute is used up", near, daemon=daemon)
            assert len(killed) >= 3, "too few died in the middle of their requests"
            time.sleep(5)
            assert _counted(sandbox)["refused"] == 0, daemon.log()
            assert _counted(sandbox)["requests"] <= _LIMIT


_USED_UP = f"""
SELECT 1 WHERE {_LIMIT} <= (SELECT coalesce(sum(requests), 0) FROM traffic_step)
                        + (SELECT coalesce(sum(requests), 0) FROM session)
"""


def _holds(pid: int) -> str:
    return f"SELECT 1 FROM session JOIN process ON process.id = session.process WHERE pid = {pid}"


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_a_listing_beyond_the_limit_ends_without_one_refusal(tmp_path: Path) -> None:
    with _sandbox() as sandbox:
        lab = Installation(tmp_path, sandbox, transfer={"processes": 3})
        names = _tiny_objects(lab, sandbox)
        with DaemonProcess(lab, "--once") as daemon:
            assert daemon.wait(800) == 0, daemon.log()
        counted = sandbox.counters()["accounts"]["sandbox-1"]
        assert counted["refused"] == 0
        assert counted["requests"] > 2 * _LIMIT
        assert lab.differences(names) == []
