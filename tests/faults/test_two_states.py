"""Several daemons, each with a state, inbox and accounts of its own, that want the same products at the same place.

Half of the daemons are killed now and then. Another seed: ``CDSED_STATES_SEED``, which is printed.
"""

import contextlib
import os
import random
import shutil
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from cdsed.local.whole import is_whole
from cdsed.sandbox.accounts import make_accounts
from cdsed.sandbox.names import realistic_safenames
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.invariants import Watcher, told_by_the_checker
from tests.support.sandbox import SandboxProcess

_KINDS = ["S1_GRD", "S2_L1C", "S3", "S5P"]
_PRODUCT_BYTES = 2_500_000
_SLOW_BYTES_PER_S = 600_000


class Destination:
    """Daemons whose listings, or spools, name one directory, and what came of it.

    Parameters
    ----------
    by_spool
        The directory is the spool of all of them; else all listings name it as their output directory.
    elsewhere
        A directory on another file system, in which every daemon has its own pre-spool; None: beside the products.
    """

    def __init__(
        self, root: Path, sandbox: SandboxProcess, daemons: int, *, by_spool: bool, elsewhere: Path | None = None
    ) -> None:
        self.place = root / "shared"
        self.place.mkdir()
        self.sandbox = sandbox
        self._by_spool = by_spool
        self.labs = []
        for number, account in zip(range(daemons), sandbox.accounts, strict=True):
            settings: dict[str, Any] = {"transfer": {"processes": 2}}
            if by_spool:
                settings["spools"] = [str(self.place)]
            if elsewhere is not None:
                settings["pre_spool"] = str(elsewhere / f"pre-spool-{number}")
            self.labs.append(Installation(root / f"lab-{number}", sandbox, accounts=[account], **settings))
        self.daemons = [DaemonProcess(lab) for lab in self.labs]

    def drop(self, lab: Installation, name: str, names: Sequence[str]) -> None:
        """Ask one of the daemons for products."""
        head = [] if self._by_spool else [f"# cdsed: outputdir={self.place}"]
        lab.drop(name, [*head, *names])

    def kept_aside_whole(self) -> list[str]:
        """Return what was set aside although it is a whole product."""
        aside = [path for lab in (self.place, *(lab.root for lab in self.labs)) for path in lab.rglob("replaced/*")]
        return [str(path) for path in aside if is_whole(path.rename(path.with_name(path.name.rpartition(".")[0])))]


@contextlib.contextmanager
def running(destination: Destination) -> Iterator[None]:
    """Run all daemons."""
    with contextlib.ExitStack() as stack:
        for daemon in destination.daemons:
            stack.enter_context(daemon)
        yield


def _kill_now_and_then(destination: Destination, dice: random.Random, done: Any, most: int) -> int:
    """Kill a worker, or a supervisor and start it again, until `done` or so many times."""
    kills = 0
    while kills < most and not done():
        time.sleep(dice.uniform(0.2, 1.0))  # the moment of a kill is meant to be any moment
        daemon = dice.choice(destination.daemons)
        workers = daemon.worker_pids("download")
        if dice.random() < 0.25:
            daemon.kill()
            if dice.random() < 0.5:
                for pid in workers:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            daemon.start()
        elif workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(dice.choice(workers), signal.SIGKILL)
        kills += 1
    return kills


def _bring(destination: Destination, names: Sequence[str], dice: random.Random, kills: int) -> None:
    """Have every daemon asked for the same products, in orders of their own, and judge what they did."""
    labs, sandbox = destination.labs, destination.sandbox
    sandbox.add_products(*({"safename": name, "size_bytes": _PRODUCT_BYTES} for name in names))
    sandbox.fault(kind="trickle", operation="get", bytes_per_s=_SLOW_BYTES_PER_S)

    def reported() -> bool:
        return all(lab.report("all.txt") for lab in labs)

    with Watcher(sandbox, [destination.place], counts_requests=False) as watcher, running(destination):
        watcher.expect(names)
        for number, lab in enumerate(labs):
            order = list(names)
            if number >= 2:
                dice.shuffle(order)
            destination.drop(lab, "all.txt", order if number % 2 == 0 else order[::-1])
        killed = _kill_now_and_then(destination, dice, reported, kills)
        sandbox.clear_faults()
        wait_until("all listings are reported", reported, 300, daemon=destination.daemons[0])
        checked = {lab.root.name: told_by_the_checker(lab) for lab in labs}
    wrong = labs[0].differences(names, destination.place)
    tally = [dict(lab.report("all.txt")["states"]) for lab in labs]  # type: ignore[index]
    aside = destination.kept_aside_whole()
    print(
        f"{len(names)} products, {len(labs)} daemons, {killed} kills: wrong {len(wrong)}, doubled "
        f"{len(watcher.doubled)}, half {len(watcher.partial)}, whole ones set aside {len(aside)}; {tally}"
    )
    assert wrong == []
    assert (watcher.partial, watcher.doubled, aside) == ([], [], [])
    assert checked == {lab.root.name: [] for lab in labs}
    for lab in labs:
        assert set(lab.states("all.txt").values()) <= {"done", "present"}
    brought = [name for lab in labs for name, state in lab.states("all.txt").items() if state == "done"]
    assert sorted(brought) == sorted(names), "each product is told as done by exactly one of them"


def _dice() -> random.Random:
    seed = int(os.environ.get("CDSED_STATES_SEED", str(random.SystemRandom().randrange(10**6))))
    print(f"CDSED_STATES_SEED={seed}")
    return random.Random(seed)


@contextlib.contextmanager
def _other_disk() -> Iterator[Path]:
    path = Path("/dev/shm", f"cdsed-states-{os.getpid()}")
    path.mkdir()
    try:
        yield path
    finally:
        shutil.rmtree(path)


def _names(count: int, dice: random.Random) -> list[str]:
    each = count // len(_KINDS)
    names = [name for kind in _KINDS for name in realistic_safenames(kind, each, seed=dice.randrange(10**6))]
    dice.shuffle(names)
    return names


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("daemons", "by_spool", "apart"), [(2, False, False), (2, True, True)])
def test_daemons_with_states_of_their_own_bring_each_product_once_to_one_destination(
    tmp_path: Path, daemons: int, by_spool: bool, apart: bool
) -> None:
    dice = _dice()
    with SandboxProcess(make_accounts(daemons, seed=1)) as sandbox, contextlib.ExitStack() as stack:
        elsewhere = stack.enter_context(_other_disk()) if apart else None
        destination = Destination(tmp_path, sandbox, daemons, by_spool=by_spool, elsewhere=elsewhere)
        _bring(destination, _names(40, dice), dice, kills=12)
