"""What was published although it differs from its manifest counts as whole everywhere, and half of it does not."""

import json
import shutil
from pathlib import Path

import pytest

import cdsed
from cdsed.local import file_record
from cdsed.sandbox.names import realistic_safenames
from tests.support.daemon import Installation
from tests.support.sandbox import SandboxProcess


def _judgements(lab: Installation, names: list[str]) -> dict[str, object]:
    """Return what each command says of products that are done."""
    missing = json.loads(lab.command("missing", str(lab.root / "names.txt"), "--json").stdout)
    checked = json.loads(lab.command("check", "--state", "--json").stdout)
    return {
        "absent": missing["absent"],
        "incomplete": sorted(each["subject"] for each in checked["violations"]),
        "not verified": [name for name in names if not cdsed.verify(lab.spool / name)],
    }


def test_a_product_that_passed_with_a_warning_is_whole_for_every_command(tmp_path: Path) -> None:
    lacking, lying = names = realistic_safenames("S1_OCN", 2, seed=71)
    with SandboxProcess() as sandbox:
        lab = Installation(tmp_path, sandbox, transfer={"manifest": "warn"})
        sandbox.add_products(
            {"safename": lacking, "size_bytes": 300_000, "missing_object": "measurement/*"},
            {"safename": lying, "size_bytes": 300_000, "manifest_lies": "measurement/*"},
        )
        (tmp_path / "names.txt").write_text("\n".join(names), encoding="utf-8")
        lab.drop("first.txt", names)
        lab.run_once()
        assert set(lab.states("first.txt").values()) == {"done"}
        assert _judgements(lab, names) == {"absent": [], "incomplete": [], "not verified": []}
        verdict = cdsed.verify(lab.spool / lying)
        assert "files agree with what was downloaded" in repr(verdict)
        assert "md5 is" in verdict.remarks[0]
        sandbox.reset_counters()
        lab.drop("again.txt", names)
        lab.run_once()
        assert set(lab.states("again.txt").values()) == {"done"}
        assert not [each for each in sandbox.requests() if each["key"].startswith("Sentinel-1/")]
        assert not (lab.spool / ".cdsed" / "replaced").exists()

        next((lab.spool / lacking).glob("annotation/*.xml"), lab.spool / lacking / "manifest.safe").unlink()
        shutil.rmtree(lab.spool / lying / "measurement")
        half = {"absent": names, "incomplete": sorted(names), "not verified": names}
        assert _judgements(lab, names) == half


@pytest.mark.parametrize("folder", [True, False])
def test_a_single_file_in_a_folder_of_its_name_is_published_as_the_file(tmp_path: Path, folder: bool) -> None:
    [name] = realistic_safenames("S5P", 1, seed=72)
    with SandboxProcess() as sandbox:
        lab = Installation(tmp_path, sandbox)
        place = f"/eodata/Sentinel-5P/TROPOMI/L2__NO2___/2023/01/01/{name.removesuffix('.nc') if folder else name}"
        path = f"{place}/{name}" if folder else place
        sandbox.add_products({"safename": name, "size_bytes": 300_000, "s3_path": path})
        file_record.write(lab.spool, name, [])  # of a former product of this name
        lab.drop("first.csv", ["id,safename,S3Path", f",{name},{place}"])
        lab.run_once()
        assert list((lab.spool / file_record.FOLDER).iterdir()) == []
        assert lab.states("first.csv") == {name: "done"}
        assert lab.differences([name]) == []
        assert (lab.spool / name).is_file()
        assert cdsed.verify(lab.spool / name)
