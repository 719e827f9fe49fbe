"""``cdsed status`` with a million products: time against a bare Python that only starts, and memory."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from cdsed.clock import SYSTEM_CLOCK
from cdsed.store import products
from cdsed.store.database import open_state
from cdsed.store.products import ProductRequest
from tests.benchmarks.result import Result

_PRODUCTS = 1_000_000
_RUNS = 7
_WITH_SIZE = """
import sys
from cdsed.cli.main import main
main(["status"])
sys.stderr.write(open("/proc/self/status").read())
"""


def run() -> list[Result]:
    """Time ``cdsed status`` on a state of a million products, and ``python -c pass``, in turn."""
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder, "state")
        db = open_state(state)
        for first in range(0, _PRODUCTS, 50_000):
            with db.write():
                for number in range(first, first + 50_000):
                    products.add(db, SYSTEM_CLOCK, ProductRequest(f"S1A_TEST_{number:07d}.SAFE", "default", 0, None))
        db.close()
        config = Path(folder, "cdsed.yml")
        config.write_text(f"state_dir: {state}\n", encoding="utf-8")
        environ = {**os.environ, "CDSED_CONFIG": str(config)}
        ours, bare = [], []
        used_bytes = _peak_bytes(environ)
        for _ in range(_RUNS):
            ours.append(_time_s([sys.executable, "-m", "cdsed", "status"], environ))
            bare.append(_time_s([sys.executable, "-c", "pass"], environ))
    print(f"cdsed status with {_PRODUCTS} products: {sorted(ours)[_RUNS // 2] * 1000:.0f} ms")
    ratio = sorted(ours)[_RUNS // 2] / sorted(bare)[_RUNS // 2]
    return [
        Result("status with a million products: time / python -c pass", ratio, at_most=12),
        Result("status with a million products: memory / 60 MB", used_bytes / 60e6, at_most=1),
    ]


def _peak_bytes(environ: dict[str, str]) -> int:
    """Return the largest resident size of the command; wait4(2) would count this process before its exec."""
    run = subprocess.run([sys.executable, "-c", _WITH_SIZE], env=environ, capture_output=True, text=True, check=True)
    [line] = [line for line in run.stderr.split("\n") if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


def _time_s(command: list[str], environ: dict[str, str]) -> float:
    begun_s = time.monotonic()
    subprocess.run(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return time.monotonic() - begun_s
