"""cdsed against the programs of others: one data set, one server, all clients in turn in a shuffled order.

Memory is touched before each run, because the first use of memory by a virtual machine costs time. A ratio is that of
two runs of one repeat. Each run is checked: all files with their sizes, and the bytes of some.
"""

import shutil
from collections.abc import Callable, Iterable, Sequence
from random import Random
from statistics import median

from tests.benchmarks.clients import CDSODATACLI, CLIENTS, CLUSTER, DAEMON, ONCE, RCLONE, S5CMD, Task
from tests.benchmarks.data_sets import Truths, served
from tests.benchmarks.environment import BUILD, peers_bin
from tests.benchmarks.processes import Cost, touch_memory
from tests.benchmarks.record import note_run
from tests.benchmarks.result import Form, Result, spread
from tests.benchmarks.servers import rclone_served

#: The goals of wall times: ours, the peer, and the highest ratio by data set.
GOALS = {
    (DAEMON, RCLONE): {"OCN": 1.0, "GRD": 1.0, "SLC": 1.0, "MIX": 1.0},
    (ONCE, RCLONE): {"OCN": 1.6, "GRD": 1.1, "SLC": 1.1, "MIX": 1.1},
    (DAEMON, S5CMD): {"OCN": 1.5, "GRD": 1.5, "SLC": 1.5},
    (ONCE, CDSODATACLI): {"OCN": 0.3, "GRD": 0.45, "SLC": 0.5},
}
_ALL = tuple(client for client in CLIENTS if client != CLUSTER)
_FEW = (DAEMON, ONCE, RCLONE, S5CMD)

Costs = dict[str, list[Cost]]


def contest(name: str) -> Callable[[Form], list[Result]]:
    """Return the benchmark of one data set."""

    def run(form: Form) -> list[Result]:
        bin_dir = peers_bin()
        if bin_dir is None:
            return []
        folder, paths, truths = served(name)
        clients = _FEW if form.short or name in {"TINY", "MIX"} else _ALL
        with rclone_served(bin_dir, folder) as url:
            task = Task(url, bin_dir, paths, BUILD / "run")
            costs = in_turn(name, task, truths, clients, form.times(5, 3))
        show(name, costs)
        return list(ratios(name, costs))

    return run


def in_turn(
    name: str,
    task: Task,
    truths: Truths,
    clients: Sequence[str],
    repeats: int,
    done: Callable[[str], object] = lambda _client: None,
) -> Costs:
    """Run every client `repeats` times, each time in another order; check each run and delete what it fetched.

    `done` is called after each run with the name of the client.
    """
    costs: Costs = {client: [] for client in clients}
    for repeat in range(repeats):
        for client in Random(f"{name} {repeat}").sample(clients, len(clients)):
            touch_memory(BUILD)
            cost = CLIENTS[client](task)
            done(client)
            try:
                truths.check(task.out)
            except AssertionError as error:
                raise RuntimeError(f"{client} with {name}: {error}") from error
            shutil.rmtree(task.root)
            costs[client].append(cost)
            note_run("contest", name, client, repeat, cost)
    return costs


def ratios(name: str, costs: Costs) -> Iterable[Result]:
    """Yield the ratios of wall and CPU of ours to each peer."""
    for mine in (DAEMON, ONCE):
        for peer in [client for client in costs if client not in {DAEMON, ONCE}]:
            pairs = list(zip(costs[mine], costs[peer], strict=True))
            goal = GOALS.get((mine, peer), {}).get(name)
            yield spread(f"{name}: {mine} / {peer}", [our.wall_s / their.wall_s for our, their in pairs], at_most=goal)
            yield spread(f"{name}: {mine} / {peer}, CPU", [our.cpu_s / their.cpu_s for our, their in pairs])


def show(name: str, costs: Costs) -> None:
    """Print the median and the spread of each client."""
    print(f"\n{name:<26}{'wall s':>24}{'CPU s':>8}{'peak MB':>9}")
    for client, runs in sorted(costs.items(), key=lambda item: median(run.wall_s for run in item[1])):
        walls = [run.wall_s for run in runs]
        text = f"{median(walls):.2f} ({min(walls):.2f} to {max(walls):.2f})"
        memory_mb = max(run.peak_bytes for run in runs) / 1e6
        print(f"{client:<26}{text:>24}{median(run.cpu_s for run in runs):>8.2f}{memory_mb:>9.0f}", flush=True)
