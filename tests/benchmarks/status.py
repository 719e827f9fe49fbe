"""``cdsed status``, ``/metrics`` and the status of the API with a million products: times, and peak memory.

``python -m tests.benchmarks.status 10000000`` does it with another number of products.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import requests

from cdsed.clock import SYSTEM_CLOCK
from cdsed.process.lock import LOCK_NAME, DaemonLock
from cdsed.web.state_reader import StateReader
from tests.benchmarks.result import Result
from tests.support.page_lab import make_million, make_state, page

_PRODUCTS = 1_000_000
_RUNS = 7
_SCRAPE_S = 0.2
_STATUS_MS = 150
_WITH_SIZE = """
import sys
from cdsed.cli.main import main
main(["status"])
sys.stderr.write(open("/proc/self/status").read())
"""


@dataclass(frozen=True)
class StatusCost:
    """Seconds of ``cdsed status`` and of a Python that does nothing, medians; and the peak memory of the former."""

    ours_s: float
    bare_s: float
    peak_bytes: int


def of_state(environ: dict[str, str]) -> StatusCost:
    """Measure ``cdsed status`` of the state that an environment leads to."""
    peak_bytes = _peak_bytes(environ)
    commands = [[sys.executable, "-m", "cdsed", "status"], [sys.executable, "-c", "pass"]]
    ours_s, bare_s = _medians([lambda command=each: _call(command, environ) for each in commands])
    return StatusCost(ours_s, bare_s, peak_bytes)


def run(products: int = _PRODUCTS) -> list[Result]:
    """Time ``cdsed status`` and ``python -c pass`` in turn while a daemon seems to run, and two pages of a server."""
    with tempfile.TemporaryDirectory() as folder:
        settings = make_state(Path(folder))
        make_million(settings, products)
        config = Path(folder, "cdsed.yml")
        config.write_text(f"state_dir: {settings.state_dir}\n", encoding="utf-8")
        environ = {**os.environ, "CDSED_CONFIG": str(config)}
        environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed cdsed is compiled
        with DaemonLock(settings.state_dir / LOCK_NAME):
            cost = of_state(environ)
            with page(settings, StateReader(settings.state_dir, SYSTEM_CLOCK), None) as url:
                metrics_s, api_s = _medians([lambda url=url + each: _get(url) for each in ("metrics", "api/v1/status")])
    for what, seconds in (("cdsed status", cost.ours_s), ("/metrics", metrics_s), ("/api/v1/status", api_s)):
        print(f"{what} with {products} products: {seconds * 1000:.0f} ms")
    print(f"peak memory of cdsed status: {cost.peak_bytes / 1e6:.0f} MB")
    return [
        Result(f"status with {products} products", cost.ours_s * 1000, at_most=_STATUS_MS, unit="ms"),
        Result(f"status with {products} products: time / python -c pass", cost.ours_s / cost.bare_s, at_most=12),
        Result(f"status with {products} products: memory / 60 MB", cost.peak_bytes / 60e6, at_most=1),
        Result(f"metrics with {products} products: time / 200 ms", metrics_s / _SCRAPE_S, at_most=1),
        Result(f"status of the API with {products} products: time / 200 ms", api_s / _SCRAPE_S, at_most=1),
    ]


def _peak_bytes(environ: dict[str, str]) -> int:
    """Return the largest resident size of the command; wait4(2) would count this process before its exec."""
    run = subprocess.run([sys.executable, "-c", _WITH_SIZE], env=environ, capture_output=True, text=True, check=True)
    [line] = [line for line in run.stderr.split("\n") if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


def _medians(actions: list[Callable[[], None]]) -> list[float]:
    """Return the median seconds of each action; they take turns, so that all meet the same load."""
    seconds: list[list[float]] = [[] for _ in actions]
    for _ in range(_RUNS):
        for action, own in zip(actions, seconds, strict=True):
            begun_s = time.monotonic()
            action()
            own.append(time.monotonic() - begun_s)
    return [sorted(own)[_RUNS // 2] for own in seconds]


def _call(command: list[str], environ: dict[str, str]) -> None:
    subprocess.run(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


def _get(url: str) -> None:
    requests.get(url, timeout=20).raise_for_status()


if __name__ == "__main__":
    for result in run(int(sys.argv[1]) if sys.argv[1:] else _PRODUCTS):
        print(f"{result.what}: {result.ratio:.3g}, goal {result.goal_text}, {result.verdict}")
