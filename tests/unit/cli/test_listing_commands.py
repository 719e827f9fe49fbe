"""``cdsed resolve``, ``match``, ``missing``, ``convert`` and ``parse``, as a person or a script runs them."""

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cdsed.inbox.parse import read_listing
from cdsed.model.listing import Named
from tests.support.cli_lab import MISSES as MISSPELT
from tests.support.cli_lab import ON_DISK as S2
from tests.support.cli_lab import WAITS as GRD
from tests.support.cli_lab import CliLab
from tests.support.sandbox import SandboxProcess

DATA = Path(os.environ.get("CDSED_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data"))
SLC = "S1A_IW_SLC__1SDV_20240604T110059_20240604T110126_054172_069690_08A8.SAFE"
S3 = "S3A_SL_0_SLT____20240604T110100_20240604T110400_20240604T130000_0179_113_094_2160_PS1_O_NR_004.SEN3"
S5P = "S5P_OFFL_L2__NO2____20211211T104909_20211211T123039_21566_02_020301_20211213T011704.nc"
ID = "521bd8f9-48a5-4e1f-9435-58f97cb64d39"
GONE = {"cause": "Duplicated product", "at": "2025-01-02T03:04:05Z"}


@pytest.fixture(scope="module")
def catalogue() -> Iterator[SandboxProcess]:
    """Give a sandbox with products of four missions, one offline, one deleted."""
    with SandboxProcess() as sandbox:
        sandbox.add_products(
            *({"safename": name} for name in (GRD, SLC, S5P)),
            {"safename": S2, "online": False},
            {"safename": S3, "deleted": GONE},
        )
        yield sandbox


@pytest.fixture
def site(cli_lab: CliLab, catalogue: SandboxProcess) -> CliLab:
    """Give a cli_lab whose catalogue is the sandbox."""
    with cli_lab.config.open("a", encoding="utf-8") as file:
        file.write(f"services: {{catalogue_url: '{catalogue.catalogue_url}'}}\ncatalogue: {{requests_per_s: 30}}\n")
    return cli_lab


def listing(cli_lab: CliLab, *lines: str, name: str = "storm.txt") -> str:
    path = cli_lab.root / name
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return str(path)


def named(path: Path) -> list[Named]:
    return [line for line in read_listing(path) if isinstance(line, Named)]


def test_resolve_adds_ids_and_paths_for_products_of_any_mission(site: CliLab) -> None:
    done = site.cdsed("resolve", listing(site, GRD, S5P.removesuffix(".nc"), f"/some/where/{SLC}.zip"))
    assert done.returncode == 0, done.stderr
    output = site.root / "resolved.csv"
    output.write_text(done.stdout, encoding="utf-8")
    assert done.stdout.startswith("id,safename,S3Path\n")
    assert [each.safename for each in named(output)] == [GRD, S5P, SLC]
    assert all(each.product_id and each.s3_path and each.s3_path.endswith(each.safename) for each in named(output))
    assert done.stderr == ""


def test_resolve_says_why_of_each_product_that_cannot_be_had(site: CliLab) -> None:
    output = site.root / "resolved.csv"
    done = site.cdsed("resolve", listing(site, S2, S3, MISSPELT, GRD), "--output", str(output))
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.split("\n")[:-1] == [
        f"{S2}: offline at CDSE; order it in the Data Workspace, then drop it again",
        f"{S3}: CDSE deleted it on 2025-01-02: Duplicated product",
        f"{MISSPELT}: not in the catalogue; perhaps misspelt: orbit '05417' should be six digits",
    ]
    assert [each.safename for each in named(output)] == [GRD]


def test_resolve_names_a_bad_line_wherever_it_stands_and_a_duplicate_once(site: CliLab) -> None:
    done = site.cdsed("resolve", listing(site, GRD, SLC, GRD, "nonsense"), "--json")
    assert done.returncode == 0
    assert "line 4: does not begin like the name of a Sentinel product" in done.stderr
    assert "nonsense" not in done.stderr
    assert "1 line named a product again" in done.stderr
    response = json.loads(done.stdout)
    assert [each["safename"] for each in response["found"]] == [GRD, SLC]
    assert [line["line"] for line in response["rejected"]] == [4]


def test_resolve_in_json_tells_all_facts_and_stable_codes(site: CliLab) -> None:
    response = json.loads(site.cdsed("resolve", listing(site, GRD, S2, S3, MISSPELT), "--json").stdout)
    assert response["schema"] == 2
    (found,) = response["found"]
    assert (found["safename"], found["online"], len(found["md5"])) == (GRD, True, 32)
    assert found["footprint_wkt"].startswith("POLYGON")
    assert [(each["safename"], each["code"], bool(each["id"])) for each in response["missing"]] == [
        (S2, "Offline", True),
        (S3, "Deleted", True),
        (MISSPELT, "NotInCatalogue", False),
    ]


def test_resolve_takes_a_listing_from_stdin(site: CliLab) -> None:
    done = site.cdsed("resolve", "-", stdin=f"{GRD}\n".encode())
    assert done.returncode == 0
    assert f",{GRD}," in done.stdout


def test_a_catalogue_that_is_down_is_an_error_and_not_an_absent_product(cli_lab: CliLab) -> None:
    with cli_lab.config.open("a", encoding="utf-8") as file:
        file.write("services: {catalogue_url: 'http://127.0.0.1:9/odata/v1'}\ncatalogue: {requests_per_s: 30}\n")
    output = cli_lab.root / "out.csv"
    done = cli_lab.cdsed("resolve", listing(cli_lab, GRD), "--output", str(output))
    assert done.returncode == 1
    assert "no connection" in done.stderr
    assert "not in the catalogue" not in done.stderr
    assert not output.exists()


def test_two_users_may_resolve_at_the_same_time(site: CliLab) -> None:
    files = [listing(site, GRD, name="a.txt"), listing(site, SLC, name="b.txt")]
    outputs: dict[str, str] = {}
    threads = [
        threading.Thread(target=lambda file=file: outputs.update({file: site.cdsed("resolve", file).stdout}))
        for file in files
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert GRD in outputs[files[0]]
    assert SLC not in outputs[files[0]]
    assert SLC in outputs[files[1]]


def test_match_finds_the_grd_of_an_slc_as_a_listing(site: CliLab) -> None:
    output = site.root / "grd.csv"
    done = site.cdsed("match", listing(site, SLC, S2), "--to", "GRD", "--output", str(output))
    assert done.returncode == 1
    assert done.stderr == f"{S2}: no GRD within 2 s\n"
    assert [each.safename for each in named(output)] == [GRD]
    assert output.read_text(encoding="utf-8").rstrip().endswith(f",{SLC}")


def test_match_keeps_to_its_tolerance(site: CliLab) -> None:
    file = listing(site, SLC)
    assert site.cdsed("match", file, "--to", "GRD", "--tolerance-s", "0.5").returncode == 1
    response = json.loads(site.cdsed("match", file, "--to", "GRD", "--json").stdout)
    assert [(each["counterpart_of"], each["safename"]) for each in response["matches"]] == [(SLC, GRD)]
    assert response["without"] == []


def test_missing_counts_per_place_and_lists_the_absent_as_they_were_given(cli_lab: CliLab) -> None:
    archive = cli_lab.root / "archive"
    with cli_lab.config.open("a", encoding="utf-8") as file:
        file.write(f"archives: [{{root: {archive}}}]\n")
    (cli_lab.root / "spool").mkdir()
    (cli_lab.root / "spool" / S5P).write_bytes(b"CDF\x01netcdf")
    place = archive / "sentinel-2a" / "L1C" / "MSI" / "S2A_MSIL1C" / "2024" / "256"
    (place / S2).mkdir(parents=True)
    path = f"/eodata/Sentinel-1/SAR/IW_GRDH_1S/2024/06/04/{GRD}"
    absent = cli_lab.root / "absent.csv"
    lines = ["id,safename,S3Path", f",{S5P},", f",{S2},", f"{ID},{GRD},{path}", f",{SLC},"]

    done = cli_lab.cdsed("missing", listing(cli_lab, *lines), "--output", str(absent))

    assert done.returncode == 0, done.stderr
    assert [line.split() for line in done.stdout.split("\n")[:4]] == [
        ["storm.txt:", "4", "products"],
        [str(cli_lab.root / "spool"), "1"],
        [str(archive), "0"],
        ["on", "no", "disk", "3"],
    ]
    assert named(absent)[1] == Named(3, GRD, ID, path)
    # an empty directory is not a product
    assert [each.safename for each in named(absent)] == [S2, GRD, SLC]


def test_missing_looks_in_the_listings_own_output_directory(cli_lab: CliLab) -> None:
    (cli_lab.root / "mine").mkdir()
    (cli_lab.root / "mine" / S5P).write_bytes(b"CDF\x01netcdf")
    done = cli_lab.cdsed("missing", listing(cli_lab, f"# cdsed: outputdir={cli_lab.root / 'mine'}", S5P, GRD), "--json")
    response = json.loads(done.stdout)
    assert response["products"] == 2
    assert response["places"] == {str(cli_lab.root / "mine"): 1, str(cli_lab.root / "spool"): 0}
    assert response["absent"] == [GRD]
    assert "perhaps not mounted" in done.stderr


def test_convert_turns_odata_and_opensearch_answers_into_listings(cli_lab: CliLab) -> None:
    path = f"/eodata/Sentinel-1/SAR/IW_GRDH_1S/2024/06/04/{GRD}"
    odata = {"value": [{"Id": ID, "Name": GRD, "S3Path": path}, {"Id": ID, "Name": GRD, "S3Path": path}]}
    opensearch = {"features": [{"id": ID, "properties": {"title": GRD, "productIdentifier": path}}]}
    for response in (odata, opensearch):
        file = cli_lab.root / "answer.json"
        file.write_text(json.dumps(response), encoding="utf-8")
        done = cli_lab.cdsed("convert", str(file))
        assert done.returncode == 0, done.stderr
        assert done.stdout == f"id,safename,S3Path\n{ID},{GRD},{path}\n"


def test_convert_says_what_it_could_not_take_and_refuses_what_is_no_answer(cli_lab: CliLab) -> None:
    file = cli_lab.root / "answer.json"
    file.write_text(json.dumps({"value": [{"Name": GRD}, {"Name": "../../etc/passwd"}]}), encoding="utf-8")
    done = cli_lab.cdsed("convert", str(file), "--json")
    assert done.returncode == 1
    assert [each["safename"] for each in json.loads(done.stdout)["products"]] == [GRD]
    file.write_text('{"value": [', encoding="utf-8")
    assert cli_lab.cdsed("convert", str(file)).returncode == 65
    assert cli_lab.cdsed("convert", str(cli_lab.root / "nowhere.json")).returncode == 65


@pytest.mark.skipif(not DATA.is_dir(), reason="the shared sample data is not here (CDSED_SHARED_DATA)")
def test_convert_takes_every_product_of_the_real_pages(cli_lab: CliLab) -> None:
    for page in sorted((DATA / "odata").glob("odata_page_*.json")):
        rows = json.loads(page.read_text(encoding="utf-8"))["value"]
        output = cli_lab.root / "page.csv"
        assert cli_lab.cdsed("convert", str(page), "--output", str(output)).returncode == 0
        assert [(each.product_id, each.s3_path) for each in named(output)] == [
            (row["Id"], row["S3Path"]) for row in rows
        ]


def test_parse_tells_every_field(cli_lab: CliLab) -> None:
    done = cli_lab.cdsed("parse", GRD.removesuffix(".SAFE"), S3, "--json")
    assert done.returncode == 0
    first, second = json.loads(done.stdout)["names"]
    assert (first["unit"], first["mode"], first["product_type"], first["level"]) == ("S1A", "IW", "IW_GRDH_1S", "L1")
    assert first["fields"]["datatake"] == "069690"
    assert first["start"] == "2024-06-04T11:01:00Z"
    assert first["S3Path_guessed"].endswith(f"/2024/06/04/{GRD}")
    assert (second["family"], second["S3Path_guessed"], second["fields"]["timeliness"]) == ("S3", None, "NR")
    assert "datatake                069690" in cli_lab.cdsed("parse", GRD).stdout


@pytest.mark.parametrize(("word", "why"), [(MISSPELT, "orbit '05417' should be"), ("nonsense", "does not begin")])
def test_parse_says_what_is_wrong_with_a_name(cli_lab: CliLab, word: str, why: str) -> None:
    done = cli_lab.cdsed("parse", word)
    assert done.returncode == 65
    assert why in done.stderr


@pytest.mark.parametrize("command", [("resolve",), ("match", "--to", "GRD"), ("missing",), ("convert",)])
def test_an_output_that_cannot_be_is_refused_before_anything_is_asked(
    cli_lab: CliLab, command: tuple[str, ...]
) -> None:
    file = listing(cli_lab, GRD)
    for output, complaint in {cli_lab.root: "is a directory", cli_lab.root / "no" / "x.csv": "no directory"}.items():
        done = cli_lab.cdsed(*command, file, "--output", str(output))
        assert (done.returncode, done.stdout) == (64, "")
        assert complaint in done.stderr


@pytest.mark.parametrize("tolerance", ["nan", "-1", "1e9"])
def test_a_tolerance_that_is_none_is_refused(cli_lab: CliLab, tolerance: str) -> None:
    done = cli_lab.cdsed("match", listing(cli_lab, GRD), "--to", "SLC", "--tolerance-s", tolerance)
    assert done.returncode == 64
    assert "--tolerance-s" in done.stderr


def test_an_answer_nested_without_end_is_refused_at_once(cli_lab: CliLab) -> None:
    done = cli_lab.cdsed("convert", "-", stdin=b'{"value":' + b"[" * 200_000)
    assert done.returncode == 65
    assert "levels" in done.stderr
