"""Killed at any moment, the daemon goes on where it was: nothing lost, doubled, half published or overbooked."""

import os
import random
import signal
import threading
import time
from pathlib import Path

from cdsed.sandbox.accounts import make_accounts
from cdsed.sandbox.names import realistic_safenames
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.sandbox import SandboxProcess

_KINDS = ["S1_GRD", "S1_OCN", "S2_L1C", "S3", "S5P"]


class Watcher(threading.Thread):
    """An independent observer of a spool: whatever appears under a final name must be whole at once.

    It also notes how often each product's objects were asked for up to the moment it appeared.
    """

    def __init__(self, lab: Installation, names: list[str]) -> None:
        super().__init__(daemon=True)
        self._lab = lab
        self._sizes = {
            name: sorted((path, item.size_bytes) for path, item in lab.sandbox.truth(name).items()) for name in names
        }
        self.partial: list[str] = []
        self.requests_when_published: dict[str, int] = {}
        self.done = threading.Event()

    def run(self) -> None:
        while not self.done.is_set():
            for entry in os.scandir(self._lab.spool):
                if entry.name not in self.requests_when_published and not entry.name.startswith("."):
                    self._look(Path(entry.path))
            time.sleep(0.005)

    def _look(self, path: Path) -> None:
        if path.is_file():
            found = [(path.name, path.stat().st_size)]
        else:
            found = sorted((str(p.relative_to(path)), p.stat().st_size) for p in path.rglob("*") if p.is_file())
        if found != self._sizes.get(path.name):
            self.partial.append(path.name)
        self.requests_when_published[path.name] = requests_for(self._lab, path.name)


def requests_for(lab: Installation, name: str) -> int:
    """Return how many GETs the sandbox has seen for the objects of a product."""
    return sum(count["requests"] for key, count in lab.sandbox.counters()["keys"].items() if name in key)


def test_fifty_kills_during_a_listing_of_a_hundred_products_lose_nothing(tmp_path: Path) -> None:
    names = [name for kind in _KINDS for name in realistic_safenames(kind, 20, seed=17)]
    dice = random.Random(20261122)
    with SandboxProcess(make_accounts(2, seed=1, bandwidth_bytes_per_s=1_500_000)) as sandbox:
        lab = Installation(tmp_path, sandbox)
        sandbox.add_products(*({"safename": name, "size_bytes": 6_000_000} for name in names))
        watcher = Watcher(lab, names)
        watcher.start()
        daemon = DaemonProcess(lab)
        with daemon:
            lab.drop("hundred.txt", names)
            wait_until("the listing is taken", lambda: lab.receipt("hundred.txt"), daemon=daemon)
            for _ in range(50):
                time.sleep(dice.uniform(0.2, 1.0))  # the moment of a kill is meant to be any moment
                if dice.random() < 0.3 or not daemon.running():
                    if daemon.running():
                        daemon.kill()
                    daemon.start()
                elif pids := daemon.worker_pids():
                    _kill(dice.choice(pids))
            wait_until("the listing is reported", lambda: lab.report("hundred.txt"), 180, daemon=daemon)
        watcher.done.set()
        watcher.join()
        report = lab.report("hundred.txt")
        assert report is not None
        assert {row["state"] for row in report["products"]} == {"done"}, report["states"]
        assert len(report["products"]) == 100
        assert lab.differences(names) == []
        assert watcher.partial == []
        assert {name: requests_for(lab, name) for name in names} == watcher.requests_when_published
        accounts = sandbox.counters()["accounts"]
        assert {name: counted["open_max"] for name, counted in accounts.items() if counted["open_max"] > 4} == {}
        leftovers = [path for path in (lab.spool / ".cdsed").iterdir() if path.name != "quarantine"]
        assert leftovers == []


def test_a_large_product_killed_at_half_goes_on_from_there(tmp_path: Path) -> None:
    [name] = realistic_safenames("S1_SLC", 1, seed=19)
    size_bytes = 1_000_000_000
    with SandboxProcess(make_accounts(2, seed=1, bandwidth_bytes_per_s=20_000_000)) as sandbox:
        lab = Installation(tmp_path, sandbox, transfer={"checkpoint_every_s": 0.5})
        sandbox.add_products({"safename": name, "size_bytes": size_bytes})
        sandbox.truth(name)  # its digests take a while; they are not part of the test
        daemon = DaemonProcess(lab)
        with daemon:
            lab.drop("one.txt", [name])
            wait_until("half of it is there", lambda: _sent(sandbox) > size_bytes // 2, daemon=daemon)
            for pid in [daemon.pid, *daemon.worker_pids()]:
                _kill(pid)
            daemon.wait(10)
            wait_until("everything is dead", lambda: not daemon.worker_pids())
            sandbox.reset_counters()
            daemon.start()
            wait_until("it is reported", lambda: lab.report("one.txt"), 90, daemon=daemon)
        assert lab.differences([name]) == []
        assert _sent(sandbox) < 0.55 * size_bytes


def _sent(sandbox: SandboxProcess) -> int:
    return sum(count["bytes_sent"] for count in sandbox.counters()["keys"].values())


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
