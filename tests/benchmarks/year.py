"""What a year leaves: ten million products in five thousand listings, and how large and how quick the state is then."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from cdsed.process.lock import LOCK_NAME, DaemonLock
from cdsed.store.database import FILE_NAME
from tests.benchmarks import scale, status
from tests.benchmarks.environment import BUILD, PROGRAMS
from tests.benchmarks.lab import ENVIRON
from tests.benchmarks.result import Form, Result

_PRODUCTS, _LISTINGS = 10_000_000, 5_000
_SHORT_PRODUCTS, _SHORT_LISTINGS = 100_000, 50
_STATUS_MS = 400
#: What docs/state.md promises: a product that goes well, and its line of a listing.
_PRODUCT_BYTES, _LINE_BYTES = 1000, 25
_BACKUPS, _HOURS_OF_VOLUME, _ACCOUNTS = 7, 30 * 24 + 2, 2


def run(form: Form) -> list[Result]:
    """Make the state of a year (short: of a hundredth), and ask it for its status and for work."""
    count, listings = (_SHORT_PRODUCTS, _SHORT_LISTINGS) if form.short else (_PRODUCTS, _LISTINGS)
    with tempfile.TemporaryDirectory(dir=BUILD) as folder:
        state, config = Path(folder, "state"), Path(folder, "cdsed.yml")
        config.write_text(f"state_dir: {state}\n", encoding="utf-8")
        command = [sys.executable, str(PROGRAMS / "year.py"), str(state), str(count), str(listings)]
        done = subprocess.run(command, env=ENVIRON, stdout=subprocess.PIPE, text=True, check=True)
        found = json.loads(done.stdout)
        size_bytes = (state / FILE_NAME).stat().st_size
        with DaemonLock(state / LOCK_NAME):
            seen = status.of_state({**ENVIRON, "CDSED_CONFIG": str(config)})
        taken_ms = scale.claim_alone(state)
    assert found["backups"] == _BACKUPS, "old backups are deleted"
    assert found["hours_of_traffic"] <= _HOURS_OF_VOLUME * _ACCOUNTS, "old traffic is forgotten"
    what = f"a year of {count:,} products"
    return [
        Result(f"{what}: state", size_bytes / count, at_most=_PRODUCT_BYTES + _LINE_BYTES, unit="bytes/product"),
        Result(f"{what}: status", seen.ours_s * 1000, at_most=_STATUS_MS, unit="ms"),
        Result(f"{what}: memory of status", seen.peak_bytes / 1e6, at_most=60, unit="MB"),
        Result(f"{what}: a claim", taken_ms, unit="ms"),
        Result(f"{what}: check of the whole state", found["looked_s"], unit="s"),
        Result(f"{what}: memory of the process that lived it", found["peak_bytes"] / 1e6, at_most=60, unit="MB"),
        Result(f"{what}: made in", found["made_s"], unit="s"),
    ]
