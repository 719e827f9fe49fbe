"""``cdsed metadata``: rows of names and ids, and the files of days."""

import ast
import csv
import json
import os
from collections.abc import Iterator

import geopandas as gpd
import pandas as pd
import pytest

from cdsed.catalogue import daily
from cdsed.catalogue.metadata import COLUMNS_OF_NAMES, ROW_COLUMNS
from cdsed.cli.main import main
from cdsed.errors import ServiceError
from cdsed.sandbox.names import realistic_safenames
from tests.support.cli_lab import MISSES, CliLab
from tests.support.sandbox import SandboxProcess

NAMES = realistic_safenames("S1_GRD", 20, seed=3)
OFFLINE = realistic_safenames("S1_SLC", 1, seed=4)[0]
TWO_DAYS = ("--from", "2024-01-01", "--to", "2024-01-02")


@pytest.fixture(scope="module")
def catalogue() -> Iterator[SandboxProcess]:
    with SandboxProcess() as sandbox:
        sandbox.add_products(*({"safename": name} for name in NAMES), {"safename": OFFLINE, "online": False})
        sandbox.call("POST", "catalogue/generate", {"count": 200, "start": "2024-01-01", "end": "2024-01-03"})
        yield sandbox


@pytest.fixture
def lab(cli_lab: CliLab, catalogue: SandboxProcess) -> CliLab:
    with cli_lab.config.open("a", encoding="utf-8") as file:
        file.write(f"services: {{catalogue_url: '{catalogue.catalogue_url}'}}\ncatalogue: {{requests_per_s: 30}}\n")
    return cli_lab


def metadata(lab: CliLab, *options: str) -> int:
    return main(["metadata", "--config", str(lab.config), *options])


def listing(lab: CliLab, *lines: str) -> str:
    path = lab.root / "names.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    return str(path)


def test_names_and_ids_give_the_columns_of_cdsodatacli(lab: CliLab, capsys: pytest.CaptureFixture[str]) -> None:
    output = lab.root / "m.csv"
    assert metadata(lab, listing(lab, *NAMES, OFFLINE), "--output", str(output)) == 0
    rows = list(csv.DictReader(output.read_text("utf-8").splitlines()))
    assert tuple(rows[0]) == COLUMNS_OF_NAMES
    assert sorted(row["Name"] for row in rows) == sorted([*NAMES, OFFLINE])
    first = rows[0]
    assert json.loads(first["ContentDate"]).keys() == {"Start", "End"}
    assert ast.literal_eval(first["Checksum"])[0]["Algorithm"] == "MD5", "scripts read it so"
    assert "operationalMode" in {each["Name"] for each in json.loads(first["Attributes"])}
    assert first["geometry_wkt"].startswith("POLYGON")
    ids = [row["Id"] for row in rows[:3]]
    capsys.readouterr()
    assert metadata(lab, listing(lab, *ids, rows[0]["Name"], rows[1]["Name"].removesuffix(".SAFE"), MISSES)) == 1
    said = capsys.readouterr()
    found = list(csv.DictReader(said.out.splitlines()))
    assert sorted(row["Id"] for row in found) == sorted(ids), "a product is written once"
    assert f"{MISSES}: not in the catalogue" in said.err


def test_a_line_that_names_no_product_is_not_passed_over_in_silence(
    lab: CliLab, capsys: pytest.CaptureFixture[str]
) -> None:
    assert metadata(lab, listing(lab, NAMES[0], "nonsense")) == 1
    assert "line 2: does not begin like the name" in capsys.readouterr().err


def test_parquet_has_types_and_footprints(lab: CliLab) -> None:
    output = lab.root / "m.parquet"
    assert metadata(lab, listing(lab, *NAMES), "--output", str(output)) == 0
    table = gpd.read_parquet(output)
    assert list(table.columns) == [*ROW_COLUMNS, "geometry"]
    assert table["ContentLength"].dtype == "int64"
    assert table["Online"].all()
    assert table.geometry.is_valid.all()


def test_days_are_written_once_and_skipped_then(lab: CliLab, capsys: pytest.CaptureFixture[str]) -> None:
    folder = lab.root / "days"
    assert metadata(lab, "--daily", str(folder), *TWO_DAYS) == 0
    assert capsys.readouterr().err.endswith("2 days written, 0 skipped, 0 failed\n")
    table = pd.read_parquet(folder / "s1_2024-01-01.parquet")
    assert list(table.columns) == [*ROW_COLUMNS, "id_original_query", "geometry"]
    assert {type(value) for value in table.iloc[0]} == {str}
    assert table["Name"].is_unique
    modes = {
        each["Value"] for text in table["Attributes"] for each in json.loads(text) if each["Name"] == "operationalMode"
    }
    assert modes <= {"WV", "IW", "EW", "S1", "S2", "S3", "S4", "S5", "S6"}
    assert metadata(lab, "--daily", str(folder), *TWO_DAYS) == 0
    assert capsys.readouterr().err == "0 days written, 2 skipped, 0 failed\n"
    (folder / "s1_2024-01-01.parquet").unlink()
    (folder / "s1_2024-01-02.parquet").write_bytes(b"PAR1, cut by a kill")
    assert metadata(lab, "--daily", str(folder), *TWO_DAYS, "--to", "2024-01-03") == 0
    assert capsys.readouterr().err.endswith("3 days written, 0 skipped, 0 failed\n"), "a hole, a damaged one, a new one"
    assert len(pd.read_parquet(folder / "s1_2024-01-03.parquet")) == 0, "an empty day is a file, too"
    assert list(folder.glob(".*")) == []


def test_a_day_is_asked_for_again_until_it_has_settled(lab: CliLab, capsys: pytest.CaptureFixture[str]) -> None:
    folder = lab.root / "days"
    assert metadata(lab, "--daily", str(folder), *TWO_DAYS) == 0
    after_s = daily._begins(daily.date(2024, 1, 5)).timestamp()
    for day, asked_at in ((1, after_s), (2, after_s)):
        tree = daily.DailyTree(folder, 0.0)
        tree.write(daily.date(2024, 1, day), [], asked_at)
    assert not daily.DailyTree(folder, 7 * 86_400.0).is_settled(daily.date(2024, 1, 1))
    assert daily.DailyTree(folder, 2.5 * 86_400.0).is_settled(daily.date(2024, 1, 2)) is False
    assert daily.DailyTree(folder, 2 * 86_400.0).is_settled(daily.date(2024, 1, 2))
    old = folder / "s1_2024-01-01.parquet"
    pd.DataFrame({"Id": ["x"]}).to_parquet(old)  # as cdsodatacli wrote it: its time of modification counts
    os.utime(old, (after_s, after_s))
    assert daily.DailyTree(folder, 86_400.0).is_settled(daily.date(2024, 1, 1))
    assert not daily.DailyTree(folder, 4 * 86_400.0).is_settled(daily.date(2024, 1, 1))


def test_days_that_fail_are_left_for_the_next_call(
    lab: CliLab, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: object) -> None:
        raise ServiceError("the catalogue is down", code="Unavailable")

    with monkeypatch.context() as patch:
        patch.setattr(daily, "search_rows", down)
        assert metadata(lab, "--daily", str(lab.root / "days"), "--from", "2024-01-01", "--to", "2024-01-09") == 1
    assert capsys.readouterr().err.endswith("0 days written, 0 skipped, 3 failed, 6 left for the next call\n")
    assert list((lab.root / "days").iterdir()) == []


def test_wrong_options_are_refused(lab: CliLab, capsys: pytest.CaptureFixture[str]) -> None:
    for options, complaint in (
        ([], "give either a listing, or --daily DIR"),
        (["--daily", "x"], "needs --from DAY"),
        (["--daily", "x", "--from", "noon"], "noon is not a day"),
        (["--daily", "x", "--from", "2024-01-02", "--to", "2024-01-01"], "is after"),
        ([listing(lab, NAMES[0]), "--output", "x.xlsx"], "say by --format"),
        ([listing(lab, NAMES[0]), "--from", "2024-01-02"], "--from does not go with a listing"),
        ([listing(lab, NAMES[0]), "--overwrite"], "--overwrite does not go with a listing"),
        (["--daily", "x", "--from", "2024-01-02", "--output", "x.csv"], "--output does not go with --daily"),
        (["--daily", listing(lab, NAMES[0]), "--from", "2024-01-02"], "names.txt is not a directory"),
    ):
        assert metadata(lab, *options) == 64
        assert complaint in capsys.readouterr().err
