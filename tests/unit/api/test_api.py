"""The Python API, against a sandbox and a real daemon."""

import inspect
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd
import pytest

import cdsed
from cdsed.api.arguments import listing_text
from cdsed.errors import CdsedError, ConfigError, InboxError
from cdsed.local.presence import Presence
from cdsed.sandbox.names import realistic_safenames
from cdsed.view.progress import DownloadProgress
from tests.support.daemon import DaemonProcess, Installation
from tests.support.local_products import SAFENAME, make_product
from tests.support.sandbox import SandboxProcess

_WORLD = "POLYGON ((-180 -90, 180 -90, 180 90, -180 90, -180 -90))"
FUNCTIONS = ("download", "resolve", "search", "status", "verify")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxProcess]:
    with SandboxProcess() as process:
        yield process


@pytest.fixture
def lab(tmp_path: Path, sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch) -> Installation:
    lab = Installation(tmp_path / "lab", sandbox)
    monkeypatch.setenv("CDSED_CONFIG", str(lab.config))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    return lab


def _add(sandbox: SandboxProcess, count: int, seed: int) -> list[str]:
    names = realistic_safenames("S1_OCN", count, seed=seed)
    sandbox.add_products(*({"safename": name, "size_bytes": 100_000} for name in names))
    return names


def test_the_functions_are_there_documented_and_typed() -> None:
    assert set(FUNCTIONS) <= set(dir(cdsed))
    for name in FUNCTIONS:
        function = getattr(cdsed, name)
        assert inspect.getdoc(function)
        assert "return" in function.__annotations__
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        cdsed.nonsense  # noqa: B018


def test_search_takes_conditions_as_people_write_them(lab: Installation) -> None:
    names = _add(lab.sandbox, 5, seed=601)
    found = cdsed.search(
        name="S1*",
        collection="SENTINEL-1",
        start="2014-01-01",
        end="2030-01-01",
        sea_percent=True,
        columns=["orbitNumber"],
    )
    assert set(names) <= set(found["name"])
    assert str(found["start"].dtype) == "datetime64[us, UTC]"
    assert {"sea_percent", "orbitNumber", "geometry"} <= set(found.columns)
    assert f"<td>{names[0][:40]}" in found._repr_html_(), "a notebook shows a table"
    one = cdsed.search(name=names[0], attributes=["orbitNumber > 0"], cache=False)
    assert list(one["name"]) == [names[0]]
    with pytest.raises(ValueError, match="nonsense"):
        cdsed.search(start="nonsense")


def test_search_refuses_what_it_cannot_honour(lab: Installation) -> None:
    for conditions, complaint in (
        ({"area": "POINT (1 2"}, "not a WKT"),
        ({"area": "nowhere.geojson"}, "nor a file"),
        ({"area": "SRID=2154;POINT (1 2)"}, "SRID 2154"),
        ({"attributes": "orbitNumber ~ 5"}, "'orbitNumber ~ 5' is not a condition"),
    ):
        with pytest.raises(ValueError, match=complaint):
            cdsed.search(**conditions)


def test_a_search_never_finds_nothing_because_of_a_word(lab: Installation) -> None:
    _add(lab.sandbox, 1, seed=606)
    with pytest.raises(
        ValueError, match=r"no products of product type 'OCNX' in SENTINEL-1; it has, for example, \w+OCN"
    ):
        cdsed.search(collection="SENTINEL-1", product_type="OCNX", start=date(2014, 1, 1))
    assert cdsed.search(collection="SENTINEL-1", start=datetime.now(UTC)).empty


def test_a_single_column_and_condition_need_no_list(lab: Installation) -> None:
    [name] = _add(lab.sandbox, 1, seed=603)
    found = cdsed.search(name=name, columns="orbitNumber", attributes="orbitNumber > 0", area="SRID=4326;" + _WORLD)

    assert list(found["name"]) == [name]
    assert list(found.columns[-2:]) == ["orbitNumber", "geometry"]


def test_products_are_named_by_tables_with_gaps_and_never_by_the_path_of_a_text() -> None:
    table = pd.DataFrame({"name": [SAFENAME], "s3_path": [float("nan")], "id": [7]})
    assert listing_text(table) == (f"id,safename,S3Path\n7,{SAFENAME},\n", [SAFENAME])
    with pytest.raises(InboxError, match="holds"):
        listing_text(f"{SAFENAME}\n" * 10)


def test_resolve_tells_what_can_be_had_and_why_the_rest_cannot(lab: Installation, tmp_path: Path) -> None:
    names = _add(lab.sandbox, 2, seed=602)
    gone = realistic_safenames("S1_SLC", 1, seed=603)[0]
    listing = tmp_path / "listing.txt"
    listing.write_text("\n".join([*names, gone]), encoding="utf-8")
    for products in (listing, str(listing), [*names, gone], pd.DataFrame({"safename": [*names, gone]})):
        resolution = cdsed.resolve(products)
        assert list(resolution.found) == names
        assert list(resolution.absent) == [gone]
    frame = resolution.to_frame()
    assert list(frame["name"]) == names
    assert gone in repr(resolution)
    assert f"<td>{gone}</td>" in resolution._repr_html_()
    by_id = cdsed.resolve(list(frame["id"]))
    assert [entry.name for entry in by_id.found.values()] == names
    with pytest.raises(InboxError, match="nonsense"):
        cdsed.resolve(["nonsense"])


def test_download_brings_what_search_found_without_a_daemon(
    lab: Installation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = _add(lab.sandbox, 4, seed=604)
    found = cdsed.search(name="S1*", cache=False)
    found = found[found["name"].isin(names)]
    seen: list[DownloadProgress] = []
    done = cdsed.download(found, tmp_path / "out", progress=True, on_progress=seen.append)
    assert done.ok
    assert (seen[-1].succeeded, seen[-1].failed, seen[-1].to_do) == (4, 0, 0)
    assert list(done.table.columns) == ["safename", "state", "path", "size_bytes", "cause"]
    assert set(done.table["state"]) == {"done"}
    assert lab.differences(names, tmp_path / "out") == []
    assert sorted(path.name for path in done.paths) == sorted(names)
    assert "OK=4 | ERR=0 | todo=0" in capsys.readouterr().err
    assert "4 of 4 products are on disk" in repr(done)
    assert names[0] in done._repr_html_()
    asked = lab.sandbox.counters()["accounts"]
    again = cdsed.download(names, tmp_path / "out", progress=False)
    assert set(again.paths) == set(done.paths)
    assert lab.sandbox.counters()["accounts"] == asked, "what is there was fetched again"


def test_download_leaves_the_work_to_the_daemon_that_runs(lab: Installation) -> None:
    names = _add(lab.sandbox, 3, seed=605)
    gone = realistic_safenames("S1_GRD", 1, seed=606)[0]
    with DaemonProcess(lab) as daemon:
        daemon.until_at_work()
        done = cdsed.download([*names, gone], progress=False, priority=3)
        with pytest.raises(InboxError, match=r"no account group of that name; there are default"):
            cdsed.download(names, progress=False, group="nobody")
        with pytest.raises(InboxError, match="priority"):
            cdsed.download(names, progress=False, priority=5000)
        assert daemon.running()
        status = cdsed.status()
    assert list(done.table["state"]) == ["done", "done", "done", "unavailable"]
    assert not done.ok
    assert gone in repr(done)
    assert lab.differences(names) == []
    assert status.report.daemon.state == "running"
    assert "running for" in repr(status)
    assert status._repr_html_().startswith('<div class="cdsed">')


def test_download_without_settings_says_where_they_should_be(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CDSED_CONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    with pytest.raises(ConfigError, match="settings file"):
        cdsed.download([SAFENAME])


def test_a_daemon_that_cannot_start_says_why(lab: Installation) -> None:
    (lab.root / "accounts.yml").unlink()
    with pytest.raises(CdsedError, match=r"accounts\.yml"):
        cdsed.download([SAFENAME], progress=False)


def test_a_download_that_does_not_move_ends(lab: Installation) -> None:
    names = _add(lab.sandbox, 1, seed=607)
    text = (lab.root / "accounts.yml").read_text(encoding="utf-8")
    (lab.root / "accounts.yml").write_text(text.replace("s3_secret_key: ", "s3_secret_key: wrong-"), encoding="utf-8")
    done = cdsed.download(names, progress=False, idle_timeout_s=3)
    assert not done.ok
    assert done.paths == []


def test_verify_is_true_for_what_its_manifest_says(tmp_path: Path) -> None:
    product = make_product(tmp_path)
    check = cdsed.verify(product)
    assert check
    assert check.good
    assert repr(check) == f"{SAFENAME}: 1 files agree with the manifest"


def test_verify_finds_what_sizes_do_not_show(tmp_path: Path) -> None:
    product = make_product(tmp_path)
    (product / "measurement" / "a.tiff").write_bytes(b"pixelz")
    assert Presence([tmp_path], []).find_now(SAFENAME) == product
    check = cdsed.verify(str(product))
    assert not check
    assert "measurement/a.tiff" in check.problems[0]
    assert "<li>measurement/a.tiff" in check._repr_html_()
    assert "NOT complete" in repr(check)
