"""A year of one installation in scaled time: `make soak-machine`.

``CDSED_YEAR_MINUTES`` is how long it takes, 60 at most for all of its 5 000 listings, 5 for the short form.
``CDSED_YEAR_PRODUCTS`` is how many products the state has before: a million, and 100 000 in a short form.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.soak.year.year_clock import environ_of_year, why_not

_REPOSITORY = Path(__file__).parents[3]
_MINUTES_OF_ALL = 60
_NOW = "import time; print(time.time(), time.clock_gettime(time.CLOCK_BOOTTIME), time.monotonic())"
_STEP = """
import subprocess, sys, threading, time
from tests.soak.year.year_clock import YearClock
before = [time.time(), time.clock_gettime(time.CLOCK_BOOTTIME), time.monotonic()]
YearClock().pass_s(1_000_000)
threading.Event().wait(0.1)
now = [float(each) for each in subprocess.check_output([sys.executable, "-c", sys.argv[1]]).split()]
print(*(round(after - earlier, -2) for earlier, after in zip(before, now)))
"""

pytestmark = pytest.mark.skipif(bool(why_not()), reason=f"no time can be scaled here: {why_not()}")


def test_a_step_of_the_clock_reaches_all_processes_and_no_wait(tmp_path):
    command = [sys.executable, "-c", _STEP, _NOW]
    passed = subprocess.check_output(command, env=environ_of_year(tmp_path), cwd=_REPOSITORY, text=True)
    assert passed == "1000000.0 1000000.0 0.0\n"


@pytest.mark.soak
def test_a_year_loses_doubles_and_piles_up_nothing(tmp_path):
    minutes = float(os.environ.get("CDSED_YEAR_MINUTES") or _MINUTES_OF_ALL)
    usual = 1_000_000 if minutes >= _MINUTES_OF_ALL else 100_000
    products = int(os.environ.get("CDSED_YEAR_PRODUCTS") or usual)
    print(f"\na year in {minutes:g} minutes, with {products} products before", flush=True)
    command = [sys.executable, "-m", "tests.soak.year.life", str(minutes), str(products), str(tmp_path)]
    lines, environ, out = [], environ_of_year(tmp_path), subprocess.PIPE
    with subprocess.Popen(
        command, env=environ, cwd=_REPOSITORY, stdout=out, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    (_REPOSITORY / "build" / "soak-year.txt").write_text("".join(lines), encoding="utf-8")
    assert process.returncode == 0, "".join(lines)
