"""Answer pages to a GeoDataFrame without duplicates, against cdsodatacli, of the same bytes.

The pages are the sandbox's, of 1000 products with all their attributes. The second measure fetches one of them
over loopback, too, from a server of plain files: `fetch_one_url` takes any address.
"""

import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

from cdsed.catalogue.frame import frame_of, whole_frame
from cdsed.catalogue.json_body import parse_json
from cdsed.catalogue.odata_client import ODataClient
from cdsed.catalogue.rate_limiter import RateLimiter
from cdsed.clock import SYSTEM_CLOCK
from tests.benchmarks.peer import compare
from tests.benchmarks.result import Result
from tests.support.sandbox import SandboxProcess

_PAGES, _ROWS_PER_PAGE = 5, 1000
_PAGE = "Products?$top=1000&$skip={}&$orderby=Id&$count=True&$expand=Attributes"
_PEER_READS = """
from pathlib import Path
import pandas as pd
from cdsodatacli.query import multy_to_poly, process_data, remove_duplicates

def once():
    pages = [process_data(json.loads(file.read_bytes())) for file in sorted(Path(sys.argv[1]).iterdir())]
    return len(multy_to_poly(remove_duplicates(pd.concat(pages))))
"""
_PEER_FETCHES = """
from collections import defaultdict
from cdsodatacli.query import fetch_one_url, multy_to_poly, remove_duplicates

def once():
    _counters, page = fetch_one_url(sys.argv[1], defaultdict(int), "bench", None)
    return len(multy_to_poly(remove_duplicates(page)))
"""


def run() -> list[Result]:
    """Read 5000 rows from five files, then fetch and read one page of 1000."""
    with tempfile.TemporaryDirectory() as folder:
        files = _pages(Path(folder))
        reading = compare(lambda: _read(files), _PEER_READS, folder)
        with _served(Path(folder)) as url:
            rate_limiter, stop = RateLimiter(10_000, SYSTEM_CLOCK), threading.Event()
            with ODataClient(url, rate_limiter=rate_limiter, timeout_s=30, clock=SYSTEM_CLOCK, stop=stop) as service:
                fetching = compare(lambda: _fetch(service), _PEER_FETCHES, f"{url}/{files[0].name}", repeats=11)
    rows = _PAGES * _ROWS_PER_PAGE
    print(f"answer pages to GeoDataFrame: {reading.text(lambda seconds: f'{rows / seconds:,.0f} rows/s')}")
    print(f"a page of {_ROWS_PER_PAGE} products fetched: {fetching.text(lambda seconds: f'{seconds * 1000:.0f} ms')}")
    if reading.ratio is None or fetching.ratio is None:
        return []
    return [
        Result("answer pages to GeoDataFrame: time / cdsodatacli", reading.ratio, at_most=0.6),
        Result("one page fetched and read: time / cdsodatacli", fetching.ratio, at_most=0.85),
    ]


def _pages(folder: Path) -> list[Path]:
    files = [folder / f"page-{number}.json" for number in range(_PAGES)]
    with SandboxProcess() as sandbox:
        sandbox.generate(_PAGES * _ROWS_PER_PAGE, seed=5)
        for number, file in enumerate(files):
            with urlopen(f"{sandbox.catalogue_url}/{_PAGE.format(number * _ROWS_PER_PAGE)}") as response:
                file.write_bytes(response.read())
    return files


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    """Serve the files by a process that does nothing but that; give its address."""
    command = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8") as server:
        assert server.stdout
        port = server.stdout.readline().partition(" port ")[2].split()[0]
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


def _read(files: list[Path]) -> None:
    frames = [frame_of(parse_json(file.read_bytes())["value"]) for file in files]
    assert len(whole_frame(frames)) == _PAGES * _ROWS_PER_PAGE


def _fetch(service: ODataClient) -> None:
    assert len(whole_frame([frame_of(service.get("page-0.json")["value"])])) == _ROWS_PER_PAGE
