"""Bytes of a slow connection are noted as they arrive, so that a kill does not lose all of them."""

from dataclasses import replace
from pathlib import Path

from cdsed.sandbox.accounts import make_accounts
from cdsed.sandbox.names import realistic_safenames
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.sandbox import SandboxProcess

_ARRIVED = "SELECT 1 FROM piece WHERE done_bytes = size_bytes AND fence IS NULL"
_HELD = "SELECT 1 FROM piece WHERE fence IS NOT NULL"


def test_of_a_batch_of_small_objects_each_is_noted_before_the_last_arrives(tmp_path: Path) -> None:
    [name] = realistic_safenames("S1_GRD", 1, seed=3)
    [account] = make_accounts(1, seed=1, bandwidth_bytes_per_s=250_000)
    with SandboxProcess([replace(account, sessions=1)]) as sandbox:
        lab = Installation(tmp_path, sandbox)
        sandbox.add_products({"safename": name, "size_bytes": 2_000_000})
        lab.drop("one.txt", [name])
        with DaemonProcess(lab) as daemon:
            wait_until(
                "some of it is noted, and the rest is still held",
                lambda: lab.query(f"{_ARRIVED} AND EXISTS ({_HELD})"),
                daemon=daemon,
            )
            wait_until("it is reported", lambda: lab.report("one.txt"), daemon=daemon)
        assert lab.states("one.txt") == {name: "done"}
