"""Requests per minute: however many processes there are, an account is never asked for more than it may be."""

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
    """Return one whose account has many tiny objects to fetch, and a limit that it refuses beyond, in any 60 s."""
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
            time.sleep(3)  # whoever would go on has time to
            counted = sandbox.counters()["accounts"]["sandbox-1"]
        assert counted["refused"] == 0, daemon.log()
        assert _LIMIT - 8 <= counted["requests"] <= _LIMIT
        assert lab.query("SELECT 1 FROM breaker") == []


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
