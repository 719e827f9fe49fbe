"""Processes are killed while they digest the large objects of a product that arrive side by side."""

import os
import signal
from pathlib import Path

from cdsed.sandbox.accounts import make_accounts
from cdsed.sandbox.names import realistic_safenames
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.sandbox import SandboxProcess

_KILLS = 3
_DIGESTED = """SELECT process.pid FROM object JOIN process ON process.id = object.process
    WHERE EXISTS (SELECT 1 FROM piece WHERE piece.object = object.id AND done_bytes < size_bytes)"""


def test_what_killed_processes_had_digested_is_digested_again(tmp_path: Path) -> None:
    [name] = realistic_safenames("S1_SLC", 1, seed=31)
    with SandboxProcess(make_accounts(1, seed=1, bandwidth_bytes_per_s=10_000_000)) as sandbox:
        lab = Installation(tmp_path, sandbox, transfer={"piece_bytes": 4 * 2**20})
        sandbox.add_products({"safename": name, "size_bytes": 400_000_000})
        sandbox.truth(name)  # its digests take a while; they are not part of the test
        killed: set[int] = set()
        with DaemonProcess(lab) as daemon:
            lab.drop("one.txt", [name])
            for _ in range(_KILLS):
                wait_until("another process digests", lambda: _digesting(lab) - killed, 60, daemon=daemon)
                victim = min(_digesting(lab) - killed)
                os.kill(victim, signal.SIGKILL)
                killed.add(victim)
            wait_until("it is reported", lambda: lab.report("one.txt"), 180, daemon=daemon)
        assert lab.differences([name]) == []
        assert lab.endings("one.txt") == [("done", 0)]


def _digesting(lab: Installation) -> set[int]:
    """Return the processes that digest what still arrives."""
    return {row["pid"] for row in lab.query(_DIGESTED)}
