"""A worker that grows without bound is replaced before it hurts the machine; one the kernel kills is started again."""

import re
from pathlib import Path

from cdsed.sandbox.names import realistic_safenames
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.opening import when_opening
from tests.support.sandbox import SandboxProcess

# One process, once, grows by 400 MB when it opens a file of a product.
_LEAK = """
leaked = []

def opening(path, flags):
    if "/.cdsed/S1" in path and path.endswith(".nc"):
        try:
            os.mkdir("{once}")
        except FileExistsError:
            return
        leaked.append(bytearray(b"x") * 400_000_000)
"""


def test_a_worker_that_has_grown_too_large_is_replaced_uncharged(tmp_path: Path) -> None:
    leak = _LEAK.format(once=tmp_path / "once")
    names = realistic_safenames("S1_OCN", 6, seed=381)
    with SandboxProcess() as sandbox:
        lab = Installation(tmp_path / "lab", sandbox, process={"rss_max_bytes": "300MB"}, transfer={"processes": 1})
        sandbox.add_products(*({"safename": name, "size_bytes": 300_000} for name in names))
        lab.drop("first.txt", names[:1])
        with DaemonProcess(lab, environ=when_opening(tmp_path / "hook", leak)) as daemon:
            wait_until("it is replaced", lambda: "a new process takes over" in daemon.log(), daemon=daemon)
            wait_until(
                "it left in order", lambda: re.search(r"download-1 .* exited with 0", daemon.log()), daemon=daemon
            )
            lab.drop("rest.txt", names[1:])
            wait_until("the rest", lambda: lab.report("rest.txt"), daemon=daemon)
            wait_until("the first", lambda: lab.report("first.txt"), daemon=daemon)
        assert lab.differences(names) == []
        assert lab.query("SELECT sum(deaths) AS deaths, sum(attempts) AS attempts FROM product") == [
            {"deaths": 0, "attempts": 0}
        ]
