"""One large product alone must use all the sessions of its group: 2 accounts x 4 x 20 MB/s.

The measure is bytes over time, from the first byte asked for to the last one, and to the publication, as a share
of what eight bare connections can carry when the service gives each 20 MB/s.
"""

import tempfile
import time
from pathlib import Path

from cdsed.sandbox.accounts import make_accounts
from cdsed.sandbox.names import realistic_safenames
from tests.benchmarks.result import Result
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.sandbox import SandboxProcess

_SIZE_BYTES = 4_000_000_000
_CEILING_BYTES_PER_S = 2 * 4 * 20_000_000


def run() -> list[Result]:
    """Fetch one 4 GB SLC with the default settings."""
    [name] = realistic_safenames("S1_SLC", 1, seed=1)
    with (
        tempfile.TemporaryDirectory() as folder,
        SandboxProcess(make_accounts(2, seed=1, bandwidth_bytes_per_s=20_000_000)) as sandbox,
    ):
        lab = Installation(Path(folder), sandbox, transfer={"checkpoint_every_s": 2, "session_cooldown_s": 2})
        sandbox.add_products({"safename": name, "size_bytes": _SIZE_BYTES})
        sandbox.truth(name)  # the sandbox computes its digests before the clock starts
        with DaemonProcess(lab) as daemon:
            wait_until("the daemon is up", lambda: len(daemon.worker_pids()) == 4 and "resolve" in daemon.log())
            time.sleep(2)
            lab.drop("one.txt", [name])
            wait_until("it begins", lambda: _sent(sandbox), daemon=daemon)
            begun_s = time.monotonic()
            wait_until("all is sent", lambda: _sent(sandbox) >= _SIZE_BYTES, 120, daemon=daemon)
            sent_s = time.monotonic() - begun_s
            wait_until("it is published", lambda: (lab.spool / name).exists(), 120, daemon=daemon)
            published_s = time.monotonic() - begun_s
    ideal_s = _SIZE_BYTES / _CEILING_BYTES_PER_S
    return [
        Result("large product: transfer rate / 160 MB/s", ideal_s / sent_s, at_least=0.9),
        Result("large product: until verified and published / 160 MB/s", ideal_s / published_s, at_least=0.9),
    ]


def _sent(sandbox: SandboxProcess) -> int:
    return sum(count["bytes_sent"] for count in sandbox.counters()["keys"].values())
