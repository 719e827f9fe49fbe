"""A product on disk is not fetched again. An incomplete one is replaced, and set aside."""

import zipfile
from datetime import UTC, datetime
from pathlib import Path

from cdsed.sandbox.names import realistic_safenames
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.sandbox import SandboxProcess

_SIZE_BYTES = 300_000


def _fetched_by_another_lab(directory: Path, sandbox: SandboxProcess, names: list[str]) -> list[Path]:
    """Have real whole products: fetched by a real daemon."""
    other = Installation(directory, sandbox)
    other.drop("all.txt", names)
    with DaemonProcess(other, "--once") as daemon:
        assert daemon.wait(60) == 0, daemon.log()
    sandbox.reset_counters()
    return [other.spool / name for name in names]


def _moved(product: Path, directory: Path) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    return product.rename(directory / product.name)


def _asked_for(sandbox: SandboxProcess, names: list[str]) -> list[str]:
    """Return the keys below these products that the sandbox was asked for, listings included."""
    return [request["key"] for request in sandbox.requests() if any(name in request["key"] for name in names)]


def test_what_is_in_an_archive_or_the_spool_is_not_asked_for(tmp_path: Path) -> None:
    s1, zipped, s2, templated, in_spool = names = [
        *realistic_safenames("S1_GRD", 2, seed=41),
        *realistic_safenames("S2_L1C", 1, seed=41),
        *realistic_safenames("S3", 1, seed=41),
        *realistic_safenames("S1_OCN", 1, seed=41),
    ]
    with SandboxProcess() as sandbox:
        sandbox.add_products(*({"safename": name, "size_bytes": _SIZE_BYTES} for name in names))
        products = dict(zip(names, _fetched_by_another_lab(tmp_path / "other", sandbox, names), strict=True))
        archive = tmp_path / "archive"
        lab = Installation(
            tmp_path / "lab", sandbox, archives=[{"root": str(archive), "layouts": {"S3": "{unit}/{year}/{doy}"}}]
        )
        expected = {
            s1: _moved(
                products[s1], archive / f"sentinel-1{s1[2].lower()}/L1/{s1[4:6]}/{s1[:14]}" / _day_of_year(s1[17:25])
            ),
            s2: _moved(
                products[s2], archive / f"sentinel-2{s2[2].lower()}/L1C/MSI/{s2[:10]}" / _day_of_year(s2[11:19])
            ),
            templated: _moved(products[templated], archive / templated[:3] / _day_of_year(templated[16:24])),
            in_spool: _moved(products[in_spool], lab.spool),
        }
        with zipfile.ZipFile(lab.spool / f"{zipped}.zip", "w") as bundle:
            for file in products[zipped].rglob("*"):
                bundle.write(file, file.relative_to(products[zipped].parent))
        expected[zipped] = lab.spool / f"{zipped}.zip"
        lab.drop("all.txt", names)
        lab.run_once()
        report = lab.report("all.txt")
        assert report is not None
        assert {row["safename"]: row["state"] for row in report["products"]} == dict.fromkeys(names, "already_present")
        assert {row["safename"]: Path(row["path"]) for row in report["products"]} == expected
        assert _asked_for(sandbox, names) == []


def test_an_empty_or_half_product_in_the_spool_is_replaced_and_set_aside(tmp_path: Path) -> None:
    empty, half, file = names = realistic_safenames("S1_GRD", 3, seed=43)
    with SandboxProcess() as sandbox:
        sandbox.add_products(*({"safename": name, "size_bytes": _SIZE_BYTES} for name in names))
        products = _fetched_by_another_lab(tmp_path / "other", sandbox, names)
        lab = Installation(tmp_path / "lab", sandbox)
        (lab.spool / empty).mkdir()
        next(products[1].glob("measurement/*")).unlink()
        (products[1] / "mine.txt").write_text("my notes", encoding="utf-8")
        _moved(products[1], lab.spool)
        (lab.spool / file).write_text("not a directory at all", encoding="utf-8")
        lab.drop("three.txt", names)
        lab.run_once()
        assert set(lab.states("three.txt").values()) == {"done"}
        assert lab.differences(names) == []
        aside = lab.spool / ".cdsed" / "replaced"
        assert (aside / f"{half}.1" / "mine.txt").read_text(encoding="utf-8") == "my notes"
        assert sorted(path.name for path in aside.iterdir()) == sorted(f"{name}.1" for name in names)


def test_a_product_that_appears_while_it_waits_in_the_queue_is_not_fetched(tmp_path: Path) -> None:
    [name] = realistic_safenames("S1_OCN", 1, seed=45)
    with SandboxProcess() as sandbox:
        sandbox.add_products({"safename": name, "size_bytes": _SIZE_BYTES})
        [product] = _fetched_by_another_lab(tmp_path / "other", sandbox, [name])
        lab = Installation(tmp_path / "lab", sandbox)
        sandbox.fault(kind="internal_error", operation="list")
        lab.drop("one.txt", [name])
        with DaemonProcess(lab, "--once") as daemon:
            wait_until("it is about to be listed", lambda: sandbox.counters()["faults"], daemon=daemon)
            _moved(product, lab.spool)
            assert daemon.wait(60) == 0, daemon.log()
        assert lab.states("one.txt") == {name: "already_present"}
        assert not any(name in key for key in sandbox.counters()["keys"])


def _day_of_year(yyyymmdd: str) -> str:
    """Return ``2024/156`` for ``20240604``."""
    return datetime.strptime(yyyymmdd, "%Y%m%d").replace(tzinfo=UTC).strftime("%Y/%j")
