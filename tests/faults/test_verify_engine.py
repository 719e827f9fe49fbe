"""`cdsed verify --engine`: the verdicts of a local run, whatever happens to workers and to the command."""

import contextlib
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.archive_lab import ArchiveLab, wait_while_it_runs
from tests.support.cli_lab import CliLab
from tests.support.daemon import wait_until
from tests.support.dask_programs import LoopbackCluster
from tests.support.namespaces import why_not

pytest.importorskip("distributed", reason="cdsed[dask] is not installed")


def _workers(pid: int) -> list[int]:
    """Return the workers of Dask that a command has started."""
    found = []
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, children.read_text("ascii").split()):
            with contextlib.suppress(OSError):
                if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                    found.append(child)
    return sorted(found)


def _runs(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0] != "Z"
    return False


@pytest.fixture
def archive(cli_lab: CliLab) -> ArchiveLab:
    return ArchiveLab(cli_lab, 1500)


def test_workers_come_to_the_verdicts_of_a_local_run(archive: ArchiveLab) -> None:
    bad = archive.damage()
    here = archive.verify()
    by_hand = archive.report()
    there = archive.verify("--engine")
    assert (here.returncode, there.returncode) == (1, 1)
    by_workers = archive.report()
    assert archive.findings() == bad
    assert sorted(by_workers["problems"], key=lambda each: each["safename"]) == sorted(
        by_hand["problems"], key=lambda each: each["safename"]
    )
    for member in ("products", "right", "wrong", "absent", "unreadable", "size_bytes"):
        assert by_workers[member] == by_hand[member]


@pytest.mark.timeout(400)
def test_a_worker_that_is_killed_costs_only_time(archive: ArchiveLab) -> None:
    bad = archive.damage()
    with archive.begin("--engine") as process:
        wait_while_it_runs("a batch", lambda: archive.batches() > 0, process)
        os.kill(_workers(process.pid)[0], signal.SIGKILL)
        _, err = process.communicate(timeout=300)
    assert (process.returncode, archive.findings()) == (1, bad)
    assert "cdsed has failed" not in err
    assert (archive.report()["products"], archive.report()["right"]) == (1500, 1495)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_command_that_is_killed_leaves_no_process_and_is_continued(
    archive: ArchiveLab, number: signal.Signals
) -> None:
    bad = archive.damage()
    with archive.begin("--engine") as process:
        wait_while_it_runs("a batch", lambda: archive.batches() > 0, process)
        workers = _workers(process.pid)
        assert workers
        for worker in workers:  # so that it cannot end before the signal
            os.kill(worker, signal.SIGSTOP)
        process.send_signal(number)
        for worker in workers:
            os.kill(worker, signal.SIGCONT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == (130 if number == signal.SIGINT else -number)
    assert "Traceback" not in err
    wait_until("no worker is left", lambda: not any(map(_runs, workers)), 120)
    done = archive.verify()  # here, for a change: both share their progress
    verified = re.search(r"an interrupted run has verified ([\d ]+) of 1 500 products: it continues", done.stderr)
    assert verified
    assert int(verified[1].replace(" ", "")) > 0
    assert archive.report()["products"] == 1500
    assert archive.findings() == bad


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[LoopbackCluster]:
    with contextlib.closing(LoopbackCluster(tmp_path / "cluster")) as cluster:
        yield cluster


@pytest.mark.timeout(600)
def test_a_worker_without_the_file_system_is_refused_and_makes_nothing_absent(
    archive: ArchiveLab, cluster: LoopbackCluster
) -> None:
    if reason := why_not():
        pytest.skip(reason)
    bad = archive.damage()
    script = f'mount -t tmpfs none {archive.spool} && exec "$0" "$@"'
    under = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script]
    cluster.add("blind", "--no-nanny", "--name", "blind", under=under)
    cluster.add("seeing", "--no-nanny", "--name", "seeing")
    for name in ("blind", "seeing"):
        wait_until(f"{name} is registered", lambda name=name: cluster.has(name), 120)
    with archive.lab.config.open("a", encoding="utf-8") as file:
        file.write(f"engine: {{scheduler: '{cluster.address}'}}\n")
    done = archive.verify("--engine")
    assert f"sees no marker in {archive.spool}: is its file system mounted there?" in done.stderr
    assert (done.returncode, archive.findings()) == (1, bad)
    report = archive.report()
    assert (report["products"], report["absent"]) == (1500, 1)
    assert len(report["workers_not_used"]) == 1


def test_a_certificate_that_is_not_there_is_named(archive: ArchiveLab, tmp_path: Path) -> None:
    with archive.lab.config.open("a", encoding="utf-8") as file:
        file.write(f"engine: {{scheduler: 'tls://127.0.0.1:9', tls_dir: {tmp_path / 'tls'}}}\n")
    done = archive.verify("--engine")
    assert done.returncode == 75
    assert f"{tmp_path / 'tls' / 'cert.pem'} is not there or cannot be read" in done.stderr


@pytest.mark.timeout(400)
def test_a_scheduler_that_is_not_there_is_named(archive: ArchiveLab) -> None:
    with archive.lab.config.open("a", encoding="utf-8") as file:
        file.write("engine: {scheduler: 'tcp://127.0.0.1:9'}\n")
    done = archive.verify("--engine")
    assert done.returncode == 75
    assert "cdsed: Dask at tcp://127.0.0.1:9: " in done.stderr
