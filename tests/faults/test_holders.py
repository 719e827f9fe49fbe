"""Connections in processes of Dask workers: killed and stopped at random, they lose no product and overbook no account.

Another seed: ``CDSED_KILL_SEED``; it is printed.
"""

import contextlib
import math
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
from tests.support.invariants import Eye, Watcher, found_by_the_checker, leftovers, overbooked
from tests.support.sandbox import SandboxProcess

pytest.importorskip("distributed", reason="cdsed[dask] is not installed")

_HOLDERS = 3
_ENGINE = {"kind": "dask", "grant_s": 6, "renew_every_s": 1, "lost_rest_s": 1, "holders_per_worker": _HOLDERS}
_ACCOUNTS = make_accounts(2, seed=1)


def _commands() -> dict[int, list[str]]:
    commands = {}
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit():
                words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
                commands[int(entry.name)] = words
    return commands


def _parent(pid: int) -> int:
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
    return 0


def _holders(lab: Installation) -> list[int]:
    return [pid for pid, words in _commands().items() if "cdsed.engine.holder" in words and str(lab.config) in words]


def _workers(lab: Installation) -> list[int]:
    """Return the workers of Dask that have holders."""
    return sorted({_parent(pid) for pid in _holders(lab)})


def _templates(lab: Installation) -> list[int]:
    """Return the processes that the holders of each worker are forked from."""
    workers = _workers(lab)
    return [
        pid for pid, words in _commands().items() if "cdsed.engine.holder_template" in words and _parent(pid) in workers
    ]


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


class Trouble:
    """Kills and stops holders, the workers with their pilots, and the head."""

    def __init__(self, lab: Installation, daemon: DaemonProcess, dice: random.Random) -> None:
        self._lab = lab
        self._daemon = daemon
        self._dice = dice
        self._stopped: list[tuple[float, int]] = []
        self.faults: Counter[str] = Counter()

    def make(self) -> None:
        kinds = {
            "kill holder": 8,
            "stop holder": 6,
            "kill worker": 2,
            "stop worker": 2,
            "kill download": 1,
            "kill all": 1,
        }
        kinds |= {"kill template": 1, "stop template": 1, "kill publish": 1}
        [kind] = self._dice.choices(list(kinds), list(kinds.values()))
        if kind == "kill all":  # holders live on, without a head
            self._daemon.kill_all()
            self._daemon.start()
            self.faults[kind] += 1
            return
        found = {"holder": _holders, "worker": _workers, "template": _templates}
        what = kind.partition(" ")[2]
        pids = found[what](self._lab) if what in found else self._daemon.worker_pids(what)
        if pids:
            pid = self._dice.choice(pids)
            if "stop" in kind:
                _send(pid, signal.SIGSTOP)
                self._stopped.append((time.monotonic() + self._dice.choice([0.5, 4, 9]), pid))
            else:
                _send(pid, signal.SIGKILL)
            self.faults[kind] += 1

    def end(self, *, all_of_them: bool = False) -> None:
        """Let stopped processes continue whose time is over."""
        for until_s, pid in list(self._stopped):
            if all_of_them or time.monotonic() >= until_s:
                _send(pid, signal.SIGCONT)
                self._stopped.remove((until_s, pid))


def test_products_come_over_connections_of_other_processes(tmp_path: Path) -> None:
    names = [name for kind in ("S1_OCN", "S5P", "S2_L1C") for name in realistic_safenames(kind, 2, seed=5)]
    with SandboxProcess(_ACCOUNTS) as sandbox:
        lab = Installation(tmp_path, sandbox, engine=_ENGINE)
        sandbox.add_products(*({"safename": name, "size_bytes": 3_000_000} for name in names))
        with DaemonProcess(lab) as daemon:
            lab.drop("cluster.txt", names)
            wait_until("holders run", lambda: len(_holders(lab)) >= 3, daemon=daemon)
            wait_until("the report", lambda: lab.report("cluster.txt"), 120, daemon=daemon)
            assert found_by_the_checker(lab) == []
        assert lab.endings("cluster.txt") == [("done", 0)] * len(names)
        assert lab.differences(names) == []
        assert overbooked(sandbox) == []
        assert leftovers(lab) == []
        wait_until("no holder is left", lambda: not _holders(lab))
        assert not lab.query("SELECT 1 FROM session WHERE hold_s > 0")


def test_holders_share_what_their_template_has_imported_and_start_without_it_too(tmp_path: Path) -> None:
    with SandboxProcess(_ACCOUNTS) as sandbox:
        lab = Installation(tmp_path, sandbox, engine=_ENGINE)
        with DaemonProcess(lab) as daemon:
            workers = math.ceil(sum(each.sessions for each in _ACCOUNTS) / _HOLDERS)
            wait_until("all holders run", lambda: len(_holders(lab)) == workers * _HOLDERS, 60)
            forked = _holders(lab)
            for pid in forked:
                assert os.getsid(pid) == pid, "one that was started as a command is in the session of its worker"
            for pid in _templates(lab):
                os.kill(pid, signal.SIGKILL)
            for pid in forked:
                os.kill(pid, signal.SIGKILL)
            started = wait_until("other holders", lambda: set(_holders(lab)) - {*forked}, 60, daemon=daemon)
            assert all(os.getsid(pid) != pid for pid in started)
            assert "workers start as commands from now on" in daemon.log()
            daemon.terminate()
            assert daemon.wait(30) == 0, daemon.log()
        wait_until("no holder is left", lambda: not _holders(lab) and not _templates(lab))


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "faults", [pytest.param(25, id="25 faults"), pytest.param(300, id="300 faults", marks=pytest.mark.soak)]
)
def test_kills_and_stops_of_holders_workers_and_the_head_lose_nothing(tmp_path: Path, faults: int) -> None:
    seed = int(os.environ.get("CDSED_KILL_SEED", str(random.SystemRandom().randrange(10**6))))
    print(f"CDSED_KILL_SEED={seed}")
    dice = random.Random(seed)
    kinds = ("S1_GRD", "S1_OCN", "S5P", "S2_L1C")
    names = [name for kind in kinds for name in realistic_safenames(kind, 2 * faults // len(kinds), seed=seed)]
    with SandboxProcess(_ACCOUNTS) as sandbox:
        lab = Installation(tmp_path, sandbox, engine=_ENGINE)
        sandbox.add_products(*({"safename": name, "size_bytes": 2_500_000} for name in names))
        sandbox.fault(kind="trickle", operation="get", bytes_per_s=600_000)
        eye, daemon = Eye(lab.state), DaemonProcess(lab)
        with Watcher(sandbox, [lab.spool]) as watcher, daemon:
            watcher.expect(names)
            lab.drop("trouble.txt", names)
            wait_until("it is at work", lambda: lab.query("SELECT 1 FROM piece WHERE done_bytes > 0"), daemon=daemon)
            trouble = Trouble(lab, daemon, dice)
            try:
                while trouble.faults.total() < faults and lab.report("trouble.txt") is None:
                    time.sleep(dice.uniform(0, 1.5))  # the moment of a fault is meant to be any moment
                    trouble.make()
                    trouble.end()
            finally:
                trouble.end(all_of_them=True)
            print(f"{dict(trouble.faults)}; published: {len(watcher.published())}")
            assert eye.broken() == []
            sandbox.clear_faults()
            wait_until("the listing is reported", lambda: lab.report("trouble.txt"), 300, daemon=daemon)
            assert found_by_the_checker(lab) == []
        assert lab.differences(names) == []
        assert (watcher.partial, watcher.doubled) == ([], [])
        assert lab.endings("trouble.txt") == [("done", 0)] * len(names)
        assert overbooked(sandbox) == []
        assert leftovers(lab) == []
