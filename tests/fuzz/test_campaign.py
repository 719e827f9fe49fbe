"""The fuzz tests once more, for as long as you like: ``CDSED_FUZZ_MINUTES`` (10), ``CDSED_FUZZ_SEED``."""

import os
import secrets
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.fuzz.campaign import EXAMPLES

_EXAMPLES = 2000  # of each test in one round


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_a_campaign_finds_nothing() -> None:
    until = time.monotonic() + 60 * float(os.environ.get("CDSED_FUZZ_MINUTES", "10"))
    seed = int(os.environ.get("CDSED_FUZZ_SEED", secrets.randbelow(2**32)))
    rounds = 0
    while not rounds or time.monotonic() < until:
        print(f"fuzzing with CDSED_FUZZ_SEED={seed + rounds}", flush=True)
        command = [sys.executable, "-m", "pytest", "-q", "-x", f"--hypothesis-seed={seed + rounds}"]
        subprocess.run(
            [*command, "--override-ini", "timeout=0", str(Path(__file__).parent)],
            env={EXAMPLES: str(_EXAMPLES), **os.environ},
            check=True,
        )
        rounds += 1
