"""Jobs of a batch system: submitted while there is something to fetch, left before their walltime, ended after.

dask-jobqueue's own local class stands in for a batch system: its jobs are processes of this machine.
"""

import contextlib
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cdsed.engine.certificates import make_certificate
from cdsed.sandbox.accounts import make_accounts
from cdsed.sandbox.names import realistic_safenames
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.invariants import found_by_the_checker, leftovers, overbooked
from tests.support.sandbox import SandboxProcess

pytest.importorskip("dask_jobqueue", reason="cdsed[dask] is not installed")

pytestmark = pytest.mark.timeout(600)  # interpreters start slowly where all cores are busy

_QUEUE = {"system": "local", "interface": "lo", "cores": 1, "memory_bytes": "1GB", "jobs_max": 2}
_SESSIONS = "SELECT rest_until_s FROM session"
_ENGINE = {"kind": "dask", "grant_s": 6, "renew_every_s": 1, "lost_rest_s": 300, "holders_per_worker": 2}


def _installed(place: Path, sandbox: SandboxProcess, **queue: Any) -> Installation:
    make_certificate(place / "tls")
    engine = {**_ENGINE, "tls_dir": str(place / "tls"), "jobqueue": {**_QUEUE, **queue}}
    return Installation(place / "lab", sandbox, engine=engine)


@pytest.fixture
def sandbox() -> Iterator[SandboxProcess]:
    """One account with four sessions: two jobs."""
    with SandboxProcess(make_accounts(1, seed=1)) as started:
        yield started


def _jobs(place: Path) -> list[int]:
    """Return the workers of this test: their certificate is in its directory."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit():
                words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
                if "distributed.cli.dask_worker" in words and str(place / "tls" / "key.pem") in words:
                    found.append(int(entry.name))
    return sorted(found)


def _fetch_with_jobs(lab: Installation, daemon: DaemonProcess, listing: str, names: list[str]) -> None:
    place = lab.root.parent
    assert _jobs(place) == []
    lab.drop(listing, names)
    wait_until("a job begins", lambda: _jobs(place), 60, daemon=daemon)
    wait_until("the report", lambda: lab.report(listing), 120, daemon=daemon)
    wait_until("the jobs end", lambda: not _jobs(place), 60, daemon=daemon)
    assert lab.endings(listing) == [("done", 0)] * len(names)


def test_jobs_begin_with_a_listing_and_end_when_it_is_done(tmp_path: Path, sandbox: SandboxProcess) -> None:
    names = [name for kind in ("S1_OCN", "S5P", "S2_L1C") for name in realistic_safenames(kind, 3, seed=5)]
    lab = _installed(tmp_path, sandbox, idle_s=2)
    sandbox.add_products(*({"safename": name, "size_bytes": 2_000_000} for name in names))
    with DaemonProcess(lab) as daemon:
        wait_until("it is ready", lambda: "download-1 started" in daemon.log(), daemon=daemon)
        _fetch_with_jobs(lab, daemon, "first.txt", names[:6])
        _fetch_with_jobs(lab, daemon, "second.txt", names[6:])
        assert found_by_the_checker(lab) == []
        assert lab.status()["notices"] == []
    assert lab.differences(names) == []
    assert overbooked(sandbox) == []
    assert leftovers(lab) == []


def test_a_worker_leaves_before_its_job_ends_and_loses_no_session(tmp_path: Path, sandbox: SandboxProcess) -> None:
    names = realistic_safenames("S1_GRD", 4, seed=5)
    lab = _installed(tmp_path, sandbox, walltime="00:01:00", leave_before_s=30)
    sandbox.add_products(*({"safename": name, "size_bytes": 20_000_000} for name in names))
    sandbox.fault(kind="trickle", operation="get", bytes_per_s=250_000)
    with DaemonProcess(lab) as daemon:
        lab.drop("long.txt", names)
        wait_until("the jobs begin", lambda: len(_jobs(tmp_path)) == 2, 60, daemon=daemon)
        first = _jobs(tmp_path)
        wait_until("others have taken their places", lambda: not set(first) & set(_jobs(tmp_path)), 120, daemon=daemon)
        # A session that was lost rests for lost_rest_s; one that was given back does not.
        rests_s = [row["rest_until_s"] - time.clock_gettime(time.CLOCK_BOOTTIME) for row in lab.query(_SESSIONS)]
        assert len(rests_s) == 4
        assert max(rests_s) < 30
    sandbox.clear_faults()
    lab.configure(engine={"jobqueue": {**_QUEUE, "walltime": "01:00:00"}})
    with DaemonProcess(lab) as daemon:
        wait_until("the report", lambda: lab.report("long.txt"), 180, daemon=daemon)
    assert lab.endings("long.txt") == [("done", 0)] * len(names)
    assert lab.differences(names) == []
    assert overbooked(sandbox) == []
    wait_until("no job is left", lambda: not _jobs(tmp_path))


def test_a_killed_daemon_leaves_no_job(tmp_path: Path, sandbox: SandboxProcess) -> None:
    names = realistic_safenames("S1_GRD", 2, seed=5)
    lab = _installed(tmp_path, sandbox)
    sandbox.add_products(*({"safename": name, "size_bytes": 20_000_000} for name in names))
    sandbox.fault(kind="trickle", operation="get", bytes_per_s=250_000)
    with DaemonProcess(lab) as daemon:
        lab.drop("long.txt", names)
        wait_until("it is at work", lambda: lab.query("SELECT 1 FROM piece WHERE done_bytes > 0"), 60, daemon=daemon)
        daemon.kill_all()
        wait_until("the jobs end with their scheduler", lambda: not _jobs(tmp_path), 150)  # one may still look for it


def test_a_worker_that_dies_is_replaced_a_little_later(tmp_path: Path, sandbox: SandboxProcess) -> None:
    names = realistic_safenames("S1_GRD", 1, seed=5)
    lab = _installed(tmp_path, sandbox, jobs_max=1)
    lab.configure(engine={"lost_rest_s": 1})
    sandbox.add_products(*({"safename": name, "size_bytes": 5_000_000} for name in names))
    sandbox.fault(kind="trickle", operation="get", bytes_per_s=250_000)
    with DaemonProcess(lab) as daemon:
        lab.drop("long.txt", names)
        wait_until("it is at work", lambda: lab.query("SELECT 1 FROM piece WHERE done_bytes > 0"), 60, daemon=daemon)
        [job] = _jobs(tmp_path)
        os.kill(job, signal.SIGKILL)
        wait_until("a user can read it", lambda: "has ended early" in str(lab.status()["notices"]), 60, daemon=daemon)
        sandbox.clear_faults()
        wait_until("the report", lambda: lab.report("long.txt"), 120, daemon=daemon)
        wait_until("the notice is gone", lambda: lab.status()["notices"] == [], 60, daemon=daemon)
    assert lab.endings("long.txt") == [("done", 0)]
    assert overbooked(sandbox) == []


def test_a_drained_machine_keeps_no_job_and_is_not_given_one_after_the_other(
    tmp_path: Path, sandbox: SandboxProcess
) -> None:
    names = realistic_safenames("S1_GRD", 1, seed=5)
    lab = _installed(tmp_path, sandbox, jobs_max=1)
    sandbox.add_products(*({"safename": name, "size_bytes": 20_000_000} for name in names))
    sandbox.fault(kind="trickle", operation="get", bytes_per_s=250_000)
    with DaemonProcess(lab) as daemon:
        lab.drop("long.txt", names)
        wait_until("it is at work", lambda: lab.query("SELECT 1 FROM piece WHERE done_bytes > 0"), 60, daemon=daemon)
        [first] = _jobs(tmp_path)
        here = socket.gethostname()  # where all jobs of the stand-in run
        wait_until("the state knows the machine", lambda: lab.status()["machines"], 60, daemon=daemon)
        assert lab.command("drain", here, "--kind", "machine").returncode == 0
        wait_until("its job ends", lambda: first not in _jobs(tmp_path), 120, daemon=daemon)
        why = f"{here} is drained; tell the batch system, too"
        wait_until("a user can read it", lambda: why in str(lab.status()["notices"]), 120, daemon=daemon)
        assert daemon.log().count("is submitted") <= 3, "the batch system gives the machine each new job"
        assert lab.command("resume", "machine", here).returncode == 0
        sandbox.clear_faults()
        wait_until("the report", lambda: lab.report("long.txt"), 180, daemon=daemon)
        wait_until("the notice is gone", lambda: lab.status()["notices"] == [], 60, daemon=daemon)
        lost = [each["lost"] for each in lab.status()["machines"]]
        assert lost == [[]], "all connections ended in order"
    assert lab.endings("long.txt") == [("done", 0)]
    assert lab.differences(names) == []
    assert overbooked(sandbox) == []


def test_a_batch_system_that_takes_no_job_is_named_and_asked_again(tmp_path: Path, sandbox: SandboxProcess) -> None:
    names = realistic_safenames("S1_OCN", 1, seed=5)
    lab = _installed(tmp_path, sandbox, system="slurm", log_dir=str(tmp_path / "jobs"))
    sandbox.add_products(*({"safename": name, "size_bytes": 100_000} for name in names))
    programs = tmp_path / "bin"
    programs.mkdir()
    sbatch = programs / "sbatch"
    sbatch.write_text(f"#!/bin/sh\ncp $1 {tmp_path}/script\necho 'sbatch: error: invalid partition' >&2\nexit 1\n")
    sbatch.chmod(0o755)
    environ = {"PATH": f"{programs}:{os.environ['PATH']}"}
    with DaemonProcess(lab, environ=environ) as daemon:
        lab.drop("one.txt", names)
        wait_until(
            "a user can read why",
            lambda: "could not be submitted: sbatch: error: invalid partition" in str(lab.status()["notices"]),
            60,
            daemon=daemon,
        )
        script = tmp_path / "script"
        assert "#SBATCH --cpus-per-task=1" in script.read_text()
        script.unlink()
        wait_until("it is submitted again", script.exists, 60, daemon=daemon)
