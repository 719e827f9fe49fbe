"""Kills at random while one listing is fetched: no product lost, doubled or half published, no session overbooked.

Another seed: ``CDSED_KILL_SEED``; it is printed.
"""

import contextlib
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from cdsed.sandbox.accounts import make_accounts
from cdsed.sandbox.names import realistic_safenames
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.invariants import (
    Eye,
    Watcher,
    found_by_the_checker,
    leftovers,
    overbooked,
    receipts_unlike_their_listings,
    requests_for,
)
from tests.support.sandbox import SandboxProcess

_KINDS = ["S1_GRD", "S1_OCN", "S2_L1C", "S3", "S5P"]
_WORKERS = ["intake", "resolve", "download-1", "download-2", "download-3", "download-4"]
_PRODUCT_BYTES = 2_500_000
_GUST = 10
_SLOW_BYTES_PER_S = 400_000  # of a connection while the storm lasts: the listing must not end before it


def _kill(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
        return True
    return False


class Storm:
    """Kills random processes of a daemon, and starts it again if its supervisor was killed."""

    def __init__(self, daemon: DaemonProcess, dice: random.Random) -> None:
        self._daemon = daemon
        self._dice = dice
        self.kills: Counter[str] = Counter()

    def strike(self) -> None:
        """Kill one worker mostly; now and then the supervisor, or everything at once."""
        choice, victim = self._dice.random(), self._dice.random()
        workers = self._daemon.worker_pids()
        if choice < 0.08 or choice > 0.98:
            self._daemon.kill()
            self.kills["supervisor"] += 1
            if choice > 0.98:
                self.kills["worker"] += sum(map(_kill, workers))
            self._daemon.start()
        elif workers:
            self.kills["worker"] += _kill(workers[int(victim * len(workers))])


def _lull(watcher: Watcher) -> None:
    """Wait a little until one more product has appeared, so that the kills hit every stage of the listing."""
    before, until_s = len(watcher.published()), time.monotonic() + 3
    while len(watcher.published()) == before and time.monotonic() < until_s:
        time.sleep(0.05)


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("kills", "products"),
    [
        pytest.param(80, 60, id="80 kills, 60 products"),
        pytest.param(500, 300, id="500 kills, 300 products", marks=pytest.mark.soak),
    ],
)
def test_kills_at_random_moments_of_a_listing_lose_nothing(tmp_path: Path, kills: int, products: int) -> None:
    seed = int(os.environ.get("CDSED_KILL_SEED", str(random.SystemRandom().randrange(10**6))))
    print(f"CDSED_KILL_SEED={seed}")
    dice = random.Random(seed)
    names = [name for kind in _KINDS for name in realistic_safenames(kind, products // len(_KINDS), seed=seed)]
    with SandboxProcess(make_accounts(2, seed=1)) as sandbox:
        lab = Installation(tmp_path, sandbox, transfer={"processes": 4})
        sandbox.add_products(*({"safename": name, "size_bytes": _PRODUCT_BYTES} for name in names))
        sandbox.fault(kind="trickle", operation="get", bytes_per_s=_SLOW_BYTES_PER_S)
        eye, daemon = Eye(lab.state), DaemonProcess(lab)
        with Watcher(sandbox, [lab.spool]) as watcher, daemon:
            watcher.expect(names)
            content = lab.drop("storm.txt", names).read_bytes()
            wait_until("it is at work", lambda: lab.query("SELECT 1 FROM piece WHERE done_bytes > 0"), daemon=daemon)
            storm = Storm(daemon, dice)
            began_s = time.monotonic()
            for gust in range(1, kills // _GUST + 1):
                while storm.kills.total() < gust * _GUST:
                    time.sleep(dice.uniform(0, 0.4))  # the moment of a kill is meant to be any moment
                    storm.strike()
                _lull(watcher)
            print(f"{dict(storm.kills)} in {time.monotonic() - began_s:.0f} s; published: {len(watcher.published())}")
            assert lab.report("storm.txt") is None, "the listing ended before the storm"
            assert eye.broken() == []
            sandbox.clear_faults()
            wait_until("the listing is reported", lambda: lab.report("storm.txt"), 240, daemon=daemon)
            assert found_by_the_checker(lab) == []
            _asked_again(lab, daemon, names)
        assert lab.differences(names) == []
        assert (watcher.partial, watcher.doubled) == ([], [])
        assert requests_for(sandbox, names) == watcher.requests_when_published
        assert overbooked(sandbox) == []
        assert leftovers(lab) == []
        assert receipts_unlike_their_listings(lab, {"storm.txt": content}) == []
        assert (eye.broken(), found_by_the_checker(lab)) == ([], [])


def _asked_again(lab: Installation, daemon: DaemonProcess, names: list[str]) -> None:
    """Products that killed three workers are given up. A new request for them succeeds."""
    report = lab.report("storm.txt")
    assert report is not None
    assert len(report["products"]) == len(names)
    poisoned = [row["safename"] for row in report["products"] if row["state"] != "done"]
    print(f"given up as poison: {len(poisoned)}")
    assert all("killed the worker" in row["cause"] for row in report["products"] if row["state"] != "done")
    if poisoned:
        lab.drop("again.txt", poisoned)
        wait_until("they are fetched", lambda: lab.report("again.txt"), 120, daemon=daemon)
