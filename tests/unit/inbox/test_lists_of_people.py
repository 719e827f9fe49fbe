"""Lists as people and their programs have them: several products on a line, tables, and paths of all kinds."""

import json
from pathlib import Path

import pytest

from cdsed.errors import InboxError
from cdsed.inbox.parse import read_listing
from cdsed.model.listing import Ignored, ListingLine, Named, Rejected

A = "S1A_IW_GRDH_1SDV_20240604T110100_20240604T110131_054172_069690_E33E.SAFE"
B = "S2A_MSIL1C_20240912T112541_N0511_R137_T28PHQ_20240912T133420.SAFE"
C = "S3A_SL_2_LST____20240604T110100_20240604T110400_20240604T130000_0179_113_094_2160_PS1_O_NR_004.SEN3"
MISSPELT = "SIA_IW_GRDH_1SDV_20240604T110100_20240604T110131_054172_069690_E33E"
ID, OTHER_ID = "521bd8f9-48a5-4e1f-9435-58f97cb64d39", "7fa0bb0c-6f5d-4c55-a3a5-4d6b3b1a6f10"
PATH = f"/eodata/Sentinel-1/SAR/IW_GRDH_1S/2024/06/04/{A}"
PATH_B = f"/eodata/Sentinel-2/MSI/L1C/2024/09/12/{B}"
AWAY = "its path is not in the bucket eodata and was not used"
WEB = "its path is a web address and was not used"


def read(tmp_path: Path, content: str) -> list[ListingLine]:
    path = tmp_path / "listing.txt"
    path.write_text(content, encoding="utf-8")
    return list(read_listing(path))


def products(lines: list[ListingLine]) -> list[tuple[int, str]]:
    assert not any(isinstance(line, Rejected) for line in lines), lines
    return [(line.line, line.safename) for line in lines if isinstance(line, Named)]


@pytest.mark.parametrize(
    "line",
    [
        f"{A},{B},{C}",
        f"{A[:-5]};{B[:-5]};{C[:-5]}",
        f"{A}\t{B}\t{C}",
        f"{A}, {B}, {C}",
        f'"{A}","{B}","{C}"',
        f"{A},{B};{C}",
        f"x,{A},7,{B},S1A_IW_GRDH,{C}",
        f"{A}|{B}|{C}",
        f"| {A} | {B} | {C} |",
        f"['{A}', '{B}', '{C}'],",
        f"{{`{A}`, “{B}”, '{C}'}}",
    ],
)
def test_a_line_with_several_products_gives_each_with_the_number_of_the_line(tmp_path: Path, line: str) -> None:
    assert products(read(tmp_path, f"{B}\n{line}\n{A}\n")) == [(1, B), (2, A), (2, B), (2, C), (3, A)]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (f"{A} {PATH_B}", "between two products"),
        (f"{PATH} {PATH_B}", "between two products"),
        (f"{A} {B}", "between two products"),
        (f"{PATH},{PATH_B},{C}", "leads to another product"),
        (f"{A},{PATH_B}", "leads to another product"),
        (f"{A},{PATH_B}/manifest.safe", "leads to another product"),
        (f"{A},s3://sentinel-s1-l1c/GRD/{B}", "leads to another product"),
        (f"{A},{MISSPELT}", "does not begin like"),
        (f"{A};{B} x", "holds ' '"),
        (f"{A}^{B}", "holds '^'"),
        (f"{A}/{B}", "several products in one word"),
        (f"{A}+{B}", "several products in one word"),
        (f"{A}{B}", "several products in one word"),  # two files, of which the first has no last line end
        (f"{A[:-5]}{B[:-5]}", "several products in one word"),
        (f"{A}: {PATH_B}", "several products in one word"),
        (f"D:\\{A}\\{B}", "several products in one word"),
    ],
)
def test_a_line_of_which_a_product_would_be_lost_is_rejected(tmp_path: Path, line: str, reason: str) -> None:
    first, bad, last = read(tmp_path, f"{B}\n{line}\n{A}\n")
    assert (first, last) == (Named(1, B), Named(3, A))
    assert isinstance(bad, Rejected)
    assert bad.line == 2
    assert reason in bad.reason


@pytest.mark.parametrize(
    "table",
    [
        f"reference,secondary\n{A},{B}\n",
        f",reference,secondary,bperp_m\n0,{A[:-5]},{B[:-5]},-12.3\n",
        f"Name,reference\n{A},{B}\n",
        f"reference;secondary\n{PATH};{PATH_B}\n",
        f",0,1\n0,{A},{B}\n",
    ],
)
def test_a_table_of_pairs_gives_both(tmp_path: Path, table: str) -> None:
    assert read(tmp_path, table)[0] == Ignored(1)
    assert products(read(tmp_path, table)) == [(2, A), (2, B)]


def test_a_pair_of_which_one_is_misspelt_is_rejected(tmp_path: Path) -> None:
    assert isinstance(read(tmp_path, f"reference,secondary\n{A},{B}\n{A},{MISSPELT}\n")[-1], Rejected)


def test_the_column_of_given_names_that_match_writes_is_left_out(tmp_path: Path) -> None:
    table = f"id,safename,S3Path,counterpart_of\n{ID},{A},{PATH},{B}\n"
    assert read(tmp_path, table) == [Ignored(1), Named(2, A, ID, PATH)]


@pytest.mark.parametrize(
    ("table", "named"),
    [
        (f"mission,platform,type,product\nS1_SAR,Sentinel-1A,S1A_IW_GRDH,{A}\n", [(2, A)]),
        (f"Sentinel-1,S1A_IW_GRDH,{A},12\n", [(1, A)]),
        (f"name,file\nBrest,{A}\nS1A_IW_GRDH,{B}\n", [(2, A), (3, B)]),
        (f"sep=;\nplatform;my scene\nSentinel-1A;{A[:-5]}\n", [(3, A)]),
        (f"sep=;\n{A};7\n", [(2, A)]),
        (f'geom,my scene\n"POLYGON((1 2, 3 4))",{A}\n', [(2, A)]),
        (f"scenes_to_get\n{A}\n\n{B}\n", [(2, A), (4, B)]),
        (f'"Granule Name","Platform","URL"\n"{A[:-5]}","Sentinel-1A","https://x.example/{A[:-5]}.zip"\n', [(2, A)]),
        (
            f"title,datastripidentifier\n{A[:-5]},S2A_OPER_MSI_L1C_DS_VGS4_20240912T133420_S20240912T112541_N05.11\n",
            [(2, A)],
        ),
    ],
)
def test_the_column_of_names_is_found_by_what_is_in_it(
    tmp_path: Path, table: str, named: list[tuple[int, str]]
) -> None:
    assert products(read(tmp_path, table)) == named


@pytest.mark.parametrize(
    "printed",
    [
        f"| id | name |\n|:---|-----:|\n| 1 | {A} |\n| 2 | {B} |\n",
        f" id |  name\n----+------\n  1 | {A}\n  2 | {B}\n(2 rows)\n",
        f"+----+------+\n| id | name |\n+====+======+\n|  1 | {A} |\n|  2 | {B} |\n+----+------+\n",
        f"          Name  cloud\n0  {A}    NaN\n1  {B}   13.5\n\n[2 rows x 2 columns]\n",
        f"          Name\n0  {A}\n1  {B}\n",
        f"['{A}'\n '{B}']\n",
        f"[\n  '{A}',\n  '{B}',\n]\n",
        f"- `{A}`\n- `{B}`\n",
        f"Name,S3Path\n{A},{PATH}\nName,S3Path\n{B},\n",
        f"Name,S3Path\n{A},{PATH}\nS3Path;Name\n{PATH_B};{B}\n",
        f"scenes_to_get\n{A}\nscenes_to_get\n{B}\n",
        f"product,product\nName,S3Path\n{A},\n{B},\n",
        f'Name;cloud;Footprint;S3Path\n{A};3,5;"POLYGON ((1 2; 3 4, 5 6))";{PATH}\n{B};1,5;"";\n',
    ],
)
def test_what_stands_around_products_in_a_printed_table_is_no_rejected_line(tmp_path: Path, printed: str) -> None:
    assert [name for _, name in products(read(tmp_path, printed))] == [A, B]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("...", "does not begin like"),  # rows are left out
        (f"0  {A[:50]}...", "holds ' '"),
        (f"name,id,{MISSPELT}", "does not begin like"),
        (A.replace("_", " "), "holds ' '"),
        ("My name", "holds ' '"),
    ],
)
def test_a_line_of_a_printed_table_that_may_hold_a_product_is_rejected(tmp_path: Path, line: str, reason: str) -> None:
    bad = read(tmp_path, f"{A}\n{line}\n{B}\n")[1]
    assert isinstance(bad, Rejected)
    assert reason in bad.reason


def test_a_misspelt_name_in_the_first_line_is_no_header(tmp_path: Path) -> None:
    for line in (A.replace("_", " "), f"name {MISSPELT}", f"{MISSPELT} name"):
        assert isinstance(read(tmp_path, f"{line}\n{B}\n")[0], Rejected)


def test_a_rule_of_any_length_is_read_in_a_moment(tmp_path: Path) -> None:
    rules = ["-" * 60_000 + "x", "\t" * 60_000 + "-x", "+-" * 30_000 + "=", "---" + "\t" * 60_000 + "x"]
    assert len(read(tmp_path, "\n".join([A, *rules]))) == 5


def test_a_name_in_the_column_of_paths_is_a_name(tmp_path: Path) -> None:
    assert read(tmp_path, f"S3Path,x\n{A},1\n")[1] == Named(2, A)


def test_the_names_in_an_array_of_an_object_are_taken_too(tmp_path: Path) -> None:
    stack = {"reference": A, "secondaries": [B, C], "keywords": ["S1A_IW_GRDH", "x"], "links": [{"href": PATH}]}
    assert products(read(tmp_path, json.dumps([stack]))) == [(1, A), (1, B), (1, C)]


def test_a_column_of_ids_belongs_to_the_names(tmp_path: Path) -> None:
    assert read(tmp_path, f",uuid,my product\n0,{ID},{A}\n") == [Ignored(1), Named(2, A, ID)]
    several = Named(1, A, None, None, "it has several ids, and none of them was used")
    assert read(tmp_path, f"{ID},{A},{OTHER_ID}\n") == [several]


@pytest.mark.parametrize("absent", ["", "NA", "N/A", "NaN", "nan", "NULL", "None", "-", "<NA>", '""'])
@pytest.mark.parametrize("header", ["Name,S3Path\n", ""])
def test_a_path_that_is_not_there_does_not_matter(tmp_path: Path, header: str, absent: str) -> None:
    assert read(tmp_path, f"{header}{A},{absent}\n")[-1] == Named(2 if header else 1, A)


@pytest.mark.parametrize(
    "path",
    [
        f"/vsis3{PATH}",
        f"/vsis3{PATH}/manifest.safe",
        f"/vsis3_streaming{PATH}/measurement/x.tiff",
        f"https://eodata.dataspace.copernicus.eu{PATH}",
        f"https://eodata.dataspace.copernicus.eu{PATH}/manifest.safe?X-Amz-Signature=abc",
        f"s3a:/{PATH}/",
        f"S3:/{PATH}",
        f"{PATH}/measurement/s1a-iw-grd-vv.tiff",
        PATH.removeprefix("/"),
        PATH.removeprefix("/eodata/"),
    ],
)
@pytest.mark.parametrize("form", ["{0}", "{1},{0}", "safename,S3Path\n{1},{0}", "name\tlocation\n{1}\t{0}"])
def test_a_path_that_can_be_understood_is_used(tmp_path: Path, form: str, path: str) -> None:
    assert read(tmp_path, form.format(path, A))[-1] == Named(form.count("\n") + 1, A, None, PATH)


@pytest.mark.parametrize(
    ("path", "remark"),
    [
        (f"s3://sentinel-s1-l1c/GRD/2024/6/4/IW/DV/{A[:-5]}", AWAY),
        (f"s3://sentinel-s1-l1c/GRD/2024/6/4/IW/DV/{A[:-5]}/measurement/iw-vv.tiff", AWAY),
        ("s3://sentinel-s1-l1c/GRD/2024/6/4/", AWAY),
        (f"/vsis3/other/{A}", AWAY),
        (f"https://datapool.example/GRD_HD/SA/{A[:-5]}.zip", WEB),
        (f"/vsicurl/https://x.example/{A}", WEB),
        ("https://x.example/abc", WEB),
        ("/eodata/Sentinel-1/SAR/", "its path does not lead to a product and was not used"),
        ("s3://eodata/", "its path cannot be used and was not used"),
    ],
)
def test_a_path_that_cannot_be_used_is_forgotten_with_a_remark_and_the_name_decides(
    tmp_path: Path, path: str, remark: str
) -> None:
    expected = Named(2, A, None, None, remark)
    assert read(tmp_path, f"safename,S3Path\n{A},{path}\n")[1] == expected
    assert read(tmp_path, f"#\n{A},{path}\n")[1] == expected
    assert read(tmp_path, json.dumps([{}, {"Name": A, "S3Path": path}]))[1] == expected


@pytest.mark.parametrize("form", ["safename,S3Path\n{1},{0}", "{0}", '{{"Name": "{1}", "S3Path": "{0}"}}'])
@pytest.mark.parametrize("begin", ["s3://mirror/", "s3://eodata/", "/eodata/"])
def test_a_path_of_the_bucket_of_the_settings_is_used_by_its_own_name_and_as_eodata(
    tmp_path: Path, form: str, begin: str
) -> None:
    path = PATH.replace("/eodata/", begin, 1)
    (tmp_path / "list").write_text(form.format(path, A), encoding="utf-8")
    found = list(read_listing(tmp_path / "list", bucket="mirror"))[-1]
    assert (found.safename, found.s3_path, found.remark) == (A, PATH, "")  # type: ignore[union-attr]


def test_a_local_path_in_the_column_of_paths_never_reaches_the_service(tmp_path: Path) -> None:
    assert read(tmp_path, f"safename,S3Path\n{A},/data/spool/{A}\n")[1] == Named(2, A, None, None, AWAY)


def test_json_lines_are_judged_line_by_line(tmp_path: Path) -> None:
    lines = [{"Name": A}, {"reference": A[:-5], "secondary": B}, {"value": [{"Name": B, "Id": ID}, {"Name": C}]}]
    first, pair, page = map(json.dumps, lines)
    found = read(tmp_path, f'{first}\n{{broken\n\n{pair}\n{page}\n{{"x": "y"}}')
    assert [(line.line, type(line)) for line in found if not isinstance(line, Named)] == [
        (2, Rejected),
        (3, Ignored),
        (6, Rejected),
    ]
    assert [line for line in found if isinstance(line, Named)] == [
        Named(1, A),
        Named(4, A),
        Named(4, B),
        Named(5, B, ID),
        Named(5, C),
    ]


def test_pages_one_after_another_are_one_listing(tmp_path: Path) -> None:
    pages = [json.dumps({"value": [{"Name": name}]}, indent=1) for name in (A, B)]
    assert products(read(tmp_path, "\n".join(pages))) == [(1, A), (2, B)]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (f"{ID}\n", [Named(1, ID, ID)]),
        (f"{ID.upper()},{OTHER_ID}\n", [Named(1, ID, ID), Named(1, OTHER_ID, OTHER_ID)]),
        (f"id\n{ID}\n", [Ignored(1), Named(2, ID, ID)]),
        (f"id,safename,S3Path\n{ID},,\n", [Ignored(1), Named(2, ID, ID)]),
        (f"https://catalogue.example/odata/v1/Products({ID})/$value\n", [Named(1, ID, ID)]),
        (f'{{"value": [{{"Id": "{ID}"}}]}}', [Named(1, ID, ID)]),
    ],
)
def test_a_product_may_be_requested_by_its_id_alone(tmp_path: Path, content: str, expected: list[ListingLine]) -> None:
    assert read(tmp_path, content) == expected
    assert expected[-1].known_name is None  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "content",
    [f"password: {ID}\n", f"{ID}\nhunter2\n", f"key={ID}\n", f'{{"secret": "{ID}"}}', f'{{"id": "{ID}", "s": "x"}}'],
)
def test_a_secret_of_the_form_of_an_id_is_not_a_listing(tmp_path: Path, content: str) -> None:
    with pytest.raises(InboxError):
        read(tmp_path, content)


def test_broken_parquet_and_a_table_of_other_things_are_refused(tmp_path: Path) -> None:
    import pandas as pd

    file = tmp_path / "x.parquet"
    pd.DataFrame({"login": ["me"], "password": ["hunter2"]}).to_parquet(file)
    with pytest.raises(InboxError, match="without a column of products"):
        read_listing(file)
    for content in (file.read_bytes()[:-9], b"PAR1 and more\0"):
        file.write_bytes(content)
        with pytest.raises(InboxError, match="broken or incomplete"):
            read_listing(file)
