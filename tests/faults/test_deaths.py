"""Workers and supervisors that are killed, stopped, or cannot start: what they held is released, and work continues."""

import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cdsed.sandbox.names import realistic_safenames
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.opening import when_opening
from tests.support.sandbox import SandboxProcess

_MB = 10**6

# A process dies when it opens a file of the product in a certain way.
_DEATH_BY_FILE = """
import signal
import time

grown = []

def opening(path, flags):
    if "/.cdsed/{name}" in path and {when}:
        {death}
"""
# A signal that dumps core may be taken by another thread, a while later: this one must do nothing more until then.
_CRASH = "os.kill(os.getpid(), signal.SIGSEGV); time.sleep(600)"
_FETCHED = "flags & os.O_WRONLY and not flags & os.O_EXCL"


def _never_overbooked(sandbox: SandboxProcess) -> bool:
    counted = sandbox.counters()["accounts"].values()
    return all(counters["open_max"] <= 4 and counters["overbooked"] == 0 for counters in counted)


def _begun(lab: Installation, sandbox: SandboxProcess, daemon: DaemonProcess) -> list[str]:
    """Have a daemon in the middle of some large products; return their names."""
    names = realistic_safenames("S1_GRD", 3, seed=61)
    sandbox.add_products(*({"safename": name, "size_bytes": 8 * _MB} for name in names))
    lab.drop("three.txt", names)
    wait_until("it is in the middle", lambda: sandbox.bytes_sent() > 3 * _MB, daemon=daemon)
    return names


def _holder_of_sessions(lab: Installation) -> int:
    rows = lab.query("SELECT pid FROM process WHERE id IN (SELECT process FROM session)")
    return int(rows[0]["pid"])


def test_what_a_killed_worker_held_is_free_within_two_seconds(tmp_path: Path) -> None:
    with SandboxProcess(bandwidth_bytes_per_s=2 * _MB) as sandbox:
        lab = Installation(tmp_path, sandbox)
        with DaemonProcess(lab) as daemon:
            names = _begun(lab, sandbox, daemon)
            pid = _holder_of_sessions(lab)
            held = f"SELECT 1 FROM session JOIN process ON process.id = session.process WHERE pid = {pid}"
            assert lab.query(held)
            os.kill(pid, signal.SIGKILL)
            wait_until("its sessions are free", lambda: not lab.query(held), 2, daemon=daemon)
            wait_until("the report", lambda: lab.report("three.txt"), daemon=daemon)
        assert lab.endings("three.txt") == [("done", 0)] * 3
        assert lab.differences(names) == []
        assert _never_overbooked(sandbox)


def test_workers_without_supervisor_leave_and_the_next_daemon_continues(tmp_path: Path) -> None:
    with SandboxProcess(bandwidth_bytes_per_s=2 * _MB) as sandbox:
        lab = Installation(tmp_path, sandbox)
        with DaemonProcess(lab) as daemon:
            names = _begun(lab, sandbox, daemon)
            daemon.kill()
            wait_until("the orphans are gone", lambda: not daemon.worker_pids(), daemon=daemon)
            daemon.start()
            wait_until("the report", lambda: lab.report("three.txt"), daemon=daemon)
        assert lab.differences(names) == []
        assert sandbox.bytes_sent() < 1.3 * 24 * _MB
        assert _never_overbooked(sandbox)


def test_a_new_daemon_beside_living_orphans_takes_only_what_they_let_go(tmp_path: Path) -> None:
    with SandboxProcess(accounts=2, bandwidth_bytes_per_s=_MB) as sandbox:
        lab = Installation(tmp_path, sandbox)
        with DaemonProcess(lab) as daemon:
            names = _begun(lab, sandbox, daemon)
            orphan = _holder_of_sessions(lab)
            os.kill(orphan, signal.SIGSTOP)  # it cannot notice that it is an orphan
            held = "SELECT count(*) AS sessions FROM session JOIN process ON process.id = session.process "
            before = lab.query(f"{held} WHERE pid = {orphan}")[0]["sessions"]
            daemon.kill()
            daemon.start()
            wait_until("the new one is at work", lambda: lab.query(f"{held} WHERE pid <> {orphan}"), daemon=daemon)
            sent = sandbox.bytes_sent()
            wait_until("it brings bytes", lambda: sandbox.bytes_sent() > sent + 2 * _MB, daemon=daemon)
            assert lab.query(f"{held} WHERE pid = {orphan}")[0]["sessions"] == before
            os.kill(orphan, signal.SIGCONT)
            wait_until("the orphan is gone", lambda: orphan not in daemon.worker_pids(), daemon=daemon)
            wait_until("the report", lambda: lab.report("three.txt"), daemon=daemon)
        assert lab.differences(names) == []
        assert _never_overbooked(sandbox)


@pytest.mark.parametrize(
    ("when", "death"),
    [
        pytest.param("flags & os.O_EXCL", _CRASH, id="being-planned"),
        pytest.param(_FETCHED, _CRASH, id="being-fetched"),
        pytest.param("path.endswith('manifest.safe') and not flags & os.O_WRONLY", _CRASH, id="being-verified"),
        pytest.param(_FETCHED, "os.abort()", id="aborting"),
        pytest.param(_FETCHED, "os._exit(3)", id="leaving-unasked"),
        pytest.param(_FETCHED, "grown.append(bytearray(b'x') * 400_000_000); time.sleep(600)", id="out-of-memory"),
    ],
)
def test_a_product_that_kills_its_worker_three_times_is_given_up_and_the_others_arrive(
    tmp_path: Path, when: str, death: str
) -> None:
    poison, *others = realistic_safenames("S1_OCN", 6, seed=63)
    hook = when_opening(tmp_path / "hook", _DEATH_BY_FILE.format(name=poison, when=when, death=death))
    with SandboxProcess() as sandbox:
        lab = Installation(tmp_path / "lab", sandbox, process={"rss_max_bytes": "300MB", "hung_after_s": 4})
        sandbox.add_products(*({"safename": name, "size_bytes": 300_000} for name in (poison, *others)))
        lab.drop("six.txt", [poison, *others])
        with DaemonProcess(lab, "--once", environ=hook) as daemon:
            assert daemon.wait(60) == 1, daemon.log()
        report = lab.report("six.txt")
        assert report is not None
        rows = {row["safename"]: row for row in report["products"]}
        assert rows[poison]["state"] == "failed", daemon.log()
        assert "killed the worker that worked on it 3 times" in rows[poison]["cause"]
        assert [(rows[name]["state"], rows[name]["attempts"]) for name in others] == [("done", 0)] * 5
        assert daemon.log().count(" starts again in ") <= 6
        assert lab.differences(others) == []
        # Without the fault, the next request for it succeeds.
        lab.drop("again.txt", [poison])
        lab.run_once()
        assert lab.differences([poison]) == []


def _all_workers(daemon: DaemonProcess, _lab: Installation) -> list[int]:
    return daemon.worker_pids()


def _supervisor_too(daemon: DaemonProcess, _lab: Installation) -> list[int]:
    return [daemon.pid, *daemon.worker_pids()]


def _the_one_at_work(daemon: DaemonProcess, _lab: Installation) -> list[int]:
    return daemon.worker_pids("download")


@pytest.mark.parametrize(
    ("victims", "number"),
    [
        pytest.param(_the_one_at_work, signal.SIGKILL, id="one-worker-KILL"),
        pytest.param(_the_one_at_work, signal.SIGTERM, id="one-worker-TERM", marks=pytest.mark.soak),
        pytest.param(_all_workers, signal.SIGKILL, id="all-workers-KILL", marks=pytest.mark.soak),
        pytest.param(_all_workers, signal.SIGABRT, id="all-workers-ABRT", marks=pytest.mark.soak),
        pytest.param(_supervisor_too, signal.SIGKILL, id="the-service-KILL"),
        pytest.param(_supervisor_too, signal.SIGSEGV, id="the-service-SEGV", marks=pytest.mark.soak),
    ],
)
def test_a_worker_killed_repeatedly_from_outside_charges_no_product(
    tmp_path: Path, victims: Callable[[DaemonProcess, Installation], list[int]], number: signal.Signals
) -> None:
    [name] = realistic_safenames("S1_GRD", 1, seed=64)
    with SandboxProcess(bandwidth_bytes_per_s=_MB // 4) as sandbox:
        lab = Installation(tmp_path, sandbox, transfer={"processes": 1, "checkpoint_every_s": 60})  # nothing advances
        sandbox.add_products({"safename": name, "size_bytes": 6 * _MB})
        lab.drop("one.txt", [name])
        charged = "SELECT deaths FROM product WHERE deaths > 0"
        with DaemonProcess(lab) as daemon:
            for _ in range(4):
                wait_until("all are there", lambda: len(daemon.worker_pids()) == 3, daemon=daemon)
                wait_until("it is at work", lambda: lab.query("SELECT 1 FROM piece WHERE fence > 0"), daemon=daemon)
                hit = victims(daemon, lab)
                for pid in hit:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, number)
                if daemon.pid in hit:
                    daemon.wait(10)
                    daemon.start()
                wait_until("they are gone", lambda gone=hit: not set(gone) & set(daemon.worker_pids()), daemon=daemon)
                assert lab.query(charged) == []
            sandbox.clear_faults()
            wait_until("the report", lambda: lab.report("one.txt"), 120, daemon=daemon)
        assert lab.endings("one.txt") == [("done", 0)]
        assert lab.query(charged) == []


def test_a_worker_that_hangs_is_killed_and_its_work_done_by_others(tmp_path: Path) -> None:
    with SandboxProcess(bandwidth_bytes_per_s=2 * _MB) as sandbox:
        lab = Installation(tmp_path, sandbox, process={"hung_after_s": 3})
        with DaemonProcess(lab) as daemon:
            names = _begun(lab, sandbox, daemon)
            hung = _holder_of_sessions(lab)
            os.kill(hung, signal.SIGSTOP)
            stopped_s = time.monotonic()
            wait_until("it is killed", lambda: f"(pid {hung}) has sent no heartbeat" in daemon.log(), daemon=daemon)
            assert time.monotonic() - stopped_s > 1.5  # a short pause is not a hang
            wait_until("the report", lambda: lab.report("three.txt"), daemon=daemon)
        assert lab.differences(names) == []
        assert _never_overbooked(sandbox)


def test_without_accounts_file_it_does_not_start_and_says_which_one_it_misses(tmp_path: Path) -> None:
    with SandboxProcess() as sandbox:
        lab = Installation(tmp_path, sandbox)
        (tmp_path / "accounts.yml").unlink()
        result = lab.command("run")
        assert result.returncode == 78
        assert str(tmp_path / "accounts.yml") in result.stderr
        assert "Traceback" not in result.stderr
        assert len(result.stderr.strip().split("\n")) == 1


def test_a_worker_that_starts_while_the_accounts_file_is_written_waits_for_it(tmp_path: Path) -> None:
    [name] = realistic_safenames("S5P", 1, seed=37)
    with SandboxProcess() as sandbox:
        lab = Installation(tmp_path, sandbox)
        sandbox.add_products({"safename": name, "size_bytes": 10_000})
        accounts, aside = tmp_path / "accounts.yml", tmp_path / "aside.yml"
        with DaemonProcess(lab) as daemon:
            daemon.until_at_work()  # all of them have read it
            wait_until("intake is ready", (lab.inbox / ".rejected").is_dir, daemon=daemon)
            accounts.rename(aside)
            os.kill(daemon.worker_pids("intake")[0], signal.SIGKILL)
            wait_until("it is missed", lambda: daemon.log().count(f"{accounts}") > 1, daemon=daemon)
            aside.rename(accounts)
            lab.drop("one.txt", [name])
            wait_until("work continues", lambda: lab.report("one.txt"), daemon=daemon)
        assert lab.states("one.txt") == {name: "done"}
