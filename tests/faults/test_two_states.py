"""Several daemons, each with a state, inbox and accounts of its own, that want the same products at the same place.

Half of the daemons are killed at random. Set another seed with ``CDSED_STATES_SEED``; it is printed.
"""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from cdsed.local.whole import is_whole
from cdsed.sandbox.accounts import make_accounts
from cdsed.sandbox.names import realistic_safenames
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.invariants import Watcher, found_by_the_checker
from tests.support.sandbox import SandboxProcess

_KINDS = ["S1_GRD", "S2_L1C", "S3", "S5P"]
_PRODUCT_BYTES = 2_500_000
_SLOW_BYTES_PER_S = 600_000


class Destination:
    """Daemons whose listings, or spools, name one directory, and the results.

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
    """Have every daemon asked for the same products, each in its own order, and check the results."""
    labs, sandbox = destination.labs, destination.sandbox
    sandbox.add_products(*({"safename": name, "size_bytes": _PRODUCT_BYTES} for name in names))
    sandbox.fault(kind="trickle", operation="get", bytes_per_s=_SLOW_BYTES_PER_S)

    def reported(listing: str = "all.txt") -> bool:
        return all(lab.report(listing) for lab in labs)

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
        unlucky = sorted({name for lab in labs for name in _killed_too_often(lab)})
        if unlucky:
            for lab in labs:
                destination.drop(lab, "again.txt", unlucky)
            wait_until("the rest is reported", lambda: reported("again.txt"), 120, daemon=destination.daemons[0])
        checked = {lab.root.name: found_by_the_checker(lab) for lab in labs}
    wrong = labs[0].differences(names, destination.place)
    states = [{**lab.states("all.txt"), **(lab.states("again.txt") if unlucky else {})} for lab in labs]
    aside = destination.kept_aside_whole()
    print(
        f"{len(names)} products, {len(labs)} daemons, {killed} kills: wrong {len(wrong)}, doubled "
        f"{len(watcher.doubled)}, half {len(watcher.partial)}, whole ones set aside {len(aside)}; "
        f"{[dict(Counter(each.values())) for each in states]}"
    )
    assert wrong == []
    assert (watcher.partial, watcher.doubled, aside) == ([], [], [])
    assert checked == {lab.root.name: [] for lab in labs}
    assert {state for each in states for state in each.values()} <= {"done", "already_present"}
    brought = [name for lab in labs for name, state in lab.states("all.txt").items() if state == "done"]
    assert sorted({*brought, *unlucky}) == sorted(names)
    assert not {name for name, count in Counter(brought).items() if count > 1}, "reported as done by more than one"


def _killed_too_often(lab: Installation) -> list[str]:
    """Return products given up because random kills hit the same one three times."""
    rows = (lab.report("all.txt") or {})["products"]
    failed = [row for row in rows if row["state"] == "failed"]
    assert all("killed the worker" in row["cause"] for row in failed), failed
    return [row["safename"] for row in failed]


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


def _run(root: Path, dice: random.Random, products: int, kills: int, daemons: int, where: str) -> None:
    with SandboxProcess(make_accounts(daemons, seed=1)) as sandbox, contextlib.ExitStack() as stack:
        elsewhere = stack.enter_context(_other_disk()) if "elsewhere" in where else None
        destination = Destination(root, sandbox, daemons, by_spool="spool" in where, elsewhere=elsewhere)
        _bring(destination, _names(products, dice), dice, kills)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("daemons", "where"),
    [
        pytest.param(2, "outputdir", marks=pytest.mark.soak),
        (2, "spool, pre-spool elsewhere"),
        pytest.param(4, "outputdir, pre-spool elsewhere", marks=pytest.mark.soak),
    ],
)
def test_daemons_with_states_of_their_own_bring_each_product_once_to_one_destination(
    tmp_path: Path, daemons: int, where: str
) -> None:
    _run(tmp_path, _dice(), 40, 12, daemons, where)


@pytest.mark.soak
@pytest.mark.parametrize("daemons", [2, 4])
@pytest.mark.parametrize("where", ["outputdir", "spool, pre-spool elsewhere"])
def test_of_a_thousand_products_that_several_states_want_none_is_wrong_or_doubled(
    tmp_path: Path, daemons: int, where: str
) -> None:
    _run(tmp_path, _dice(), 252, 60, daemons, where)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("comes_back", [True, False])
def test_what_a_killed_daemon_has_left_is_its_own_for_a_restart_and_else_anothers(
    tmp_path: Path, comes_back: bool
) -> None:
    [name] = realistic_safenames("S1_GRD", 1, seed=7)
    with SandboxProcess(make_accounts(2, seed=1)) as sandbox:
        destination = Destination(tmp_path, sandbox, 2, by_spool=True)
        [first, second], (one, two) = destination.labs, destination.daemons
        sandbox.add_products({"safename": name, "size_bytes": 20_000_000})
        sandbox.fault(kind="trickle", operation="get", bytes_per_s=300_000)
        with Watcher(sandbox, [destination.place], counts_requests=False) as watcher, running(destination):
            watcher.expect([name])
            destination.drop(first, "mine.txt", [name])
            arrived = "SELECT 1 FROM piece WHERE done_bytes > 1000000"
            wait_until("it is half there", lambda: first.query(arrived), daemon=one)
            destination.drop(second, "mine.txt", [name])
            waits = "SELECT cause, attempts FROM product WHERE code = 'OtherState'"
            [row] = wait_until("the other waits", lambda: second.query(waits), daemon=two)
            assert f"pid {one.pid}, state {first.state}) downloads {name}" in row["cause"]
            assert row["attempts"] == 0
            assert "another cdsed" in second.command("status").stdout
            one.kill()
            wait_until("its workers are gone", lambda: not one.worker_pids(), daemon=one)
            sandbox.reset_counters()
            sandbox.clear_faults()
            if comes_back:
                one.start()
                wait_until("it is reported", lambda: first.report("mine.txt"), daemon=one)
            wait_until("the other is reported", lambda: second.report("mine.txt"), 120, daemon=two)
            if comes_back:
                [shown] = (second.report("mine.txt") or {})["products"]
                assert f"state {first.state}" in shown["cause"]
            else:
                assert first.report("mine.txt") is None
                one.start()
                wait_until("it finds it present", lambda: first.report("mine.txt"), daemon=one)
            checked = [found_by_the_checker(lab) for lab in (first, second)]
        assert first.differences([name], destination.place) == []
        assert (watcher.partial, watcher.doubled, checked) == ([], [], [[], []])
        states = [lab.states("mine.txt")[name] for lab in (first, second)]
        assert states == (["done", "already_present"] if comes_back else ["already_present", "done"])
        fetched = sum(count["bytes_sent"] for key, count in sandbox.counters()["keys"].items() if name in key)
        assert (fetched < 19_500_000) == comes_back, "what had arrived is kept for its own state only"


_DOWNLOAD = """
import sys, cdsed
print(repr(cdsed.download(sys.argv[3].split(), outputdir=sys.argv[2], config=sys.argv[1])))
"""


@pytest.mark.timeout(300)
def test_two_scripts_with_settings_of_their_own_download_the_same_products_once(tmp_path: Path) -> None:
    names = _names(24, _dice())
    with SandboxProcess(make_accounts(2, seed=1)) as sandbox:
        destination = Destination(tmp_path, sandbox, 2, by_spool=False)
        sandbox.add_products(*({"safename": name, "size_bytes": _PRODUCT_BYTES} for name in names))
        sandbox.fault(kind="trickle", operation="get", bytes_per_s=_SLOW_BYTES_PER_S)
        with Watcher(sandbox, [destination.place], counts_requests=False) as watcher:
            watcher.expect(names)
            scripts = [
                subprocess.Popen(
                    [sys.executable, "-c", _DOWNLOAD, str(lab.config), str(destination.place), " ".join(order)],
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
                for lab, order in zip(destination.labs, (names, names[::-1]), strict=True)
            ]
            said = [script.communicate(timeout=240)[0] for script in scripts]
        assert all("24 of 24 products are on disk" in each for each in said), said
        assert destination.labs[0].differences(names, destination.place) == []
        assert (watcher.partial, watcher.doubled, destination.kept_aside_whole()) == ([], [], [])
