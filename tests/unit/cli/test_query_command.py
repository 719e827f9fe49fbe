import ast
import csv
import io
import json
import os
import signal
import subprocess
import sys

import geopandas as gpd
import pytest

from cdsed.cli.main import main
from tests.support.daemon import wait_until
from tests.support.sandbox import SandboxProcess

HOUR = ("--collection", "SENTINEL-1", "--start", "2024-01-01", "--end", "2024-01-01T01:00")


@pytest.fixture(scope="module")
def filled():
    with SandboxProcess() as process:
        process.call("POST", "catalogue/generate", {"count": 480, "start": "2024-01-01", "end": "2024-01-02"})
        yield process


@pytest.fixture
def config(filled, tmp_path):
    for name in ("state", "inbox"):
        tmp_path.joinpath(name).mkdir()
    settings = {
        "state_dir": str(tmp_path / "state"),
        "inbox": {"path": str(tmp_path / "inbox")},
        "spools": [str(tmp_path / "spool")],
        "services": {"catalogue_url": filled.catalogue_url},
        "catalogue": {"requests_per_s": 30, "cache_dir": str(tmp_path / "cache")},
    }
    tmp_path.joinpath("cdsed.yml").write_text(json.dumps(settings), encoding="utf-8")
    return tmp_path / "cdsed.yml"


@pytest.fixture
def query(config, capfdbinary):
    def run(*options: str) -> tuple[int, str, str]:
        code = main(["query", "--config", str(config), *options])
        written = capfdbinary.readouterr()
        return code, written.out.decode(), written.err.decode()

    return run


def test_a_listing_goes_to_stdout_and_words_to_stderr(query):
    code, out, err = query(*HOUR)

    lines = list(csv.DictReader(io.StringIO(out)))
    assert code == 0
    assert len(lines) == 20
    assert set(lines[0]) == {"id", "safename", "S3Path"}
    assert err.startswith("20 products, ")


@pytest.mark.parametrize("suffix", ["csv", "json", "geojson", "parquet", "txt"])
def test_a_file_is_written_in_the_format_of_its_name(query, tmp_path, suffix):
    code, out, _ = query(*HOUR, "--output", str(tmp_path / f"found.{suffix}"))

    assert (code, out) == (0, "")
    content = (tmp_path / f"found.{suffix}").read_bytes()
    match suffix:
        case "parquet" | "geojson":
            read = gpd.read_parquet if suffix == "parquet" else gpd.read_file
            assert len(read(io.BytesIO(content))) == 20
        case "json":
            assert len(json.loads(content)) == 20
        case _:
            assert len(content.decode().split("\n")) == 22


def test_conditions_narrow_the_search(query):
    _, everything, _ = query(*HOUR, "--format", "json", "--column", "orbitNumber", "--column", "operationalMode")
    rows = json.loads(everything)
    mode, orbit = rows[0]["operationalMode"], rows[0]["orbitNumber"]

    _, by_mode, _ = query(*HOUR, "--format", "json", "--mode", mode)
    _, by_orbit, _ = query(*HOUR, "--format", "json", "--attribute", f"orbitNumber >= {orbit}")
    _, by_name, _ = query(*HOUR, "--format", "json", "--name", f"{rows[0]['name'][:20]}*")
    _, by_area, _ = query(*HOUR, "--format", "json", "--area", rows[0]["geometry"])

    def ids(text: str) -> set[str]:
        return {row["id"] for row in json.loads(text)}

    assert ids(by_mode) == {row["id"] for row in rows if row["operationalMode"] == mode}
    assert ids(by_orbit) == {row["id"] for row in rows if row["orbitNumber"] >= orbit}
    assert ids(by_name) == {row["id"] for row in rows if row["name"].startswith(rows[0]["name"][:20])}
    assert rows[0]["id"] in ids(by_area) != ids(everything)


def test_the_least_sea_asked_for_is_heeded(query):
    _, text, _ = query(*HOUR, "--json", "--sea-min", "50")

    response = json.loads(text)
    assert response["schema"] == 2
    assert 0 < response["count"] == len(response["products"]) < 20
    assert min(product["sea_percent"] for product in response["products"]) >= 50


def test_what_is_found_can_be_put_into_the_inbox(query, tmp_path):
    code, out, err = query(*HOUR, "--submit")

    [listing] = (tmp_path / "inbox").iterdir()
    assert (code, out) == (0, "")
    assert str(listing) in err
    assert len(listing.read_text(encoding="utf-8").split("\n")) == 22


def test_nothing_found_is_not_put_into_the_inbox(query, tmp_path):
    code, _, err = query("--collection", "SENTINEL-6", "--submit")

    assert code == 0
    assert err.startswith("0 products")
    assert list((tmp_path / "inbox").iterdir()) == []


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--collection", "sentinel-1"], "no collection 'sentinel-1'; it has SENTINEL-1"),
        ([*HOUR, "--type", "GRDX"], "no products of product type 'GRDX' in SENTINEL-1"),
        ([*HOUR, "--mode", "XX", "--output", "found.csv"], "no products of sensor mode 'XX' in SENTINEL-1"),
    ],
)
def test_a_word_that_the_catalogue_does_not_have_is_no_empty_result(query, options, complaint):
    code, out, err = query(*options)

    assert (code, out) == (64, "")
    assert complaint in err


@pytest.mark.parametrize("options", [[], ["--name", "*"], ["--column", "orbitNumber"], ["--no-cache"]])
def test_a_query_without_a_condition_is_refused_unless_it_is_meant(query, options, filled):
    asked = filled.counters()["odata_requests"]
    code, out, err = query(*options)

    assert (code, out) == (64, "")
    assert "give a condition, or --everything" in err
    assert filled.counters()["odata_requests"] == asked
    code, out, _ = query(*options, "--everything")
    assert (code, len(out.splitlines())) == (0, 481)


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("", 64)])
def test_on_a_terminal_a_query_without_a_condition_asks_first(config, answer, code):
    controller, terminal = os.openpty()
    command = [
        sys.executable,
        "-m",
        "cdsed",
        "query",
        "--config",
        str(config),
        "--output",
        str(config.parent / "x.csv"),
    ]
    process = subprocess.Popen(command, stdin=terminal, stderr=terminal, stdout=subprocess.PIPE)
    os.close(terminal)
    seen = b""
    while b"[y/N]" not in seen:
        seen += os.read(controller, 1000)
    os.write(controller, f"{answer}\n".encode())
    assert process.wait(60) == code
    os.close(controller)
    process.communicate()


def test_the_columns_of_cdsodatacli_are_there_on_request(query):
    _, out, _ = query(*HOUR, "--format", "cdsodatacli")

    lines = list(csv.DictReader(io.StringIO(out)))
    assert list(lines[0]) == ["Id", "Name", "S3Path", "geometry", "Checksum"]
    assert len(lines) == 20
    assert all(each["S3Path"].startswith("/eodata/") and each["geometry"] for each in lines)
    assert {digest["Algorithm"] for digest in ast.literal_eval(lines[0]["Checksum"])} >= {"MD5"}


def test_a_second_search_sends_no_request_unless_asked_to(query, filled):
    def requests() -> int:
        return filled.counters()["odata_requests"]

    first = query(*HOUR, "--relative-orbit", "7")
    asked = requests()
    assert query(*HOUR, "--relative-orbit", "7") == first
    assert requests() == asked
    assert query(*HOUR, "--relative-orbit", "7", "--no-cache") == first
    assert requests() == asked + 1


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--area", "nowhere"], "neither WKT nor GeoJSON nor a file"),
        (["--area", "POLYGON ((0 0, 1 1, 1 0, 0 1, 0 0))"], "not valid"),
        (["--start", "yesterday"], "not a date or time"),
        (["--start", "2024-01-02", "--end", "2024-01-01"], "ends at"),
        (["--type", "*GRD*"], "only names can be patterns"),
        (["--attribute", "cloudCover is low"], "not a condition"),
        (["--sea-min", "120"], "not between 0 and 100"),
        (["--slice", "0"], "a number of days"),
        (["--output", "found.docx"], "say by --format"),
        (["--column", "a b"], "cannot be the name"),
        (["--area", ""], "neither WKT nor GeoJSON nor a file"),
        (["--area", f"POLYGON[{'1 2, ' * 2000}"], "neither WKT nor GeoJSON nor a file"),
        (["--area", '{"a": ' * 3000 + "1" + "}" * 3000], "not a GeoJSON"),
        (["--start", ""], "not a date or time"),
        (["--start", "9999-12-31T23:59:59-01:00"], "is not a time that the catalogue knows"),
        (["--attribute", "processingDate > 9999-12-31T23:59:59-01:00"], "cannot be converted to UTC"),
        (["--orbit", "9" * 30], "is not an orbit number"),
        (["--slice", "1e-9"], "a number of days"),
        (["--output", ".", "--format", "csv"], "is a directory"),
    ],
)
def test_what_cannot_be_honoured_is_refused_with_a_sentence(query, options, complaint):
    code, out, err = query(*options)

    assert (code, out) == (64, "")
    assert complaint in err


def test_a_column_that_would_hide_another_is_refused(query):
    code, _, err = query("--column", "name")

    assert code == 64
    assert "'name'" in err


def test_an_output_without_a_directory_is_refused_before_anything_is_asked(query, tmp_path, filled):
    asked = filled.counters()["odata_requests"]
    code, _, err = query(*HOUR, "--no-cache", "--output", str(tmp_path / "no" / "found.csv"))

    assert code == 64
    assert filled.counters()["odata_requests"] == asked
    assert "there is no directory" in err


def test_an_interruption_ends_it_at_once(filled, config):
    number = filled.fault(kind="stall", operation="odata")
    try:
        command = [sys.executable, "-m", "cdsed", "query", "--config", str(config), *HOUR, "--no-cache"]
        before = filled.counters()["odata_requests"]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
        wait_until("it is asked", lambda: filled.counters()["odata_requests"] > before)
        os.kill(process.pid, signal.SIGINT)
        assert process.communicate(timeout=60)[1] == b""
        assert process.returncode == -signal.SIGINT
    finally:
        filled.clear_faults(number)
