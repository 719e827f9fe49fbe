"""Holders in workers of Dask on this machine against the daemon's own sessions: 8 of each, one server, in turn."""

from tests.benchmarks.clients import CLUSTER, DAEMON, Task
from tests.benchmarks.contest import in_turn, show
from tests.benchmarks.data_sets import served
from tests.benchmarks.environment import BUILD, peers_bin
from tests.benchmarks.result import Form, Result, spread
from tests.benchmarks.servers import rclone_served

_RATE_MIN = 0.9


def run(form: Form) -> list[Result]:
    """Fetch each data set (short: two of them) in both ways; a ratio is that of two runs of one turn."""
    bin_dir = peers_bin()
    if bin_dir is None:
        return []
    results: list[Result] = []
    for name in ("OCN", "TINY") if form.short else ("OCN", "GRD", "SLC", "TINY", "MIX"):
        folder, paths, truths = served(name)
        with rclone_served(bin_dir, folder) as url:
            task = Task(url, bin_dir, paths, BUILD / "run")
            costs = in_turn(name, task, truths, (DAEMON, CLUSTER), form.times(5, 3))
        show(name, costs)
        pairs = list(zip(costs[DAEMON], costs[CLUSTER], strict=True))
        what = f"{name}: {CLUSTER}"
        rates = [ours.wall_s / cluster.wall_s for ours, cluster in pairs]
        results.append(spread(f"{what}: rate / the daemon's own sessions", rates, at_least=_RATE_MIN))
        results.append(spread(f"{what}: CPU / the daemon's own sessions", [b.cpu_s / a.cpu_s for a, b in pairs]))
    return results
