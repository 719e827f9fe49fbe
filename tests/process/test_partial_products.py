"""Layouts and choices of files, with the real daemon against the sandbox."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from cdsed.local.intact import check_product
from cdsed.local.whole import is_whole
from cdsed.model.part_marker import MARKER
from cdsed.sandbox.names import realistic_safenames
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.sandbox import SandboxProcess

SLC = realistic_safenames("S1_SLC", 3, seed=51)
L1C = realistic_safenames("S2_L1C", 1, seed=52)
S5P = realistic_safenames("S5P", 1, seed=53)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Installation, DaemonProcess]]:
    with SandboxProcess(2) as sandbox:
        sandbox.add_products(*({"safename": name, "size_bytes": 300_000} for name in (*SLC, *L1C, *S5P)))
        lab = Installation(
            tmp_path_factory.mktemp("daemon") / "lab", sandbox, transfer={"processes": 1}, retry={"attempts": 2}
        )
        with DaemonProcess(lab) as daemon:
            yield lab, daemon


def fetched(lab: tuple[Installation, DaemonProcess], name: str, lines: list[str]) -> dict[str, dict[str, object]]:
    """Drop a listing, wait for its report, and return its rows by product."""
    installation, daemon = lab
    installation.drop(name, lines)
    report = wait_until(f"{name} is reported", lambda: installation.report(name), daemon=daemon)
    return {row["safename"]: row for row in report["products"]}


def files_of(product: Path) -> set[str]:
    return {path.relative_to(product).as_posix() for path in product.rglob("*") if path.is_file()}


def test_one_polarisation_is_fetched_by_date_and_the_whole_later_beside_it(
    lab: tuple[Installation, DaemonProcess],
) -> None:
    installation, _ = lab
    name, truth = SLC[0], installation.sandbox.truth(SLC[0])
    first = "# cdsed: layout={mission}/{year} include=*-vv-*"
    row = fetched(lab, "vv.txt", [first, name])[name]
    part = installation.spool / "partial/sentinel-1" / name[17:21] / name
    assert (row["state"], row["partial"], row["path"]) == ("done", True, str(part))
    wanted = {path for path in truth if "-vv-" in path} | {"manifest.safe"}
    assert 3 < len(wanted) < len(truth)
    assert files_of(part) == wanted | {MARKER}
    assert all(hashlib.md5((part / path).read_bytes()).hexdigest() == truth[path].md5 for path in wanted)
    assert check_product(part).as_taken
    assert not is_whole(part)

    status = installation.status(name)["product"]
    assert (status["partial"], status["layout"]) == (True, "{mission}/{year}")
    assert status["choice"] == [{"include": ["*-vv-*"], "exclude": []}]
    listing = installation.root / "whole.txt"
    listing.write_text(name)
    assert json.loads(installation.command("missing", str(listing), "--json").stdout)["absent"] == [name]
    listing.write_text(f"{first}\n{name}")
    assert json.loads(installation.command("missing", str(listing), "--json").stdout)["absent"] == []
    assert installation.command("check", "--state", "--every").returncode == 0

    again = fetched(lab, "vv-again.txt", ["# cdsed: include=*-vv-* exclude=measurement", name])[name]
    assert (again["state"], again["path"]) == ("done", str(part))
    assert installation.receipt("vv-again.txt")["counts"]["already_present"] == 1  # type: ignore[index]

    row = fetched(lab, "whole.txt", [name])[name]
    assert (row["state"], row["partial"], row["path"]) == ("done", False, str(installation.spool / name))
    assert installation.differences([name]) == []
    assert check_product(part).as_taken
    assert fetched(lab, "vv-last.txt", [first, f"{name} "])[name]["path"] == str(installation.spool / name)


def test_a_listing_that_wants_more_while_a_part_is_in_transfer_gets_all_of_it(
    lab: tuple[Installation, DaemonProcess],
) -> None:
    installation, daemon = lab
    name = SLC[1]
    installation.sandbox.truth(name)
    installation.drop("a-vh.txt", ["# cdsed: include=*-vh-*", name])
    installation.drop("b-annotation.txt", ["# cdsed: include=annotation/", name])
    reports = [
        wait_until(f"{each} is reported", lambda each=each: installation.report(each), daemon=daemon)  # type: ignore[misc]
        for each in ("a-vh.txt", "b-annotation.txt")
    ]
    part = Path(reports[1]["products"][0]["path"])
    truth = installation.sandbox.truth(name)
    wanted = {path for path in truth if "-vh-" in path or path.startswith("annotation/")} | {"manifest.safe", MARKER}
    assert files_of(part) == wanted
    assert part == installation.spool / "partial" / name


def test_previews_of_sentinel_2_are_left_out_by_the_settings_of_a_group_and_a_file_alone_is_taken_whole(
    tmp_path: Path, lab: tuple[Installation, DaemonProcess]
) -> None:
    sandbox = lab[0].sandbox
    groups = {"default": {"exclude": ["*_PVI*", "*-ql.jpg", "*.html"], "layout": "S5P:{year}/{doy}"}}
    ours = Installation(tmp_path / "lab", sandbox, transfer={"processes": 1})
    ours.configure(groups=groups)
    ours.drop("both.txt", [*L1C, *S5P])
    ours.run_once()
    truth = sandbox.truth(L1C[0])
    wanted = {path for path in truth if "_PVI" not in path and not path.endswith(("-ql.jpg", ".html"))}
    assert wanted < truth.keys()
    assert files_of(ours.spool / "partial" / L1C[0]) == wanted | {MARKER}
    [file] = (ours.spool / S5P[0][20:24]).glob("*/*.nc")
    assert (file.name, file.is_file()) == (S5P[0], True)
    # The settings change, the state is lost: what is there is found where it is.
    ours.configure(groups={"default": {"exclude": ["*_PVI*", "*-ql.jpg", "*.html"], "layout": "S5P:{orbit}"}})
    shutil.rmtree(ours.state)
    for path in (ours.inbox / ".accepted").iterdir():
        path.unlink()
    ours.drop("again.txt", [*L1C, *S5P])
    ours.run_once()
    assert set(ours.states("again.txt").values()) == {"already_present"}


def test_patterns_that_fit_nothing_and_a_name_without_a_field_are_said_at_once(
    lab: tuple[Installation, DaemonProcess],
) -> None:
    installation, daemon = lab
    row = fetched(lab, "nothing.txt", ["# cdsed: include=*-xx-*", SLC[2]])[SLC[2]]
    assert (row["state"], row["attempts"]) == ("failed", 0)
    assert "files fits include=*-xx-*" in str(row["cause"])
    assert not any(path.name == SLC[2] for path in installation.spool.rglob("*"))
    installation.drop("tile.txt", ["# cdsed: layout={tile}", SLC[2]])
    wait_until("it is reported", lambda: installation.report("tile.txt"), daemon=daemon)
    receipt = installation.receipt("tile.txt")
    assert receipt is not None
    assert receipt["counts"]["rejected"] == 1
    assert "has no {tile}; it has family, mission" in receipt["remarks"][0]["text"]
