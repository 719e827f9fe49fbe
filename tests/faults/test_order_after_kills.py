"""Killed again and again while its disk is slow: the sessions bound what is begun, and the oldest end first."""

from pathlib import Path

from cdsed.sandbox.accounts import make_accounts
from cdsed.sandbox.names import realistic_safenames
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.opening import when_opening
from tests.support.sandbox import SandboxProcess

_KILLS, _LISTINGS, _PRODUCTS_OF_ONE = 12, 8, 20
_SESSIONS, _PROCESSES = 8, 2

# A product arrives much faster than it is verified.
_SLOW_DISK = """
import time

def opening(path, flags):
    if "/.cdsed/S1" in path and path.endswith("manifest.safe") and flags & os.O_ACCMODE == os.O_RDONLY:
        time.sleep(0.7)
"""

_BEGUN = "SELECT count(*) AS products FROM product WHERE state IN ('downloading', 'verifying')"
_DONE = "SELECT id FROM product WHERE state = 'done' ORDER BY id"


def test_twelve_kills_leave_no_more_begun_than_the_sessions_can_and_the_oldest_end_first(tmp_path: Path) -> None:
    names = realistic_safenames("S1_OCN", _LISTINGS * _PRODUCTS_OF_ONE, seed=14)
    # A session has one product, and the next one while it verifies. As many more wait, and each process verifies one.
    begun_max = 3 * _SESSIONS + _PROCESSES
    begun: list[int] = []
    with SandboxProcess(make_accounts(2, seed=1)) as sandbox:
        lab = Installation(tmp_path, sandbox, transfer={"processes": _PROCESSES})
        sandbox.add_products(*({"safename": name, "size_bytes": 200_000} for name in names))
        daemon = DaemonProcess(lab, environ=when_opening(tmp_path / "hook", _SLOW_DISK))
        with daemon:
            for number in range(_LISTINGS):
                first = number * _PRODUCTS_OF_ONE
                lab.drop(f"{number}.txt", names[first : first + _PRODUCTS_OF_ONE])
                wait_until("it is taken", lambda name=f"{number}.txt": lab.receipt(name), daemon=daemon)
            for _ in range(_KILLS):
                before = len(lab.query(_DONE))
                wait_until("more are done", lambda before=before: len(lab.query(_DONE)) > before, daemon=daemon)
                daemon.kill_all()
                begun += [row["products"] for row in lab.query(_BEGUN)]
                done = [row["id"] for row in lab.query(_DONE)]
                assert done[-1] - len(done) <= begun_max, "later ones were done before those"
                daemon.start()
            assert max(begun) <= begun_max, begun
            before = len(lab.query(_DONE))
            wait_until("it is at work", lambda: len(lab.query(_DONE)) > before, daemon=daemon)
            daemon.terminate()
            assert daemon.wait(20) == 0
            daemon.start()
            wait_until("the rest", lambda: lab.report(f"{_LISTINGS - 1}.txt"), 120, daemon=daemon)
            wait_until("all", lambda: all(lab.report(f"{number}.txt") for number in range(_LISTINGS)), daemon=daemon)
        assert {ending for number in range(_LISTINGS) for ending in lab.endings(f"{number}.txt")} == {("done", 0)}
        assert lab.differences(names) == []
