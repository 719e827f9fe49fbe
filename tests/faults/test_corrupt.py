"""Bad copies: a transient corruption heals, two equal ones are the source's fault, and quarantine has a limit."""

import time
from pathlib import Path

from cdsed.sandbox.names import realistic_safenames
from cdsed.work.finish import QUARANTINED_MAX
from tests.support.daemon import Installation
from tests.support.sandbox import SandboxProcess


def test_corruption_on_the_way_heals_and_corruption_at_the_source_is_reported(tmp_path: Path) -> None:
    healed, lying = realistic_safenames("S1_OCN", 2, seed=83)
    with SandboxProcess() as sandbox:
        lab = Installation(tmp_path, sandbox, transfer={"processes": 1})
        sandbox.add_products(
            {"safename": healed, "size_bytes": 300_000},
            {"safename": lying, "size_bytes": 300_000, "manifest_lies": "measurement/*"},
        )
        sandbox.fault(kind="wrong_bytes", operation="get", key=f"*{healed}/*.nc", times=1)
        for age in range(QUARANTINED_MAX + 2):  # left by earlier ones
            (lab.spool / ".cdsed" / "quarantine" / f"OLD{age:02}.SAFE").mkdir(parents=True)
            time.sleep(0.02)  # file systems resolve times to some milliseconds
        lab.drop("two.txt", [healed, lying])
        lab.run_once(1)
        report = lab.report("two.txt")
        assert report is not None
        rows = {row["safename"]: row for row in report["products"]}
        assert (rows[healed]["state"], rows[healed]["attempts"]) == ("done", 0)
        assert lab.differences([healed]) == []
        place = lab.spool / ".cdsed" / "quarantine" / lying
        assert (rows[lying]["state"], rows[lying]["path"]) == ("corrupt", str(place))
        assert (place / "manifest.safe").is_file()
        shown = lab.command("status", lying).stdout
        assert "quarantine" in shown
        assert "two copies were alike" in " ".join(shown.split())
        kept = sorted(path.name for path in place.parent.iterdir())
        assert len(kept) == QUARANTINED_MAX
        assert "OLD02.SAFE" not in kept
        assert "OLD03.SAFE" in kept

        # The source is repaired: two new copies are asked for, and the first is good.
        sandbox.add_products({"safename": lying, "size_bytes": 300_000})
        assert lab.command("retry", "--corrupt").returncode == 0
        lab.run_once()
        assert lab.states("two.txt") == {healed: "done", lying: "done"}
        assert lab.differences([lying]) == []


def test_bytes_that_are_changed_on_the_way_again_and_again_cost_the_product_nothing(tmp_path: Path) -> None:
    names = realistic_safenames("S1_OCN", 3, seed=84)
    with SandboxProcess() as sandbox:
        lab = Installation(tmp_path, sandbox)
        sandbox.add_products(*({"safename": name, "size_bytes": 300_000} for name in names))
        sandbox.fault(kind="wrong_bytes", operation="get", key=f"*{names[0]}/*.nc", times=4)
        sandbox.fault(kind="wrong_bytes", operation="get", key=f"*{names[1]}/manifest.safe", times=2)
        lab.drop("three.txt", names)
        lab.run_once()
        assert lab.endings("three.txt") == [("done", 0)] * 3
        assert lab.differences(names) == []


def test_an_object_that_never_arrives_undamaged_comes_to_an_end(tmp_path: Path) -> None:
    damaged, well = realistic_safenames("S1_OCN", 2, seed=85)
    with SandboxProcess() as sandbox:
        lab = Installation(tmp_path, sandbox)
        sandbox.add_products(*({"safename": name, "size_bytes": 300_000} for name in (damaged, well)))
        sandbox.fault(kind="wrong_bytes", operation="get", key=f"*{damaged}/*.nc")
        lab.drop("two.txt", [damaged, well])
        lab.run_once(1)
        report = lab.report("two.txt")
        assert report is not None
        states = {row["safename"]: row["state"] for row in report["products"]}
        assert states == {damaged: "corrupt", well: "done"}
        assert sandbox.counters()["faults"]["wrong_bytes"] >= 6
