"""What the head and Dask's scheduler cost with many sessions at work on other machines: their holders sleep.

Daemon, scheduler, workers, pilots and messages are real. Each holder gets about 10 s of work at a time, says how far
it is as often as its task asks for, and renews its grant every 10 s.
"""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median, quantiles

from cdsed.config.engine_settings import CERTIFICATE_NAME, KEY_NAME
from cdsed.engine.certificates import make_certificate
from cdsed.sandbox.accounts import SandboxAccount
from cdsed.sandbox.names import realistic_safenames
from tests.benchmarks.environment import BUILD, PROGRAMS
from tests.benchmarks.lab import ENVIRON, BenchLab, RunningDaemon, services
from tests.benchmarks.processes import cpu_s
from tests.benchmarks.result import Form, Result

_WORKERS, _HOLDERS = 8, 50
_SESSIONS = _WORKERS * _HOLDERS
_SESSIONS_OF_EACH = 4
_PRODUCTS = 1_500
_SETTLED_S = 15
_WITHIN_S = 300
_HANDED_OUT_MS_MAX = 100
# As in the units cdsed-scheduler.service and cdsed-worker.service.
_UNITS_ENVIRON = {
    "DASK_DISTRIBUTED__ADMIN__TICK__INTERVAL": "1s",
    "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False",
}
#: Sessions that are at work now.
_BUSY = "SELECT count(*) AS sessions FROM session WHERE product IS NOT NULL"


def run(form: Form) -> list[Result]:
    """Keep 400 sessions at work for a minute (short: 20 s)."""
    root, measured_s = BUILD / "many-sessions", 20.0 if form.short else 60.0
    shutil.rmtree(root, ignore_errors=True)
    (root / "tasks").mkdir(parents=True)
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, root)
        address, scheduler = stack.enter_context(_cluster(root))
        lab = _lab(root, address)
        daemon = stack.enter_context(RunningDaemon(lab, workers=3))
        daemon.until("all pilots run", lambda: len(list((root / "tasks").iterdir())) == _WORKERS, _WITHIN_S)
        daemon.until_it_waits()
        lab.drop(realistic_safenames("S1_GRD", _PRODUCTS, seed=21))
        daemon.until("all work", lambda: lab.query(_BUSY)[0]["sessions"] >= 0.98 * _SESSIONS, _WITHIN_S)
        time.sleep(_SETTLED_S)
        begun_s, used = time.monotonic(), (daemon.cpu_s(), cpu_s(scheduler))
        time.sleep(measured_s)
        taken_s = time.monotonic() - begun_s
        head_cpu, scheduler_cpu = (
            (now - before) / taken_s for now, before in zip((daemon.cpu_s(), cpu_s(scheduler)), used, strict=True)
        )
        sessions = lab.query(_BUSY)[0]["sessions"]
        waited_ms = _waited_ms(root / "tasks", begun_s, begun_s + taken_s)
    assert sessions >= 0.95 * _SESSIONS, f"only {sessions} sessions were at work at the end"
    what = f"{_SESSIONS} sessions on other machines"
    return [
        Result(f"{what}: CPU of daemon and scheduler", head_cpu + scheduler_cpu, at_most=1, unit="cores"),
        Result(f"{what}: CPU of the scheduler", scheduler_cpu, unit="cores"),
        Result(f"{what}: tasks", len(waited_ms) / taken_s, unit="tasks/s"),
        Result(f"{what}: idle until the next task, median", median(waited_ms), unit="ms"),
        Result(
            f"{what}: idle until the next task, 99th percentile",
            quantiles(waited_ms, n=100)[98],
            at_most=_HANDED_OUT_MS_MAX,
            unit="ms",
        ),
    ]


def _lab(root: Path, address: str) -> BenchLab:
    run = os.getpid()  # sessions of a run that was killed are kept for minutes
    accounts = [
        SandboxAccount(f"bench-{run}-{number}", f"BENCHACCESSKEY{number:06}", f"a-secret-of-a-bench-{number}")
        for number in range(_SESSIONS // _SESSIONS_OF_EACH)
    ]
    engine = {"kind": "dask", "holders_per_worker": _HOLDERS, "scheduler": address, "tls_dir": str(root / "tls")}
    return BenchLab(root / "lab", services("http://127.0.0.1:9"), accounts, requests_per_minute=2000, engine=engine)


@contextlib.contextmanager
def _cluster(root: Path) -> Iterator[tuple[str, int]]:
    """Run a scheduler and workers with simulated holders; give its address and its process."""
    make_certificate(root / "tls")
    certificate = str(root / "tls" / CERTIFICATE_NAME)
    tls = ["--tls-ca-file", certificate, "--tls-cert", certificate, "--tls-key", str(root / "tls" / KEY_NAME)]
    with contextlib.ExitStack() as stack:

        def begin(name: str, *words: str) -> "subprocess.Popen[bytes]":
            command = [sys.executable, "-m", "distributed.cli.dask_" + name, "--no-dashboard", *tls, *words]
            with (root / f"{name}.log").open("ab") as log:
                environ = {**ENVIRON, **_UNITS_ENVIRON, "CDSED_BENCH_DIR": str(root / "tasks")}
                process = subprocess.Popen(
                    command, env=environ, cwd=root, stdin=subprocess.DEVNULL, stdout=log, stderr=log
                )
            stack.callback(process.wait)
            stack.callback(process.terminate)
            return process

        scheduler = begin("scheduler", "--protocol", "tls", "--host", "127.0.0.1", "--port", "0")
        until_s = time.monotonic() + _WITHIN_S
        while not (found := re.search(r"tls://127\.0\.0\.1:\d+", (root / "scheduler.log").read_text(encoding="utf-8"))):
            assert time.monotonic() < until_s, "the scheduler does not begin"
            time.sleep(0.1)
        for _ in range(_WORKERS):
            holders = str(PROGRAMS / "simulated_holders.py")
            begin("worker", found[0], "--nthreads", "1", "--no-nanny", "--preload", holders)
        yield found[0], scheduler.pid


def _waited_ms(tasks: Path, begun_s: float, ended_s: float) -> list[float]:
    """Return how long holders were idle before each task that they got in this time."""
    waited = []
    for file in tasks.iterdir():
        for line in file.read_text(encoding="ascii").splitlines():
            at_s, idle_s, _what = line.split()
            if begun_s <= float(at_s) <= ended_s:
                waited.append(1000 * float(idle_s))
    return waited
