"""A worker that grows without bound is replaced before it hurts the machine; one the kernel kills is started again."""

import os
import re
from pathlib import Path

from cdsed.sandbox.names import realistic_safenames
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.sandbox import SandboxProcess

_REPOSITORY = Path(__file__).parents[2]

# What Python imports when it starts: one process, once, grows by 400 MB when it opens a file of a product.
_LEAK = """
import os, sys

leaked = []

def leak(event, arguments):
    if event == "open" and "/.cdsed/S1" in str(arguments[0]) and arguments[0].endswith(".nc"):
        try:
            os.mkdir("{once}")
        except FileExistsError:
            return
        leaked.append(bytearray(b"x") * 400_000_000)

sys.addaudithook(leak)
"""


def test_a_worker_that_has_grown_too_large_is_replaced_and_nothing_pays_for_it(tmp_path: Path) -> None:
    hook = tmp_path / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(_LEAK.format(once=tmp_path / "once"), encoding="utf-8")
    names = realistic_safenames("S1_OCN", 6, seed=381)
    with SandboxProcess() as sandbox:
        lab = Installation(tmp_path / "lab", sandbox, process={"rss_max_bytes": "300MB"}, transfer={"processes": 1})
        sandbox.add_products(*({"safename": name, "size_bytes": 300_000} for name in names))
        lab.drop("first.txt", names[:1])
        with DaemonProcess(lab, environ={"PYTHONPATH": f"{hook}{os.pathsep}{_REPOSITORY}"}) as daemon:
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
