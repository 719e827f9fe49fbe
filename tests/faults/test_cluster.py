"""A scheduler and workers of Dask, as `cdsed engine init` says: TLS, and no key of an account in any of them."""

import contextlib
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cdsed.sandbox.accounts import make_accounts
from cdsed.sandbox.names import realistic_safenames
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.invariants import overbooked
from tests.support.sandbox import SandboxProcess

pytest.importorskip("distributed", reason="cdsed[dask] is not installed")

_ROOT = Path(__file__).parents[2]
_ENGINE = {"kind": "dask", "grant_s": 6, "renew_every_s": 1, "lost_rest_s": 1, "holders_per_worker": 2}


@dataclass
class Cluster:
    """Processes of Dask on this machine."""

    address: str
    tls_dir: Path
    pids: list[int]


def _dask(words: str, log: Path) -> "subprocess.Popen[bytes]":
    """Run a command of Dask as `cdsed engine init` prints it, at a free port of loopback."""
    command = [sys.executable, "-m", *shlex.split(words)]
    environ = os.environ | {"PYTHONPATH": str(_ROOT)}
    with log.open("ab") as out:
        return subprocess.Popen(command, env=environ, cwd=log.parent, stdin=subprocess.DEVNULL, stdout=out, stderr=out)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Give a scheduler with two workers, started by the printed commands."""
    place = tmp_path / "cluster"
    place.mkdir()
    tls_dir = tmp_path / "tls"
    said = subprocess.run(
        [sys.executable, "-m", "cdsed", "engine", "init", str(tls_dir)],
        env=os.environ | {"PYTHONPATH": str(_ROOT)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    scheduler, worker = (re.search(rf"dask {role} .*", said)[0] for role in ("scheduler", "worker"))  # type: ignore[index]
    with contextlib.ExitStack() as stack:

        def run(words: str, log: Path) -> int:
            process = stack.enter_context(_dask(words, log))
            stack.callback(process.terminate)
            return process.pid

        pids = [run(f"{scheduler} --host 127.0.0.1 --port 0", place / "scheduler.log")]
        found = wait_until(
            "it listens", lambda: re.search(r"tls://127\.0\.0\.1:\d+", (place / "scheduler.log").read_text())
        )
        address = found[0]
        pids += [run(worker.replace("tls://HOST:8786", address), place / f"worker-{n}.log") for n in (1, 2)]
        yield Cluster(address, tls_dir, pids)


def _descendants(pids: list[int]) -> list[int]:
    found = list(pids)
    for pid in found:
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                found += [int(each) for each in task.read_text(encoding="ascii").split()]
    return found


def _memory_has(pid: int, secret: bytes) -> bool:
    """Look through all that a process has in its memory."""
    with contextlib.suppress(OSError), Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text(encoding="ascii", errors="replace").splitlines():
            begin, end = (int(each, 16) for each in line.split()[0].split("-"))
            if "r" in line.split()[1] and not line.endswith(("[vvar]", "[vsyscall]", "[vvar_vclock]")):
                with contextlib.suppress(OSError, OverflowError, ValueError):
                    memory.seek(begin)
                    if secret in memory.read(end - begin):
                        return True
    return False


def _is_holder(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return b"cdsed.engine.holder" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def test_products_come_over_a_cluster_with_tls_that_never_has_a_key(tmp_path: Path, cluster: Cluster) -> None:
    names = [name for kind in ("S1_OCN", "S5P", "S2_L1C") for name in realistic_safenames(kind, 2, seed=5)]
    engine = {**_ENGINE, "scheduler": cluster.address, "tls_dir": str(cluster.tls_dir)}
    with SandboxProcess(make_accounts(1, seed=1)) as sandbox:
        secret = sandbox.accounts[0].secret_key.encode()
        lab = Installation(tmp_path / "lab", sandbox, engine=engine)
        sandbox.add_products(*({"safename": name, "size_bytes": 3_000_000} for name in names))
        sandbox.fault(kind="trickle", operation="get", bytes_per_s=500_000)
        with DaemonProcess(lab) as daemon:
            lab.drop("cluster.txt", names)
            wait_until(
                "it is at work", lambda: lab.query("SELECT 1 FROM piece WHERE done_bytes > 0"), 120, daemon=daemon
            )
            found = _descendants(cluster.pids)
            assert any(_memory_has(pid, secret) for pid in found if _is_holder(pid)), (
                "the look finds a key that is there"
            )
            assert [pid for pid in found if not _is_holder(pid) and _memory_has(pid, secret)] == []
            sandbox.clear_faults()
            wait_until("the report", lambda: lab.report("cluster.txt"), 120, daemon=daemon)
        assert lab.endings("cluster.txt") == [("done", 0)] * len(names)
        assert lab.differences(names) == []
        assert overbooked(sandbox) == []
        logs = [path.read_bytes() for path in (tmp_path / "cluster").glob("*.log")] + [daemon.log().encode()]
        assert not any(secret in log for log in logs)


def test_workers_say_what_they_see_before_the_daemon_uses_them(tmp_path: Path, cluster: Cluster) -> None:
    engine = {**_ENGINE, "scheduler": cluster.address, "tls_dir": str(cluster.tls_dir)}
    with SandboxProcess(make_accounts(1, seed=1)) as sandbox:
        lab = Installation(tmp_path / "lab", sandbox, engine=engine)

        def good() -> str:
            checked = lab.command("engine", "check")
            return checked.stdout if checked.returncode == 0 and checked.stdout.count("\n") == 2 else ""

        said = wait_until("both workers are there", good)
        assert said.count("sees a new file after 0.") == 2
        lab.accounts_file.chmod(0o644)
        checked = lab.command("engine", "check")
        assert checked.returncode == 1
        assert checked.stdout.count("other users than its owner may read or write it") == 2
        assert list((lab.spool / ".cdsed").iterdir()) == []


def test_nobody_without_the_certificate_is_let_in(cluster: Cluster) -> None:
    code = (
        "import sys; from distributed import Client, Security; "
        "Client(sys.argv[1], timeout=5, security=Security.temporary())"
    )
    done = subprocess.run([sys.executable, "-c", code, cluster.address], capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert "certificate" in done.stderr or "TLS" in done.stderr or "OSError" in done.stderr


def test_the_certificate_is_its_owner_s_alone_and_never_replaced(tmp_path: Path, cluster: Cluster) -> None:
    assert [path.stat().st_mode & 0o777 for path in sorted(cluster.tls_dir.iterdir())] == [0o600, 0o600]
    assert cluster.tls_dir.stat().st_mode & 0o777 == 0o700
    again = subprocess.run(
        [sys.executable, "-m", "cdsed", "engine", "init", str(cluster.tls_dir)],
        env=os.environ | {"PYTHONPATH": str(_ROOT)},
        capture_output=True,
        text=True,
    )
    assert (again.returncode, again.stderr) == (64, f"cdsed: {cluster.tls_dir} exists; name a new directory\n")
