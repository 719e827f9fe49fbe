"""Long outages between machines: what `cdsed status` says of them, that the daemon stays, and that work continues."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cdsed.sandbox.accounts import make_accounts
from cdsed.sandbox.names import realistic_safenames
from tests.soak.cluster.cluster import HEAD, SCHEDULER, Cluster
from tests.support.daemon import wait_until
from tests.support.invariants import found_by_the_checker, overbooked
from tests.support.namespaces import why_not

pytest.importorskip("distributed", reason="cdsed[dask] is not installed")
pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(bool(why_not()), reason=f"no machines of the test's own: {why_not()}"),
    pytest.mark.timeout(1200),
]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Give a cluster with one account."""
    made = [replace(each, name=f"{each.name}-{os.getpid()}") for each in make_accounts(1, 1, 200_000)]
    with Cluster(tmp_path, made, holders_per_worker=2) as cluster:
        yield cluster


def _notices(cluster: Cluster) -> list[str]:
    return [each["text"] for each in cluster.lab.status()["notices"] if each["name"] == "engine"]


def test_a_head_that_is_cut_off_for_a_minute_says_so_and_continues(cluster: Cluster) -> None:
    names = realistic_safenames("S1_OCN", 8, seed=3)
    cluster.sandbox.add_products(*({"safename": name, "size_bytes": 1_500_000} for name in names))
    lab, daemon = cluster.lab, cluster.daemon
    lab.drop("cut.txt", names)
    wait_until("it is at work", lambda: lab.query("SELECT 1 FROM piece WHERE done_bytes > 0"), 180, daemon=daemon)
    head = daemon.worker_pids("download")
    cluster.machines.cut(HEAD, SCHEDULER)
    [said] = wait_until("status says so", lambda: _notices(cluster), 180, daemon=daemon)
    assert "scheduler" in said or "no worker of Dask runs a pilot" in said
    cluster.machines.heal(HEAD, SCHEDULER)

    def reported() -> object:
        cluster.revive()
        return lab.report("cut.txt")

    wait_until("the report", reported, 300, daemon=daemon)
    assert _notices(cluster) == []
    assert (daemon.worker_pids("download"), cluster.ended) == (head, 0)
    assert lab.endings("cut.txt") == [("done", 0)] * len(names)
    assert lab.differences(names) == []
    assert overbooked(cluster.sandbox) == []
    assert found_by_the_checker(lab) == []
    assert "Traceback" not in daemon.log()
