"""``cdsed export``: every format, filters, and memory that does not grow."""

import csv
import io
import json
import tracemalloc
from contextlib import closing
from pathlib import Path

import geopandas as gpd
import pyarrow.parquet as pq
import pystac
import pytest

from cdsed.cli.main import main
from cdsed.clock import SYSTEM_CLOCK
from cdsed.holdings.export_formats import ExportFormat, writer_of
from cdsed.holdings.product_records import COLUMNS, Record
from cdsed.model.listing import ProductRequest
from cdsed.model.product_state import State
from cdsed.store import products
from tests.support.cli_lab import MISSES, ON_DISK, WAITS, CliLab

AREA = "POLYGON ((179 10, -179 10, -179 11, 179 11, 179 10))"
MANIFEST = """<x xmlns:gml="http://www.opengis.net/gml">
<gml:coordinates>10,20 10,21 11,21 11,20</gml:coordinates></x>"""


class Export:
    """Runs the command in this process."""

    def __init__(self, lab: CliLab, capture: pytest.CaptureFixture[bytes]) -> None:
        self._lab = lab
        self._capture = capture

    def __call__(self, *options: str) -> bytes:
        assert main(["export", "--config", str(self._lab.config), *options]) == 0
        return self._capture.readouterr().out


@pytest.fixture
def export(used_cli_lab: CliLab, capfdbinary: pytest.CaptureFixture[bytes]) -> Export:
    return Export(used_cli_lab, capfdbinary)


def record(number: int, **changes: object) -> Record:
    values = dict.fromkeys(COLUMNS) | {"name": f"S1A_{number}.SAFE", "state": "done", "listings": ["a", "b"]}
    return values | {"changed_at": 1.0, "attempts": 0, "family": "S1", "group": "default"} | changes


def test_csv_has_what_is_on_disk_with_the_documented_columns(export: Export) -> None:
    rows = list(csv.DictReader(io.StringIO(export().decode())))
    assert [row["name"] for row in rows] == [ON_DISK]
    assert tuple(rows[0]) == COLUMNS
    assert (rows[0]["path"], rows[0]["listings"], rows[0]["family"]) == ("/archive/x", "storm.txt", "S2")
    assert rows[0]["asked_at"].endswith("Z")
    assert rows[0]["published_at"] == "", "it was not downloaded by cdsed"
    page = (Path(__file__).parents[3] / "docs/export.md").read_text("utf-8")
    assert [name for name in COLUMNS if f"| `{name}` |" not in page] == []


def test_a_product_that_was_moved_keeps_the_time_at_which_it_was_published(
    used_cli_lab: CliLab, export: Export
) -> None:
    db = used_cli_lab.open()
    with closing(db), db.write():
        values = "SELECT id, 1700000000.0, 'verifying', 'done', 0 FROM product"
        db.rows(f"INSERT INTO event (product, at, origin, target, attempts) {values}")
    rows = list(csv.DictReader(io.StringIO(export("--state", "all").decode())))
    assert {row["name"]: row["published_at"] for row in rows if row["published_at"]} == {
        ON_DISK: "2023-11-14T22:13:20Z"
    }


def test_filters_choose_products(export: Export) -> None:
    def names(*options: str) -> list[str]:
        return [json.loads(line)["name"] for line in export("--format", "jsonl", *options).splitlines()]

    assert names("--state", "all") == [WAITS, MISSES, ON_DISK]
    assert names("--state", "queued", "--state", "unavailable") == [WAITS, MISSES]
    assert names("--state", "all", "--family", "S2") == [ON_DISK]
    assert names("--state", "all", "--listing", "storm.txt") == [WAITS, MISSES, ON_DISK]
    assert names("--state", "all", "--since", "2020-01-01") == [WAITS, MISSES, ON_DISK]
    assert names("--state", "all", "--since", "2099-01-01") == []


def test_the_footprint_is_that_of_the_manifest_on_disk(used_cli_lab: CliLab, export: Export, tmp_path: Path) -> None:
    product = tmp_path / "spool" / WAITS.replace("E33E", "0001")
    product.mkdir(parents=True)
    (product / "manifest.safe").write_text(MANIFEST, encoding="utf-8")
    db = used_cli_lab.open()
    products.add(db, SYSTEM_CLOCK, ProductRequest(product.name, "default", 0, None), path=str(product))
    db.close()
    features = json.loads(export("--format", "geojson", "--family", "S1"))["features"]
    assert [each["id"] for each in features] == [product.name]
    assert features[0]["geometry"]["coordinates"][0][0] == [20.0, 10.0]
    output = tmp_path / "x.parquet"
    export("--output", str(output))
    table = gpd.read_parquet(output)
    assert list(table["name"]) == [ON_DISK, product.name]
    assert str(table["asked_at"].dtype) == "datetime64[us, UTC]"
    assert table.geometry[1].bounds == (20.0, 10.0, 21.0, 11.0)
    assert export("--format", "geoparquet")[:4] == b"PAR1", "to a pipe"


def test_a_stac_collection_is_valid_for_the_library(export: Export, tmp_path: Path) -> None:
    output = tmp_path / "items.json"
    export("--format", "stac", "--output", str(output), "--state", "all")
    items = {item.id: item for item in pystac.ItemCollection.from_file(str(output))}
    assert items.keys() == {name.rpartition(".")[0] for name in (WAITS, MISSES, ON_DISK)}
    item = items[ON_DISK.rpartition(".")[0]]
    assert item.assets["product"].href == "/archive/x"
    assert item.properties["platform"] == "sentinel-2a"
    assert item.properties["cdsed:state"] == State.ALREADY_PRESENT
    assert item.datetime is not None


def test_an_area_across_the_antimeridian_is_cut_there() -> None:
    file = io.BytesIO()
    writer_of(ExportFormat.GEOJSON)([record(1, footprint=AREA)], file)
    [feature] = json.loads(file.getvalue())["features"]
    assert feature["geometry"]["type"] == "MultiPolygon"


@pytest.mark.parametrize("form", [ExportFormat.CSV, ExportFormat.JSONL, ExportFormat.GEOPARQUET])
def test_memory_does_not_grow_with_the_number_of_records(
    form: ExportFormat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cdsed.holdings.geoparquet._ROWS_PER_GROUP", 300)
    write = writer_of(form)

    def peak_bytes(count: int) -> int:
        with (tmp_path / "x").open("wb") as file:
            tracemalloc.start()
            write((record(number) for number in range(count)), file)
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        return peak

    peak_bytes(100)
    assert peak_bytes(2400) < 1.3 * peak_bytes(600)


def test_an_interrupted_export_leaves_the_old_file(
    used_cli_lab: CliLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "x.csv"
    output.write_text("old", encoding="utf-8")

    def broken(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("cdsed.holdings.export_formats.write_csv", broken)
    assert main(["export", "--config", str(used_cli_lab.config), "--output", str(output)]) == 1
    assert output.read_text("utf-8") == "old"
    assert [path.name for path in tmp_path.glob(".x*")] == []


def test_wrong_options_are_refused(used_cli_lab: CliLab, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for options, complaint in (
        (["--output", str(tmp_path / "x.xlsx")], "say by --format"),
        (["--listing", "absent.txt"], "no listing is named absent.txt"),
        (["--since", "yesterday"], "--since"),
        (["--output", str(tmp_path)], "is a directory"),
    ):
        assert main(["export", "--config", str(used_cli_lab.config), *options]) == 64
        assert complaint in capsys.readouterr().err


def test_row_groups_are_written_as_they_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cdsed.holdings.geoparquet._ROWS_PER_GROUP", 10)
    with (tmp_path / "x").open("wb") as file:
        assert writer_of(ExportFormat.GEOPARQUET)((record(number) for number in range(11)), file) == 11
    assert pq.ParquetFile(tmp_path / "x").num_row_groups == 2
