"""Workers of Dask on machines (namespaces with host names of their own), and what an operator sees of each.

A machine is drained, loses connections, or does not see the same files as the daemon.
"""

import contextlib
import os
import re
import shlex
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cdsed.sandbox.accounts import make_accounts
from cdsed.sandbox.names import realistic_safenames
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.dask_programs import LoopbackCluster
from tests.support.invariants import overbooked
from tests.support.sandbox import SandboxProcess

pytest.importorskip("distributed", reason="cdsed[dask] is not installed")

_ROOT = Path(__file__).parents[2]
_UNSHARE = ["unshare", "--uts"] if os.geteuid() == 0 else ["unshare", "--uts", "--map-root-user"]
_ENGINE = {"kind": "dask", "grant_s": 30, "renew_every_s": 3, "lost_rest_s": 1, "holders_per_worker": 2}


def _why_not() -> str | None:
    done = subprocess.run([*_UNSHARE, "true"], capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else f"a host name of its own needs a namespace: {done.stderr.strip()}"


pytestmark = [
    pytest.mark.skipif(_why_not() is not None, reason=str(_why_not())),
    pytest.mark.timeout(900),
]


def _add(cluster: LoopbackCluster, name: str, before: str = "true") -> int:
    """Start a worker on a machine, after another command there; return the number of its process."""
    script = f'{before} && hostname {name} && exec "$@"'
    return cluster.add(name, under=[*_UNSHARE, "--mount", "sh", "-c", script, "sh"])


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[LoopbackCluster]:
    """Give a scheduler without workers."""
    with contextlib.closing(LoopbackCluster(tmp_path / "cluster")) as cluster:
        yield cluster


def _machines(lab: Installation) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in lab.status()["machines"]}


def _at_work(lab: Installation, *names: str) -> bool:
    found = _machines(lab)
    return all(name in found and found[name]["at_work"] > 0 for name in names)


def _holders(lab: Installation, node: str) -> list[int]:
    """Return the holders of a machine, by the namespace of its host name."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and f"cdsed.engine.holder\0{lab.config}" in (entry / "cmdline").read_text():
                name = subprocess.run(
                    ["nsenter", "--target", entry.name, "--uts", "hostname"],
                    capture_output=True,
                    text=True,
                    check=False,
                )
                found += [int(entry.name)] if name.stdout.strip() == node else []
    return found


def test_a_drained_machine_ends_what_it_does_and_stays_drained_until_it_is_resumed(
    tmp_path: Path, cluster: LoopbackCluster
) -> None:
    names = realistic_safenames("S2_L1C", 8, seed=5)  # of many small objects: a safe point is near
    with SandboxProcess(make_accounts(1, seed=1)) as sandbox:
        lab = Installation(tmp_path / "lab", sandbox, engine={**_ENGINE, "scheduler": cluster.address})
        sandbox.add_products(*({"safename": name, "size_bytes": 12_000_000} for name in names))
        sandbox.fault(kind="trickle", operation="get", bytes_per_s=40_000)
        for name in ("node7", "node8"):
            _add(cluster, name)
        with DaemonProcess(lab) as daemon:
            lab.drop("cluster.txt", names)
            wait_until("both are at work", lambda: _at_work(lab, "node7", "node8"), 300, daemon=daemon)
            found = _machines(lab)
            assert all(0 <= found[name]["worker_sees_s"] < 30 for name in found)
            assert all(0 <= found[name]["daemon_sees_s"] < 30 for name in found)

            drained = lab.command("drain", "node7", "--wait", timeout_s=300)
            assert (drained.returncode, drained.stdout) == (
                0,
                (
                    "machine node7 gets no new connection until `cdsed resume machine node7`\n"
                    "nothing is in transfer there\n"
                ),
            )
            wait_until("the other is at work", lambda: _at_work(lab, "node8"), 120, daemon=daemon)
            assert re.search(r"node7 .* drained", lab.command("status").stdout)
            assert _machines(lab)["node7"]["at_work"] == 0

            daemon.kill_all()
            daemon.start()
            wait_until("the other is at work again", lambda: _at_work(lab, "node8"), 300, daemon=daemon)
            wait_until("its worker is heard", lambda: _machines(lab)["node7"]["workers"] == 1, 120, daemon=daemon)
            assert _machines(lab)["node7"]["at_work"] == 0
            lost = {each["why"]: each["grants"] for each in _machines(lab)["node8"]["lost"]}
            assert lost["head_died"] >= 1

            assert "gets connections again" in lab.command("resume", "machine", "node7").stdout
            wait_until("it is at work again", lambda: _at_work(lab, "node7"), 120, daemon=daemon)
            for pid in _holders(lab, "node7"):
                os.kill(pid, signal.SIGKILL)
            wait_until("the loss is shown", lambda: _machines(lab)["node7"]["lost"], 120, daemon=daemon)
            assert "because a process died" in lab.command("status").stdout
            sandbox.clear_faults()
            wait_until("the report", lambda: lab.report("cluster.txt"), 300, daemon=daemon)
        assert lab.endings("cluster.txt") == [("done", 0)] * len(names)
        assert lab.differences(names) == []
        assert overbooked(sandbox) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="a spool that only one machine cannot write needs a mount, and so root")
def test_a_machine_that_cannot_write_to_the_spool_gets_no_connection_and_status_says_why(
    tmp_path: Path, cluster: LoopbackCluster
) -> None:
    [name] = realistic_safenames("S1_OCN", 1, seed=6)
    with SandboxProcess(make_accounts(1, seed=1)) as sandbox:
        lab = Installation(tmp_path / "lab", sandbox, engine={**_ENGINE, "scheduler": cluster.address})
        sandbox.add_products({"safename": name, "size_bytes": 1_000_000})
        spool = shlex.quote(str(lab.spool))
        _add(cluster, "node9", f"mount --bind {spool} {spool} && mount -o remount,bind,ro {spool}")
        with DaemonProcess(lab) as daemon:
            lab.drop("one.txt", [name])
            wait_until(
                "it is refused", lambda: _machines(lab).get("node9", {"refused": None})["refused"], 300, daemon=daemon
            )
            said = lab.status()
            why = f"node9 cannot write to {lab.spool}/.cdsed: Read-only file system"
            assert said["machines"][0]["refused"].startswith(why)
            assert [each["subject"] for each in said["alarms"] if each["name"] == "machine"] == ["node9"]
            assert said["machines"][0]["at_work"] == 0
            wait_until("it says why nothing moves", lambda: why in str(lab.status()["why_idle"]), 60, daemon=daemon)
            _add(cluster, "node8")
            wait_until("the report", lambda: lab.report("one.txt"), 300, daemon=daemon)
        assert lab.endings("one.txt") == [("done", 0)]
        assert [each.name for each in (lab.spool / ".cdsed").glob(".check-*")] == []
