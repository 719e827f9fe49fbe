"""The comparison at a server without the habits of rclone's: the sandbox, without quotas.

It has ETags of uploads in parts, so that cdsed fetches large objects in pieces, and it counts the requests.
"""

from collections import defaultdict
from dataclasses import replace
from statistics import median

from tests.benchmarks.clients import DAEMON, ONCE, RCLONE, S5CMD, Task
from tests.benchmarks.contest import in_turn, ratios, show
from tests.benchmarks.data_sets import OCN, SLC, Truths
from tests.benchmarks.environment import BUILD, peers_bin
from tests.benchmarks.result import Form, Result
from tests.benchmarks.servers import ACCOUNTS
from tests.support.sandbox import SandboxProcess

_CLIENTS = (DAEMON, ONCE, RCLONE, S5CMD)


def run(form: Form) -> list[Result]:
    """Fetch OCN and SLC from the sandbox with cdsed, rclone and s5cmd."""
    bin_dir = peers_bin()
    if bin_dir is None:
        return []
    results: list[Result] = []
    for data_set in (OCN, SLC):
        name = f"{data_set.name} from the sandbox"
        accounts = [replace(account, sessions=64, requests_per_minute=None) for account in ACCOUNTS]
        accounts = [replace(account, bandwidth_bytes_per_s=None) for account in accounts]
        with SandboxProcess(accounts) as sandbox:
            names = data_set.safenames()
            paths = sandbox.add_products(*({"safename": each, "size_bytes": data_set.size_bytes} for each in names))
            files = {f"{each}/{path}": file for each in names for path, file in sandbox.truth(each).items()}
            truths = Truths({path: (file.size_bytes, file.md5) for path, file in files.items()})
            requests: dict[str, list[int]] = defaultdict(list)

            def count(client: str, sandbox: SandboxProcess = sandbox, counts: dict[str, list[int]] = requests) -> None:
                counts[client].append(sum(each["requests"] for each in sandbox.counters()["accounts"].values()))
                sandbox.reset_counters()

            keys = [path.removeprefix("/eodata/") for path in paths.values()]
            task = Task(sandbox.url, bin_dir, keys, BUILD / "run")
            sandbox.reset_counters()
            costs = in_turn(name, task, truths, _CLIENTS, form.times(3, 1), count)
        show(name, costs)
        results += ratios(name, costs)
        results += [
            Result(f"{name}: {client}, requests for {len(files)} objects", median(counted))
            for client, counted in requests.items()
        ]
    return results
