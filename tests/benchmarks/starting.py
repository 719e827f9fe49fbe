"""Start and stop with nothing to do, and the time from a listing in the inbox to the first request for a byte."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from cdsed.sandbox.accounts import make_accounts
from cdsed.sandbox.names import realistic_safenames
from tests.benchmarks.environment import BUILD
from tests.benchmarks.lab import BenchLab, RunningDaemon, services
from tests.benchmarks.result import Form, Result, spread
from tests.benchmarks.servers import ACCOUNTS
from tests.support.sandbox import SandboxProcess


def start_stop(form: Form) -> list[Result]:
    """Run ``cdsed run --once`` with a listing without products; the server is not asked."""
    costs = []
    for _ in range(form.times(9, 3)):
        with tempfile.TemporaryDirectory(dir=BUILD) as folder:
            lab = BenchLab(Path(folder, "lab"), services("http://127.0.0.1:9"), ACCOUNTS)
            costs.append(lab.once(["# nothing"]))
    return [
        spread("start and stop with an empty listing", [cost.wall_s for cost in costs], "s", at_most=0.5),
        spread("start and stop with an empty listing, CPU", [cost.cpu_s for cost in costs], "s", at_most=0.7),
    ]


def inbox_latency(form: Form) -> list[Result]:
    """Move listings of one product into a daemon's inbox; the sandbox notes when the first byte is asked for."""
    names = realistic_safenames("S1_OCN", form.times(12, 4), seed=4)
    with tempfile.TemporaryDirectory(dir=BUILD) as folder, SandboxProcess(make_accounts(2, seed=1)) as sandbox:
        lab = BenchLab(Path(folder, "lab"), sandbox.services, sandbox.accounts)
        sandbox.add_products(*({"safename": name, "size_bytes": 1_000_000} for name in names))
        with RunningDaemon(lab) as daemon:
            waits = list(_waits(daemon, sandbox, names))
    listed, first = [wait[0] for wait in waits], [wait[1] for wait in waits]
    print(f"moved into the inbox -> first request of the list: {median(listed):.3f} s")
    return [spread("moved into the inbox -> first request for a byte", first, "s", at_most=0.25)]


def _waits(daemon: RunningDaemon, sandbox: SandboxProcess, names: list[str]) -> Iterator[tuple[float, float]]:
    """Yield for each name the seconds until its first list, and until the first GET of an object."""
    for number, name in enumerate(names):
        sandbox.reset_counters()
        listing = f"one-{number}.txt"
        moved_s = daemon.lab.drop([name], listing)
        daemon.until("the report", daemon.lab.report_of(listing).exists, 60)
        requests = sandbox.requests()
        listed_s = [request["boot_s"] for request in requests if request["operation"] == "list"]
        got_s = [request["boot_s"] for request in requests if request["operation"] == "get"]
        yield min(listed_s) - moved_s, min(got_s) - moved_s
        time.sleep(0.5)
