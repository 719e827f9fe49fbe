"""A scheduler and workers of Dask, as `cdsed engine init` says: TLS, and no key of an account in any of them."""

import contextlib
import http.client
import itertools
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest

from cdsed.sandbox.accounts import make_accounts
from cdsed.sandbox.names import realistic_safenames
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.dask_programs import begin, init_engine
from tests.support.invariants import found_by_the_checker, overbooked
from tests.support.ports import free_port
from tests.support.sandbox import SandboxProcess

pytest.importorskip("distributed", reason="cdsed[dask] is not installed")

from distributed import Client, Security

from cdsed.config.engine_settings import EngineSettings
from cdsed.engine.dask_link import DaskLink, run_pilot
from cdsed.engine.pilot import PilotOrder
from cdsed.engine.wire import decode
from cdsed.errors import MachineError

_ROOT = Path(__file__).parents[2]
_ENGINE = {"kind": "dask", "grant_s": 6, "renew_every_s": 1, "lost_rest_s": 1, "holders_per_worker": 2}


@dataclass
class Cluster:
    """Processes of Dask on this machine.

    Attributes
    ----------
    scheduler, workers
        Start them, at `address`; return their processes. Workers may have more options.
    pids
        Of all that were started.
    """

    address: str
    tls_dir: Path
    scheduler: Callable[[], "subprocess.Popen[bytes]"]
    workers: Callable[..., list["subprocess.Popen[bytes]"]]
    pids: list[int] = field(default_factory=list)


def _dask(words: str, log: Path, *, pages: bool = False) -> "subprocess.Popen[bytes]":
    """Run a command of Dask as `cdsed engine init` prints it, at a free port of loopback."""
    given = shlex.split(words)
    variables = dict(word.split("=", 1) for word in itertools.takewhile(lambda word: word != "dask", given))
    command = [sys.executable, "-m", *given[len(variables) :]]
    if pages:  # as those do it who leave out what is printed
        command.remove("--no-dashboard")
        variables = {}
    return begin(command, log, variables)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Give a scheduler, started by the printed command; tests that need its two workers start them."""
    with _started(tmp_path) as cluster:
        yield cluster


@pytest.fixture
def cluster_with_pages(tmp_path: Path) -> Iterator[Cluster]:
    """Give the same with the pages of Dask."""
    with _started(tmp_path, pages=True) as cluster:
        yield cluster


@contextlib.contextmanager
def _started(tmp_path: Path, *, pages: bool = False) -> Iterator[Cluster]:
    place = tmp_path / "cluster"
    place.mkdir()
    tls_dir = tmp_path / "tls"
    said = init_engine(tls_dir)
    scheduler, worker = (re.search(rf"\S+ dask {role} .*", said)[0] for role in ("scheduler", "worker"))  # type: ignore[index]
    with contextlib.ExitStack() as stack:

        def run(words: str, log: Path) -> "subprocess.Popen[bytes]":
            process = stack.enter_context(_dask(f"{words} --dashboard-address 127.0.0.1:0", log, pages=pages))
            stack.callback(process.terminate)
            made.pids.append(process.pid)
            return process

        port = free_port()
        address = f"tls://127.0.0.1:{port}"
        made = Cluster(
            address,
            tls_dir,
            lambda: run(f"{scheduler} --host 127.0.0.1 --port {port}", place / "scheduler.log"),
            lambda *more: [
                run(" ".join((worker.replace("tls://HOST:8786", address), *more)), place / f"worker-{n}.log")
                for n in (1, 2)
            ],
        )
        made.scheduler()
        yield made


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
    cluster.workers()
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
            verified = lab.command("verify", "--engine", timeout_s=150)  # beside the pilots, on the same workers
            assert (verified.returncode, "all are right" in verified.stdout) == (0, True), verified
        assert lab.endings("cluster.txt") == [("done", 0)] * len(names)
        assert lab.differences(names) == []
        assert overbooked(sandbox) == []
        logs = [path.read_bytes() for path in (tmp_path / "cluster").glob("*.log")] + [daemon.log().encode()]
        assert not any(secret in log for log in logs)


def _listens(pids: list[int]) -> list[int]:
    """Return the ports of this machine at which processes listen."""
    inodes = set()
    for pid in pids:
        with contextlib.suppress(OSError):
            for entry in Path(f"/proc/{pid}/fd").iterdir():
                with contextlib.suppress(OSError):
                    inodes.add(str(entry.readlink()).removeprefix("socket:[").removesuffix("]"))
    rows = [line.split() for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]]
    return sorted({int(row[1].partition(":")[2], 16) for row in rows if row[3] == "0A" and row[9] in inodes})


def _page(port: int, path: str) -> str | None:
    """Return a page; None if it is absent, as where no pages are served."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.read().decode(errors="replace") if answer.status == 200 else None
    except (http.client.HTTPException, OSError):
        return None
    finally:
        connection.close()


_PAGES = (
    *("/health", "/metrics", "/json/counts.json", "/json/identity.json", "/json/index.html", "/sitemap.json"),
    *("/info/main/workers.html", "/info/main/exceptions.html", "/info/main/logs.html", "/individual-plots.json"),
)


def _all_pages(pids: list[int]) -> dict[str, str]:
    """Return all pages that can be reached from the main ones, by their addresses."""
    found: dict[str, str] = {}
    for port in _listens(pids):
        paths = [path for path in _PAGES if _page(port, "/health") is not None]
        for path in paths:
            content = _page(port, path)
            if content is None or f"{port}{path}" in found:
                continue
            found[f"{port}{path}"] = content
            links = re.findall(r'href="([^"#?:]+\.(?:html|json))"', content)
            paths += [urljoin(path, link) for link in links if f"{port}{urljoin(path, link)}" not in found]
    return found


# What Dask tells a client, in a process of its own: the state of scheduler and workers, events, and the streams.
_ASK_DASK = """
import pickle, sys
from distributed import Client, Security
address, place, out = sys.argv[1:]
cert, key = place + "/cert.pem", place + "/key.pem"
security = Security(tls_ca_file=cert, tls_client_cert=cert, tls_client_key=key, require_encryption=True)
with Client(address, security=security) as client:
    client.dump_cluster_state(out + "/state", format="yaml")
    facts = [client.get_task_stream(), client.story(), client.processing(), client.call_stack(), client.get_events()]
    facts += [client.get_scheduler_logs(), client.get_worker_logs(), client.scheduler_info(), client.profile()]
    runs = client.run_on_scheduler(lambda dask_scheduler: [ts.run_spec for ts in dask_scheduler.tasks.values()])
    facts += [pickle.dumps(runs), runs, [pickle.loads(pickle.dumps(each)) for each in runs]]
    open(out + "/facts", "w").write(repr(facts))
"""


def test_no_secret_is_on_a_page_in_a_message_or_in_what_dask_tells(tmp_path: Path, cluster_with_pages: Cluster) -> None:
    cluster = cluster_with_pages
    names = realistic_safenames("S1_GRD", 2, seed=5)
    engine = {**_ENGINE, "scheduler": cluster.address, "tls_dir": str(cluster.tls_dir)}
    cluster.workers()
    with SandboxProcess(make_accounts(1, seed=1)) as sandbox:
        account = sandbox.accounts[0]
        secrets = [account.secret_key, account.access_key, account.password]
        lab = Installation(tmp_path / "lab", sandbox, engine=engine)
        sandbox.add_products(*({"safename": name, "size_bytes": 20_000_000} for name in names))
        sandbox.fault(kind="trickle", operation="get", bytes_per_s=500_000)
        with DaemonProcess(lab) as daemon:
            lab.drop("cluster.txt", names)
            wait_until(
                "it is at work", lambda: lab.query("SELECT 1 FROM piece WHERE done_bytes > 0"), 120, daemon=daemon
            )
            pages = _all_pages(_descendants(cluster.pids))
            asked = subprocess.run(
                [sys.executable, "-c", _ASK_DASK, cluster.address, str(cluster.tls_dir), str(tmp_path)],
                capture_output=True,
                text=True,
                timeout=120,
            )
            assert asked.returncode == 0, asked.stderr
        said = {
            **pages,
            "state": (tmp_path / "state.yaml").read_text(encoding="utf-8"),
            "facts": (tmp_path / "facts").read_text(encoding="utf-8"),
            "daemon": daemon.log(),
            **{path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "cluster").glob("*.log")},
        }
    kinds = [page.partition("/")[2] for page in pages]
    assert {"metrics", "json/counts.json", "info/main/workers.html", "info/main/logs.html"} <= set(kinds)
    assert [kind for kind in kinds if kind.startswith("info/call-stacks/")]
    assert [kind for kind in kinds if kind.startswith("info/task/")], "the pages name the pilots"
    assert "cdsed-pilot-" in said["state"]
    assert "cdsed-pilot-" in said["facts"]
    key = (cluster.tls_dir / "key.pem").read_text(encoding="ascii").splitlines()[1]
    assert [(name, n) for name, text in said.items() for n, each in enumerate([*secrets, key]) if each in text] == []


def test_the_printed_commands_serve_no_page(cluster: Cluster) -> None:
    cluster.workers()
    ports = wait_until("both workers listen", lambda: (found := _listens(_descendants(cluster.pids))) and found)
    served = [(path, _page(port, path)) for port in ports for path in _PAGES]
    # Only the list of pages is there, and has none but itself.
    assert {(path, page) for path, page in served if page is not None} <= {
        ("/sitemap.json", '{"paths": ["/sitemap.json"]}')
    }


def test_workers_say_what_they_see_before_the_daemon_uses_them(tmp_path: Path, cluster: Cluster) -> None:
    engine = {**_ENGINE, "scheduler": cluster.address, "tls_dir": str(cluster.tls_dir)}
    cluster.workers()
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


def _engine_notices(lab: Installation) -> list[str]:
    return [each["text"] for each in lab.status()["notices"] if each["name"] == "engine"]


@pytest.mark.timeout(600)
def test_a_daemon_waits_for_a_scheduler_that_is_gone_and_says_so(tmp_path: Path, cluster: Cluster) -> None:
    first, second = realistic_safenames("S1_OCN", 2, seed=6)
    engine = {**_ENGINE, "scheduler": cluster.address, "tls_dir": str(cluster.tls_dir)}
    _end(cluster)
    with SandboxProcess(make_accounts(1, seed=1)) as sandbox:
        lab = Installation(tmp_path / "lab", sandbox, engine=engine)
        sandbox.add_products(*({"safename": name, "size_bytes": 1_000_000} for name in (first, second)))
        with DaemonProcess(lab) as daemon:
            lab.drop("first.txt", [first])
            sentence = f"the scheduler of Dask at {cluster.address} cannot be used"
            wait_until(
                "status says so", lambda: any(sentence in each for each in _engine_notices(lab)), 120, daemon=daemon
            )
            head = daemon.worker_pids("download")
            cluster.scheduler()
            cluster.workers()
            wait_until("the report", lambda: lab.report("first.txt"), 180, daemon=daemon)
            assert _engine_notices(lab) == []
            _end(cluster)
            wait_until("status says so", lambda: _engine_notices(lab), 120, daemon=daemon)
            lab.drop("second.txt", [second])
            cluster.scheduler()
            cluster.workers()
            wait_until("the report", lambda: lab.report("second.txt"), 180, daemon=daemon)
            assert daemon.worker_pids("download") == head, "it has stayed"
            assert found_by_the_checker(lab) == []
        assert lab.endings("first.txt") + lab.endings("second.txt") == [("done", 0)] * 2
        assert "Traceback" not in daemon.log()
        assert daemon.log().count("it is tried again") == 2


@pytest.mark.timeout(600)
def test_a_daemon_leaves_in_time_without_its_scheduler_and_keeps_the_sessions(tmp_path: Path, cluster: Cluster) -> None:
    names = realistic_safenames("S1_GRD", 2, seed=6)
    engine = {**_ENGINE, "grant_s": 90, "lost_rest_s": 300}
    cluster.workers()
    with SandboxProcess(make_accounts(1, seed=1)) as sandbox:
        lab = Installation(
            tmp_path / "lab",
            sandbox,
            engine={**engine, "scheduler": cluster.address, "tls_dir": str(cluster.tls_dir)},
            process={"stop_within_s": 30},
        )
        sandbox.add_products(*({"safename": name, "size_bytes": 20_000_000} for name in names))
        sandbox.fault(kind="trickle", operation="get", bytes_per_s=250_000)
        with DaemonProcess(lab) as daemon:
            lab.drop("two.txt", names)
            wait_until(
                "it is at work", lambda: lab.query("SELECT 1 FROM piece WHERE done_bytes > 0"), 120, daemon=daemon
            )
            _end(cluster)
            wait_until("status says so", lambda: _engine_notices(lab), 120, daemon=daemon)
            daemon.terminate()
            daemon.wait(80)
        assert "has not left" not in daemon.log()
        assert lab.query("SELECT 1 FROM session WHERE process IS NOT NULL") == []
        held = lab.query("SELECT rest_until_s FROM session WHERE hold_s > 0")
        assert held, "their connections may be open"
        assert all(row["rest_until_s"] > time.clock_gettime(time.CLOCK_BOOTTIME) + 300 for row in held)


@pytest.mark.timeout(600)
def test_a_pilot_that_dask_runs_again_or_twice_harms_nothing(tmp_path: Path, cluster: Cluster) -> None:
    names = [name for kind in ("S1_OCN", "S5P", "S2_L1C") for name in realistic_safenames(kind, 3, seed=7)]
    engine = {**_ENGINE, "grant_s": 20, "scheduler": cluster.address, "tls_dir": str(cluster.tls_dir)}
    cluster.workers("--nthreads 2")
    with SandboxProcess(make_accounts(1, seed=1)) as sandbox:
        lab = Installation(tmp_path / "lab", sandbox, engine=engine)
        sandbox.add_products(*({"safename": name, "size_bytes": 2_000_000} for name in names))
        sandbox.fault(kind="trickle", operation="get", bytes_per_s=300_000)
        with _client(cluster) as client, DaemonProcess(lab) as daemon:
            lab.drop("again.txt", names)
            wait_until(
                "it is at work", lambda: lab.query("SELECT 1 FROM piece WHERE done_bytes > 0"), 240, daemon=daemon
            )
            head, order = _head_of(client, lab), (str(lab.config), 2, 1.0, 40.0, None)
            # The same task once more, on a worker that has a pilot, as Dask runs it again after a worker was lost.
            again = client.submit(run_pilot, head, "mark", order, key="again", pure=False)
            before = wait_until("it runs", lambda: _runs_on(client, "again"), 180, daemon=daemon)
            wait_until("its holders run, too", lambda: daemon.log().count("a pilot runs on") >= 3, 180, daemon=daemon)
            os.kill(client.run(os.getpid, workers=[before])[before], signal.SIGKILL)
            wait_until("Dask runs it elsewhere", lambda: _runs_on(client, "again") not in (None, before), 180)
            sandbox.clear_faults()
            wait_until("the report", lambda: lab.report("again.txt"), 180, daemon=daemon)
            assert found_by_the_checker(lab) == []
            daemon.terminate()
            daemon.wait(60)
            assert again.result(60) in ("the daemon ends", "the head has been silent for 40 s")
        assert lab.endings("again.txt") == [("done", 0)] * len(names)
        assert lab.differences(names) == []
        assert overbooked(sandbox) == []


def _client(cluster: Cluster) -> Client:
    certificate, key = (str(cluster.tls_dir / name) for name in ("cert.pem", "key.pem"))
    tls = Security(tls_ca_file=certificate, tls_client_cert=certificate, tls_client_key=key, require_encryption=True)
    return Client(cluster.address, security=tls, timeout=60, set_as_default=False)


def _head_of(client: Client, lab: Installation) -> str:
    """Return the name of the head whose pilots say something at this scheduler."""
    _, (head, _line) = client.get_events(f"cdsed-up-{lab.config}")[-1]
    return str(head)


def _runs_on(client: Client, key: str) -> str | None:
    """Return the address of the worker that runs a task."""

    def look(dask_scheduler: Any) -> str | None:
        task = dask_scheduler.tasks.get(key)
        return None if task is None or task.processing_on is None else str(task.processing_on.address)

    found: str | None = client.run_on_scheduler(look)
    return found


def _end(cluster: Cluster) -> None:
    """Kill all processes of Dask."""
    for pid in _descendants(cluster.pids):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.timeout(300)
def test_daemons_at_one_scheduler_hear_only_their_own_pilots(tmp_path: Path, cluster: Cluster) -> None:
    cluster.workers()
    with _link(tmp_path / "one", cluster) as one, _link(tmp_path / "two", cluster) as two:
        heard = [_pilots_heard(link) for link in (one, two)]
        assert not heard[0] & heard[1]
        with _client(cluster) as client:
            topics = client.run_on_scheduler(lambda dask_scheduler: list(dask_scheduler.get_events()))
            assert sum(topic.startswith("cdsed") for topic in topics) == 1, "a scheduler never forgets one"


@pytest.mark.timeout(300)
def test_a_head_whose_connection_was_made_again_makes_a_new_link(tmp_path: Path, cluster: Cluster) -> None:
    cluster.workers()

    def cut(own: str, dask_scheduler: Any) -> None:
        for client, comm in dask_scheduler.client_comms.items():
            if client.startswith("Client-") and client != own:
                comm.abort()

    with _link(tmp_path / "scratch", cluster) as link, _client(cluster) as client:
        _pilots_heard(link)
        link.tend()
        client.run_on_scheduler(cut, client.id)
        wait_until("it knows", lambda: _is_lost(link), 60)


@contextlib.contextmanager
def _link(scratch: Path, cluster: Cluster) -> Iterator[DaskLink]:
    engine = EngineSettings(kind="dask", scheduler=cluster.address, tls_dir=cluster.tls_dir)
    link = DaskLink(engine, 1, scratch, PilotOrder("/the/same.yml", 0, 0.2, 30.0))
    with contextlib.closing(link):
        yield link


def _pilots_heard(link: DaskLink) -> set[str]:
    """Start its pilots; return the names of those that are heard, when there are two."""
    heard: set[str] = set()

    def both() -> bool:
        link.tend()
        heard.update(decode(line).pilot for line in link.receive(0.5))
        return len(heard) == 2

    wait_until("its two pilots are heard", both, 120)
    return heard


def _is_lost(link: DaskLink) -> bool:
    try:
        link.tend()
    except MachineError:
        return True
    return False


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
