"""A disk that hangs: threads that call it are stuck in the kernel, and all others continue."""

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from cdsed.sandbox.names import realistic_safenames
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.injection import needs_strace
from tests.support.opening import when_opening
from tests.support.sandbox import SandboxProcess

# While the FIFO exists, opening a file of a place hangs in the kernel.
_HANGS = """
def opening(path, flags):
    if path.startswith("{place}") and {when} and os.path.exists("{fifo}"):
        os.close(plain_open("{fifo}", os.O_RDONLY))
"""


@pytest.mark.parametrize(
    "when",
    [
        pytest.param("path.endswith('.nc')", id="while-fetching"),
        pytest.param("path.endswith('manifest.safe') and not flags & os.O_WRONLY", id="while-verifying"),
    ],
)
def test_a_spool_that_hangs_delays_neither_the_other_spool_nor_a_stop(tmp_path: Path, when: str) -> None:
    fifo = tmp_path / "hangs"
    good = tmp_path / "good"
    names = realistic_safenames("S1_OCN", 8, seed=331)
    with SandboxProcess(accounts=2) as sandbox:
        lab = Installation(
            tmp_path / "lab",
            sandbox,
            process={"hung_after_s": 4},
            transfer={"read_timeout_s": 2, "processes": 1},
        )
        lab.configure(spools=[str(lab.spool), str(good)])
        hangs = _HANGS.format(place=f"{lab.spool}/.cdsed/S1", fifo=fifo, when=when)
        os.mkfifo(fifo)
        sandbox.add_products(*({"safename": name, "size_bytes": 200_000} for name in names))
        lab.drop("one.txt", names[:1])
        environ = when_opening(tmp_path / "hook", hangs)
        with DaemonProcess(lab, environ=environ) as daemon:
            [breaker] = wait_until("the hang is seen", lambda: lab.status()["open_breakers"], daemon=daemon)
            assert breaker["name"] == f"disk:{lab.spool}"
            assert "has not returned for" in breaker["reason"]
            worker = daemon.worker_pids("download")
            lab.drop("rest.txt", names[1:])
            wait_until("the others, elsewhere", lambda: lab.report("rest.txt"), daemon=daemon)
            assert lab.differences(names[1:], good) == []
            assert daemon.worker_pids("download") == worker  # no worker was killed for it
            daemon.terminate()
            assert daemon.wait(60) == 0
            assert daemon.worker_pids() == []
        assert len(re.findall(r"ERROR.*has not returned", daemon.log())) == 1
        fifo.unlink()
        with DaemonProcess(lab, "--once", environ=environ) as daemon:
            assert daemon.wait(60) == 0, daemon.log()
        assert lab.states("one.txt") == {names[0]: "done"}


@needs_strace
def test_neither_supervisor_nor_status_touch_the_disks_of_products(tmp_path: Path) -> None:
    names = realistic_safenames("S1_OCN", 3, seed=333)
    trace, statuses = tmp_path / "trace", tmp_path / "statuses"
    with SandboxProcess() as sandbox:
        archive = tmp_path / "archive"
        archive.mkdir()
        lab = Installation(tmp_path / "lab", sandbox, archives=[{"root": str(archive)}])
        sandbox.add_products(*({"safename": name, "size_bytes": 200_000} for name in names))
        with DaemonProcess(lab) as daemon:
            daemon.until_at_work()
            tracing = ["strace", "-f", "-qq", "-e", "trace=%file", "-o", str(trace), "-p", str(daemon.pid)]
            with subprocess.Popen(tracing, stderr=subprocess.DEVNULL) as tracer:
                wait_until("it is traced", lambda: trace.exists() and trace.stat().st_size)
                lab.drop("three.txt", names)
                wait_until("the report", lambda: lab.report("three.txt"), daemon=daemon)
                for arguments in (["status"], ["status", "three.txt"], ["status", names[0]]):
                    lab.command(*arguments, under=["strace", "-f", "-e", "trace=%file", "-A", "-o", str(statuses)])
                tracer.send_signal(signal.SIGTERM)
        seen = trace.read_text(errors="replace") + statuses.read_text(errors="replace")
        assert str(lab.state) in seen
        assert str(lab.spool) not in seen
        assert str(archive) not in seen


def test_a_worker_that_a_disk_keeps_from_leaving_charges_no_product(tmp_path: Path) -> None:
    fifo = tmp_path / "hangs"
    os.mkfifo(fifo)
    [name] = realistic_safenames("S1_OCN", 1, seed=331)
    with SandboxProcess() as sandbox:
        lab = Installation(tmp_path / "lab", sandbox, process={"stop_within_s": 1}, transfer={"processes": 1})
        hangs = _HANGS.format(place=f"{lab.spool}/.cdsed/S1", fifo=fifo, when="path.endswith('manifest.safe')")
        sandbox.add_products({"safename": name, "size_bytes": 200_000})
        lab.drop("one.txt", [name])
        with DaemonProcess(lab, environ=when_opening(tmp_path / "hook", hangs)) as daemon:
            [row] = wait_until(
                "it hangs",
                lambda: lab.query(
                    "SELECT pid FROM process JOIN product ON product.process = process.id WHERE state = 'downloading'"
                ),
                daemon=daemon,
            )
            daemon.send(signal.SIGHUP)
            wait_until("it is killed", lambda: f"(pid {row['pid']}) was killed" in daemon.log(), daemon=daemon)
            fifo.unlink()
            wait_until("the report", lambda: lab.report("one.txt"), daemon=daemon)
            assert not lab.query("SELECT 1 FROM breaker WHERE name = 'suspects'")
