"""Daemon and workers on two mounts of one export, each with caches of a minute, and bytes that arrive after a cut.

The mounts are FUSE file systems of the tests (`tests.soak.disks.late_disk`), and a machine is a mount namespace in
which the same paths are another mount. Another seed: ``CDSED_KILL_SEED``; it is printed.
"""

import contextlib
import os
import random
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pytest

from cdsed.sandbox.accounts import make_accounts
from cdsed.sandbox.names import realistic_safenames
from tests.soak.disks.fuse_disk import enter_own_mount_namespace, why_not
from tests.soak.disks.late_disk import LateDisk
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.invariants import Watcher, found_by_the_checker, leftovers, overbooked
from tests.support.mount_troubles import MountTroubles
from tests.support.sandbox import SandboxProcess

pytest.importorskip("distributed", reason="cdsed[dask] is not installed")
pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(bool(why_not()), reason=f"no mount can be made: {why_not()}"),
    pytest.mark.timeout(1800),
]

_REPOSITORY = str(Path(__file__).parents[3])
_VALID_S = 60.0
_ENGINE = {"kind": "dask", "grant_s": 15, "renew_every_s": 2, "lost_rest_s": 1, "holders_per_worker": 2}
_BEGUN = "SELECT 1 FROM piece WHERE done_bytes > 0 AND done_bytes < size_bytes"
_WAITS = "SELECT cause FROM event WHERE target IN ('retry_wait', 'corrupt', 'failed')"


@pytest.fixture(scope="module", autouse=True)
def namespace() -> None:
    """Let all mounts end with this process, however it ends."""
    enter_own_mount_namespace()


class Machine:
    """A mount namespace with its own mount of the export, and a worker of Dask."""

    def __init__(self, site: "Site", name: str) -> None:
        self.name = name
        self._site = site
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self._keeper = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--propagation", "private", "sleep", "1d"]
            )
            stack.callback(self._keeper.wait)
            stack.callback(self._keeper.kill)
            wait_until("it has a namespace", lambda: self._namespace() != Path("/proc/self/ns/mnt").stat().st_ino)
            under = ("nsenter", "--target", str(self._keeper.pid), "--mount")
            self.disk = stack.enter_context(LateDisk(self._site.store, self._site.place, _VALID_S, under=under))
            stack.callback(self.kill)
            with (self._site.lab.root / f"{self.name}.log").open("ab") as log:
                command = [*under, sys.executable, "-m", "dask", "worker", self._site.scheduler, "--name", self.name]
                self._worker = subprocess.Popen(
                    [*command, "--nthreads", "1", "--no-dashboard", "--no-nanny", "--host", "127.0.0.1"],
                    env={**os.environ, "PYTHONPATH": _REPOSITORY},
                    stdout=log,
                    stderr=log,
                )
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._stack.close()

    def cut(self) -> None:
        """As `Mounted`."""
        self.disk.cut()

    def heal(self) -> int:
        """As `Mounted`."""
        self.disk.heal()
        return self.disk.write_back()

    def kill_holders(self) -> None:
        """As `Mounted`."""
        for pid, command in self._processes():
            if "cdsed.engine.holder" in command:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def kill(self) -> None:
        """Kill all that runs here; what it has written stays in the memory of the machine."""
        for pid, _ in self._processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._worker.wait(60)
        wait_until("all is dead", lambda: not self._processes())

    def _namespace(self, pid: int | str = "") -> int:
        with contextlib.suppress(OSError):
            return Path(f"/proc/{pid or self._keeper.pid}/ns/mnt").stat().st_ino
        return 0

    def _processes(self) -> list[tuple[int, str]]:
        found, here = [], self._namespace()
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != self._keeper.pid and self._namespace(entry.name) == here:
                with contextlib.suppress(OSError):
                    found.append((int(entry.name), (entry / "cmdline").read_bytes().decode(errors="replace")))
        return [(pid, command) for pid, command in found if command and LateDisk.server not in command]


@dataclass
class Site:
    """An installation whose spool is on the daemon's mount of an export, and a scheduler of Dask."""

    store: Path
    place: Path
    lab: Installation
    sandbox: SandboxProcess
    watcher: Watcher
    scheduler: str
    names: list[str]

    def judge(self) -> list[str]:
        """Return all that is lost, half, doubled, left over, overbooked or charged."""
        found = self.lab.differences(self.names) + leftovers(self.lab) + overbooked(self.sandbox)
        found += [f"{name} was seen half" for name in self.watcher.partial]
        found += [f"{name} was doubled" for name in self.watcher.doubled]
        found += [f"{ending}" for ending in self.lab.endings("some.txt") if ending != ("done", 0)]
        return found + found_by_the_checker(self.lab)

    def waits(self) -> list[str]:
        """Return why products have waited."""
        return [str(row["cause"]) for row in self.lab.query(_WAITS)]


@contextlib.contextmanager
def _scheduler(log: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "dask", "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    with log.open("ab") as out:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *command],
            env={**os.environ, "PYTHONPATH": _REPOSITORY},
            stdout=out,
            stderr=out,
        )
    try:
        found = wait_until("it listens", lambda: re.search(r"tcp://127\.0\.0\.1:\d+", log.read_text()), 120)
        yield found[0]
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def _site(tmp_path: Path, seed: int, count: int, size_bytes: int, *, bytes_per_s: int | None = None) -> Iterator[Site]:
    names = realistic_safenames("S1_GRD", count, seed=seed)
    store, place = tmp_path / "store", tmp_path / "disk"
    with SandboxProcess(make_accounts(1, seed=1)) as sandbox, LateDisk(store, place, _VALID_S):
        sandbox.add_products(*({"safename": name, "size_bytes": size_bytes} for name in names))
        lab = Installation(tmp_path / "lab", sandbox, spools=[str(place / "spool")])
        lab.spool = place / "spool"
        lab.spool.mkdir()
        if bytes_per_s is not None:
            lab.limit_bandwidth(bytes_per_s)
        with _scheduler(lab.root / "scheduler.log") as scheduler, Watcher(sandbox, [lab.spool]) as watcher:
            lab.configure(engine={**_ENGINE, "scheduler": scheduler})
            watcher.expect(names)
            yield Site(store, place, lab, sandbox, watcher, scheduler, names)


def _reported(site: Site, daemon: DaemonProcess) -> None:
    wait_until("the report", lambda: site.lab.report("some.txt"), 600, daemon=daemon)


def test_products_over_another_mount_come_at_once_though_its_caches_last_a_minute(tmp_path: Path) -> None:
    with (
        _site(tmp_path, 801, count=6, size_bytes=600_000) as site,
        Machine(site, "one"),
        Machine(site, "two"),
        DaemonProcess(site.lab) as daemon,
    ):
        site.lab.drop("some.txt", site.names)
        _reported(site, daemon)
        again = site.names[:3]
        assert site.lab.command("refetch", "--yes", *again).returncode == 0
        wait_until("all are there again", lambda: _refetched(site) == len(again), 300, daemon=daemon)
        assert site.waits() == []
        assert site.judge() == []


def _refetched(site: Site) -> int:
    return len(site.lab.query("SELECT product FROM event WHERE target = 'done' GROUP BY product HAVING count(*) > 1"))


@pytest.mark.parametrize("when", ["before", "after"])
def test_what_a_dead_machine_writes_late_harms_nothing(tmp_path: Path, when: str) -> None:
    with (
        _site(tmp_path, 803, count=1, size_bytes=4_000_000, bytes_per_s=200_001) as site,
        DaemonProcess(site.lab) as daemon,
        Machine(site, "dead") as dead,
    ):
        site.lab.drop("some.txt", site.names)
        wait_until("some is safe", lambda: site.lab.query(_BEGUN), 120, daemon=daemon)
        dead.cut()
        wait_until("some is in its memory", lambda: dead.disk.dirty_bytes() > 0, daemon=daemon)
        dead.kill()
        wait_until("it is known", lambda: not site.lab.query(_BEGUN), 120, daemon=daemon)
        with Machine(site, "living"):
            if when == "before":
                wait_until("another one is at it", lambda: site.lab.query(_BEGUN), 120, daemon=daemon)
                assert dead.heal() > 0
            _reported(site, daemon)
            if when == "after":
                assert dead.heal() > 0
            assert site.waits() == []
            assert site.judge() == []


def test_cuts_and_kills_with_late_bytes_lose_and_charge_nothing(tmp_path: Path) -> None:
    seed = int(os.environ.get("CDSED_KILL_SEED", str(random.SystemRandom().randrange(10**6))))
    print(f"CDSED_KILL_SEED={seed}")
    dice = random.Random(seed)
    with contextlib.ExitStack() as stack:
        site = stack.enter_context(_site(tmp_path, seed, count=12, size_bytes=2_000_000, bytes_per_s=300_001))
        machines = [stack.enter_context(Machine(site, name)) for name in ("one", "two")]
        daemon = stack.enter_context(DaemonProcess(site.lab))
        site.lab.drop("some.txt", site.names)
        wait_until("it is at work", lambda: site.lab.query(_BEGUN), 120, daemon=daemon)
        troubles = MountTroubles(machines, lambda: _kill_head(daemon), dice)
        while troubles.faults.total() < 30 and site.lab.report("some.txt") is None:
            wait_until("a while", lambda: dice.random() < 0.1, daemon=daemon)
            troubles.make()
        troubles.end()
        print(f"{dict(troubles.faults)}; {troubles.written_late} bytes late; {Counter(site.waits())}")
        _reported(site, daemon)
        assert site.judge() == []


def _kill_head(daemon: DaemonProcess) -> None:
    for pid in daemon.worker_pids("download"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
