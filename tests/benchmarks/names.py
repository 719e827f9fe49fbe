"""What it takes to resolve 10 000 names: requests to the catalogue, and time, against cdsodatacli.

Both ask one sandbox. The peer's bulk look-up (``get-metadata-from-product-names``) asks for 15 names at once and
is pointed there through its module's ``ODATA_URL``. Its other look-up, ``add_missing_cdse_hash_ids_in_listing``,
asks for one name at a time, and fails as soon as there are two: it compares an array of names with a word.
"""

import json
import statistics
import tempfile
import threading
import time
from pathlib import Path
from urllib.request import urlopen

from cdsed.catalogue.names import look_up
from cdsed.catalogue.odata_client import ODataClient
from cdsed.catalogue.rate_limiter import RateLimiter
from cdsed.clock import SYSTEM_CLOCK
from tests.benchmarks.peer import Peer, interpreter
from tests.benchmarks.result import Result
from tests.support.sandbox import SandboxProcess

_NAMES = 10_000
_RUNS = 3
_REQUESTS_PER_S = 30.0  # the rate to which the peer holds itself
_PEER = """
from pathlib import Path
from cdsodatacli import get_products_metadata as bulk

bulk.ODATA_URL = sys.argv[1] + "/Products"
names = Path(sys.argv[2]).read_text().split()

def once():
    table, _statistics = bulk.fetch_all_batches(bulk.create_urls_from_safe_names(names))
    return len(bulk.post_process_data(table))
"""


def run() -> list[Result]:
    """Resolve 10 000 names three times, in turn with the peer's bulk look-up."""
    with tempfile.TemporaryDirectory() as folder, SandboxProcess() as sandbox:
        sandbox.generate(_NAMES, seed=7)
        names = _names(sandbox)
        listing = Path(folder, "names.txt")
        listing.write_text("\n".join(names), encoding="utf-8")
        python = interpreter()
        if python is None:
            ours_s, ours = _ours(sandbox, names)
            print(f"{_NAMES} names resolved: {ours} requests, {ours_s:.1f} s")
            return [Result(f"{_NAMES} names: requests", ours, at_most=29)]
        with Peer(python, _PEER, sandbox.catalogue_url, str(listing)) as peer:
            runs = [(*_ours(sandbox, names), *_theirs(sandbox, peer)) for _ in range(_RUNS)]
    ours_s, ours, peer_s, theirs = (statistics.median(column) for column in zip(*runs, strict=True))
    print(f"{_NAMES} names resolved: {ours:.0f} requests, {ours_s:.1f} s; cdsodatacli {theirs:.0f}, {peer_s:.1f} s")
    return [
        Result(f"{_NAMES} names: requests", ours, at_most=29),
        Result(f"{_NAMES} names: requests / cdsodatacli", ours / theirs),
        Result(f"{_NAMES} names: time / cdsodatacli, each at {_REQUESTS_PER_S:.0f} requests/s", ours_s / peer_s),
    ]


def _names(sandbox: SandboxProcess) -> list[str]:
    names: list[str] = []
    for skip in range(0, _NAMES, 1000):
        with urlopen(f"{sandbox.catalogue_url}/Products?$top=1000&$skip={skip}&$orderby=Id") as response:
            names += [row["Name"] for row in json.load(response)["value"]]
    return names


def _ours(sandbox: SandboxProcess, names: list[str]) -> tuple[float, int]:
    """Return seconds and requests of one look-up by a fresh process."""
    sandbox.reset_counters()
    rate_limiter, stop = RateLimiter(_REQUESTS_PER_S, SYSTEM_CLOCK), threading.Event()
    begun_s = time.perf_counter()
    with ODataClient(
        sandbox.catalogue_url, rate_limiter=rate_limiter, timeout_s=30, clock=SYSTEM_CLOCK, stop=stop
    ) as service:
        assert len(look_up(names, service).found) == len(names)
    return time.perf_counter() - begun_s, sandbox.counters()["odata_requests"]


def _theirs(sandbox: SandboxProcess, peer: Peer) -> tuple[float, int]:
    sandbox.reset_counters()
    run = peer.once()
    assert run.response == _NAMES, f"cdsodatacli found {run.response} of {_NAMES} names"
    return run.seconds, sandbox.counters()["odata_requests"]
