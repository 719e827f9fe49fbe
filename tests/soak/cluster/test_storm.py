"""Faults at random in a cluster of namespaces: nothing is lost, doubled, half or overbooked, and all continues.

``CDSED_CLUSTER_FAULTS`` (300) says how many. ``CDSED_SOAK_SEED`` makes the same ones again; the seed is printed. Which
process a fault hits also depends on timing. ``CDSED_CLUSTER_GRANT_S`` (6) is the time of a grant.
"""

import os
import random
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cdsed.sandbox.accounts import make_accounts
from cdsed.sandbox.names import realistic_safenames
from tests.soak.cluster.cluster import GRANT_S, LOST_REST_S, WORKERS, Cluster
from tests.soak.cluster.fault_plan import plan
from tests.soak.cluster.lost_sessions import LostSessions
from tests.soak.cluster.storm import Storm
from tests.support.daemon import wait_until
from tests.support.invariants import Eye, Watcher, found_by_the_checker, leftovers, overbooked
from tests.support.namespaces import why_not

pytest.importorskip("distributed", reason="cdsed[dask] is not installed")
pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(bool(why_not()), reason=f"no machines of the test's own: {why_not()}"),
    pytest.mark.timeout(0),
]

_FULL, _SESSIONS = 300, 4
_SIZE_BYTES, _RATE_BYTES_PER_S = 1_500_000, 300_000
_KINDS = ("S1_GRD", "S1_OCN", "S5P", "S2_L1C")
_BUILD = Path(__file__).parents[3] / "build"
# The longest time of the table in docs/many-machines.md, and what a busy computer needs to notice the end of it.
_LOST_MAX_S = GRANT_S + 5 + LOST_REST_S + 2


class Report:
    """Lines, which are printed and kept in ``build/soak-cluster.txt``."""

    def __init__(self) -> None:
        _BUILD.mkdir(exist_ok=True)
        self._path = _BUILD / "soak-cluster.txt"
        self._path.write_text("", encoding="utf-8")

    def add(self, line: str) -> None:
        """Print it, and keep it."""
        print(line, flush=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")


@pytest.fixture
def faults() -> int:
    """Give the number of faults."""
    return int(os.environ.get("CDSED_CLUSTER_FAULTS", str(_FULL)))


@pytest.fixture
def cluster(tmp_path: Path, faults: int) -> Iterator[Cluster]:
    """Give a cluster with 10 accounts; with 2 if there are few faults."""
    count = 10 if faults >= 100 else 2
    # A login of its own: daemons of one user on one machine share the sessions of a login.
    made = [replace(each, name=f"{each.name}-{os.getpid()}") for each in make_accounts(count, 1, _RATE_BYTES_PER_S)]
    holders = -(-count * _SESSIONS // len(WORKERS)) + 1  # a few more than sessions
    with Cluster(tmp_path, made, holders) as cluster:
        yield cluster


def test_random_faults_of_all_machines_lose_nothing(cluster: Cluster, faults: int) -> None:
    seed = int(os.environ.get("CDSED_SOAK_SEED") or random.SystemRandom().randrange(10**6))
    report, lab, sandbox = Report(), cluster.lab, cluster.sandbox
    report.add(f"CDSED_SOAK_SEED={seed} CDSED_CLUSTER_FAULTS={faults}")
    products = 200 if faults >= 100 else 40
    names = [name for kind in _KINDS for name in realistic_safenames(kind, products // len(_KINDS), seed=seed)]
    random.Random(seed).shuffle(names)
    sandbox.add_products(*({"safename": name, "size_bytes": _SIZE_BYTES} for name in names))
    listings = {f"storm-{n}.txt": names[n :: max(1, faults // 10)] for n in range(max(1, faults // 10))}
    waiting, storm, eye = list(listings), Storm(cluster), Eye(lab.state)

    def drop() -> None:
        name = waiting.pop(0)
        lab.drop(name, listings[name])

    with Watcher(sandbox, [lab.spool]) as watcher, LostSessions(lab) as lost:
        watcher.expect(names)
        drop()
        wait_until("it is at work", lambda: lab.query("SELECT 1 FROM piece WHERE done_bytes > 0"), 600)
        try:
            for fault in plan(seed, faults):
                report.add(f"{storm.make(fault)}; {len(watcher.published())} published, {lost.look()} sessions lost")
                if waiting and fault.number % 10 == 0:
                    drop()
                if fault.number % 50 == 0:
                    assert eye.broken() == []
        finally:
            storm.end()
        while waiting:
            drop()
        _wait_for_all(cluster, list(listings))
        checked = found_by_the_checker(lab)
        wait_until("no session is lost", lambda: not lost.look(), 60)
    cluster.end_daemon()
    endings = [ending for name in listings for ending in lab.endings(name)]
    never = {
        "charged or failed": [each for each in endings if each != ("done", 0)],
        "with other bytes": lab.differences(names),
        "half": watcher.partial,
        "doubled": watcher.doubled,
        "overbooked": overbooked(sandbox),
        "rules broken": eye.broken() + checked,
        "left in staging": leftovers(lab),
        "tracebacks": re.findall("Traceback.*", cluster.daemon.log()),
        "ends of the daemon that were not ours": cluster.ended,
    }
    counts = {
        "products": len(names),
        "products done": endings.count(("done", 0)),
        "faults": storm.made.total(),
        **dict(sorted(storm.made.items())),
        "sessions lost": lost.times,
        "longest, in s": round(lost.longest_s, 1),
        "allowed, in s": _LOST_MAX_S,
    }
    for what, value in {**counts, **never}.items():
        report.add(f"{what:40} {value or 0}")
    wait_until("no holder is left", lambda: not any(cluster.holders(machine) for machine in WORKERS), 60)
    cluster.end_units()
    assert cluster.left() == []
    assert endings.count(("done", 0)) == len(names)
    assert [what for what, found in never.items() if found] == []
    assert lost.longest_s <= _LOST_MAX_S


def _wait_for_all(cluster: Cluster, listings: list[str]) -> None:
    def reported() -> bool:
        cluster.revive()
        return all(cluster.lab.report(name) for name in listings)

    wait_until("all listings are reported", reported, 1200, daemon=cluster.daemon)
