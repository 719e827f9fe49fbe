import json
import os
import re
import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdsed.errors import InboxError
from cdsed.inbox.options import read_options
from cdsed.inbox.parse import read_listing
from cdsed.inbox.source import fingerprint
from cdsed.model.layout import ProductLayout
from cdsed.model.listing import Ignored, ListingLine, ListingOptions, Named, Rejected

_SIBLING = Path(__file__).parents[3].parent / "shared" / "data"
_DATA = Path(os.environ.get("CDSED_SHARED_DATA", _SIBLING))

A = "S1A_IW_GRDH_1SDV_20240604T110100_20240604T110131_054172_069690_E33E.SAFE"
B = "S2A_MSIL1C_20240912T112541_N0511_R137_T28PHQ_20240912T133420.SAFE"
ID = "521bd8f9-48a5-4e1f-9435-58f97cb64d39"
PATH = f"/eodata/Sentinel-1/SAR/IW_GRDH_1S/2024/06/04/{A}"
POLYGON = "POLYGON ((113.6 -29.7, 116.1 -29.1, 113.6 -29.7))"


def read(tmp_path: Path, content: str | bytes) -> list[ListingLine]:
    path = tmp_path / "listing.txt"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(read_listing(path))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(f"{A}\n{B}\n", [Named(1, A), Named(2, B)], id="bare names"),
        pytest.param(f"{A}\n{B}", [Named(1, A), Named(2, B)], id="no end of line at the end"),
        pytest.param(f"{A}\r\n{B}\r\n", [Named(1, A), Named(2, B)], id="CRLF"),
        pytest.param(f"{A}\r{B}\r", [Named(1, A), Named(2, B)], id="CR only"),
        pytest.param(f"{A}\r\r\n{B}", [Named(1, A), Ignored(2), Named(3, B)], id="CR CRLF"),
        pytest.param(f"\ufeff{A}\n", [Named(1, A)], id="BOM"),
        pytest.param(f"\ufeffsafename\n{A}\n", [Ignored(1), Named(2, A)], id="BOM and header"),
        pytest.param(f"# mine\n\n  \n{A}\n\x1a", [Ignored(1), Ignored(2), Ignored(3), Named(4, A), Ignored(5)]),
        pytest.param(f"{ID},{A}\n", [Named(1, A, ID)], id="id,safename"),
        pytest.param(f"id,safename\n{ID},{A}\n", [Ignored(1), Named(2, A, ID)], id="id,safename with header"),
        pytest.param(f"{PATH},{A}\n", [Named(1, A, None, PATH)], id="s3_path,safename"),
        pytest.param(f"s3_path,safename\n{PATH},{A}\n", [Ignored(1), Named(2, A, None, PATH)]),
        pytest.param(f"{ID},{A},s3:/{PATH}\n", [Named(1, A, ID, PATH)], id="three columns without header"),
        pytest.param(f"{ID};{A}\n", [Named(1, A, ID)], id="semicolon"),
        pytest.param(f"{ID}\t{A}\n", [Named(1, A, ID)], id="tab"),
        pytest.param(f"17,{A}\n", [Named(1, A)], id="an id that is none"),
        pytest.param(f"{PATH}/\n", [Named(1, A, None, PATH)], id="an S3 path alone names its product"),
        pytest.param(f"/home/me/data/{A}\n", [Named(1, A)], id="a path in front"),
        pytest.param(f"{A[:-5]}\n{A}.zip\n{A[:-5]}.zip", [Named(1, A), Named(2, A), Named(3, A)]),
        pytest.param(f'"{A}"\n', [Named(1, A)], id="quoted"),
        pytest.param(
            f'cloud,Name,Footprint,Id,S3Path\n3.5,{A},"{POLYGON}",{ID},{PATH}\n',
            [Ignored(1), Named(2, A, ID, PATH)],
            id="CSV with a polygon",
        ),
        pytest.param(f"\tId\tName\n0\t{ID}\t{A}\n\t{ID}\t{A}\n", [Ignored(1), Named(2, A, ID), Named(3, A, ID)]),
        pytest.param(f"Safe;x\n{A};1,5\n", [Ignored(1), Named(2, A)], id="semicolon CSV with decimal commas"),
        pytest.param(f"S3Path\n{PATH}\n", [Ignored(1), Named(2, A, None, PATH)], id="paths only"),
        pytest.param(f"Name,S3Path\n{A},\n,{PATH}\n", [Ignored(1), Named(2, A), Named(3, A, None, PATH)]),
        pytest.param("", [], id="empty"),
    ],
)
def test_every_format_is_understood(tmp_path: Path, content: str, expected: list[ListingLine]) -> None:
    assert read(tmp_path, content) == expected


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("hello world", "holds ' '"),
        ("README.md", "does not begin like"),
        (f"/eodata/../x/{A}", "cannot be used"),
        (f"/eodata/../x/{A},{A}", "cannot be used"),
        (f"{PATH},{B}", "leads to another product"),
        (",,", "it has no product name"),
        (f"{A}\u2028{B}", "holds '\\u2028'"),
        (f"{A}\x85{B}", "holds '\\x85'"),
        (f"{A} {B}", "holds ' '"),
    ],
)
def test_a_bad_line_is_rejected_with_number_and_reason_and_the_others_continue(
    tmp_path: Path, line: str, reason: str
) -> None:
    first, bad, last = read(tmp_path, f"{A}\n{line}\n{B}\n")
    assert (first, last) == (Named(1, A), Named(3, B))
    assert isinstance(bad, Rejected)
    assert (bad.line, bad.text) == (2, "S1A_IW_GRDH_1SDV" if A[:16] in line else "")
    assert bad.characters == len(line)
    assert reason in bad.reason
    assert line not in bad.message


def test_a_line_of_bad_utf_8_is_one_rejected_line(tmp_path: Path) -> None:
    assert read(tmp_path, f"{A}\ncaf".encode() + b"\xe9\n" + B.encode()) == [
        Named(1, A),
        Rejected(2, "", "byte 4 of the line is not UTF-8"),
        Named(3, B),
    ]


def test_a_line_too_long_is_one_rejected_line(tmp_path: Path) -> None:
    lines = read(tmp_path, f"{A}\n{'x' * 1_000_000}\n{B}\n")
    assert lines == [Named(1, A), Rejected(2, "", "the line is longer than 64 KiB"), Named(3, B)]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_are_counted_right_wherever_the_reading_blocks_fall(tmp_path: Path, end: str) -> None:
    # 262144 bytes a block: names of this length put every part of a line end at its edge once
    name = "S1A_" + "x" * 20
    lines = read(tmp_path, f"{name}{end}" * 60_000)
    assert len(lines) == 60_000
    assert all(line == Named(number, f"{name}.SAFE") for number, line in enumerate(lines, start=1))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from([b"S1A_x", b",", b";", b"\t", b'"', b"#", b"\r", b"\n", b"\xe9", b"id", b" "])))
def test_every_physical_line_has_its_items_in_order(tmp_path: Path, parts: list[bytes]) -> None:
    content = b"safename\n" + b"".join(parts)
    lines = re.split(rb"\r\n|\r|\n", content)
    count = len(lines) - (lines[-1] == b"")
    found = read(tmp_path, content)  # several for a line with a delimiter between words that may be products
    assert list(dict.fromkeys(item.line for item in found)) == list(range(1, count + 1))
    assert all(
        lines[number - 1].count(b"S1A_") > 1
        for number, items in Counter(item.line for item in found).items()
        if items > 1
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (f"{A}\n".encode("utf-16"), "UTF-16"),
        (f"{A}\n".encode("utf-16-le"), "NUL"),
        (b"S1A\0\n", "NUL"),
        (f"{A}\n".encode() * 10_000 + b"\0", "NUL"),
        (b"id\n17\n", "no column safename"),
        (b"{", "broken"),
        (b'{"value": [{"Name": "S1A', "broken"),
        (b'{"value": []} x', "broken"),
        (b'{"detail": "nope"}', "without products"),
        (b'{"value": 3}', "without products"),
        (b"[]", "without products"),
        (b'{"value": [{"Name": "\xff"}]}', "broken"),
    ],
)
def test_a_file_that_is_no_listing_is_refused_as_a_whole(tmp_path: Path, content: bytes, reason: str) -> None:
    with pytest.raises(InboxError, match=reason):
        read(tmp_path, content)


def test_a_directory_a_fifo_a_socket_and_a_link_are_no_listings(tmp_path: Path) -> None:
    listing = tmp_path / "real.txt"
    listing.write_text(A, encoding="utf-8")
    (tmp_path / "link").symlink_to(listing)
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "directory").mkdir()
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(tmp_path / "socket"))
        for name in ("link", "fifo", "directory", "socket", "nothing"):
            with pytest.raises(InboxError, match=f"{name} cannot be read"):
                read_listing(tmp_path / name)


def test_an_odata_answer_gives_one_item_per_product(tmp_path: Path) -> None:
    response = {
        "@odata.context": "x",
        "value": [
            {"Id": ID, "Name": A, "S3Path": PATH, "Attributes": [{"Name": "origin", "Value": "ESA"}]},
            {"Id": "7"},
            {"Id": None, "Name": B, "S3Path": None},
            "odd",
        ],
    }
    first, second, third, fourth = read(tmp_path, json.dumps(response))
    assert (first, third) == (Named(1, A, ID, PATH), Named(3, B))
    assert second == Rejected(2, "", "it has no product name")
    assert isinstance(fourth, Rejected)


def test_one_odata_product_alone_is_an_answer_too(tmp_path: Path) -> None:
    product = {"@odata.context": "x", "Id": ID, "Name": A, "S3Path": PATH, "Online": True}
    assert read(tmp_path, "\ufeff\n " + json.dumps(product, indent=1)) == [Named(1, A, ID, PATH)]


def test_an_opensearch_answer_gives_one_item_per_feature(tmp_path: Path) -> None:
    feature = {"id": ID, "properties": {"title": A, "productIdentifier": PATH}, "geometry": None}
    response = {"type": "FeatureCollection", "properties": {"id": "x"}, "features": [feature]}
    assert read(tmp_path, json.dumps(response)) == [Named(1, A, ID, PATH)]


def test_an_options_line_may_stand_before_json(tmp_path: Path) -> None:
    content = f'# cdsed: priority=5@# more@@{{"value": [{{"Name": "{A}"}}]}}'
    for end in ("\n", "\r\n", "\r"):
        assert read(tmp_path, content.replace("@", end)) == [Named(1, A)]


def test_real_odata_pages_are_read() -> None:
    pages = sorted((_DATA / "odata").glob("odata_page_*.json"))
    if not pages:
        pytest.skip("no real answers here: set CDSED_SHARED_DATA")
    items = [item for page in pages for item in read_listing(page)]
    assert len(items) == 47
    assert all(isinstance(item, Named) and item.product_id and item.s3_path for item in items)


@pytest.mark.parametrize(
    ("line", "options"),
    [
        ("", ListingOptions()),
        (A, ListingOptions()),
        ("# cdsed:", ListingOptions()),
        ("# just a comment", ListingOptions()),
        (
            "# cdsed: priority=5 group=lops outputdir=/data/out",
            ListingOptions(5, "lops", "/data/out"),
        ),
        ("#cdsed:priority=-3", ListingOptions(priority=-3)),
        ('# cdsed: "outputdir=/data/my out"', ListingOptions(outputdir="/data/my out")),
        ("\ufeff# cdsed: group=a\r\nx", ListingOptions(group="a")),
        ("# cdsed: group=a\rx", ListingOptions(group="a")),
        ("# cdsed: layout={unit}/{year}", ListingOptions(layout=ProductLayout.parse("{unit}/{year}"))),
        (
            "# cdsed: include=*-vv-*,./annotation/ exclude='two words'",
            ListingOptions(include=("*-vv-*", "annotation"), exclude=("two words",)),
        ),
    ],
)
def test_the_first_line_sets_options(tmp_path: Path, line: str, options: ListingOptions) -> None:
    path = tmp_path / "listing"
    path.write_bytes(line.encode())
    assert read_options(path) == options


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("prio=5", "it has an unknown option"),
        ("priority", "priority should be"),
        ("priority=high", "priority should be"),
        ("priority=99999", "priority should be"),
        ("priority=1 priority=2", "given twice"),
        ("group=", "group should be"),
        ("group=../x", "group should be"),
        ("outputdir=data", "outputdir should be"),
        ("outputdir=/data/../etc", "outputdir should be"),
        ("outputdir='/data", "No closing quotation"),
        ("layout={yaer}", "layout has no field {yaer}; there are family, mission"),
        ("layout=/data/{year}", "layout must be a relative path"),
        ("layout={year:>9}", "layout must name {year} alone"),
        ("include=/measurement", "leave out the first /"),
        ("exclude=a,,b", "one of paths"),
        ("include=" + ",".join(f"f{number}" for number in range(101)), "100 patterns"),
    ],
)
def test_options_that_cannot_be_followed_refuse_the_file(tmp_path: Path, options: str, reason: str) -> None:
    path = tmp_path / "listing"
    path.write_text(f"# cdsed: {options}\n", encoding="utf-8")
    with pytest.raises(InboxError, match=reason):
        read_options(path)


@pytest.mark.parametrize(
    "options",
    ["{}", "{}=1", "priority={}", "group=../{}", "outputdir={}", "group=a group={}", "layout=/{}", "include=/{}"],
)
def test_nothing_of_options_that_cannot_be_followed_is_repeated(tmp_path: Path, options: str) -> None:
    path = tmp_path / "listing"
    path.write_text(f"# cdsed: {options.format('swordfish')}\n", encoding="utf-8")
    with pytest.raises(InboxError) as refused:
        read_options(path)
    assert "sword" not in str(refused.value)


def test_the_fingerprint_is_that_of_the_whole_content(tmp_path: Path) -> None:
    path = tmp_path / "listing"
    path.write_bytes(b"\xef\xbb\xbfabc")
    printed = subprocess.run(["sha256sum", path], capture_output=True, check=True, text=True).stdout
    assert fingerprint(path) == printed.split()[0]


_READ = """
import resource, sys
from pathlib import Path
from cdsed.inbox.parse import read_listing
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
count = sum(1 for _ in read_listing(Path(sys.argv[1])))
print(count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize("kind", ["lines", "one line", "answer"])
def test_a_huge_listing_is_read_in_bounded_memory(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "huge"
    with path.open("w", encoding="utf-8") as file:
        if kind == "lines":
            file.writelines(f"{A}\n" for _ in range(300_000))
        elif kind == "one line":
            file.writelines("x" * 1_000_000 for _ in range(100))
        else:
            file.write('{"value": [')
            file.write(",".join(json.dumps({"Name": A, "Footprint": "x" * 1000}) for _ in range(20_000)))
            file.write("]}")
    done = subprocess.run([sys.executable, "-c", _READ, path], capture_output=True, check=True, text=True, timeout=60)
    count, grown_kib = map(int, done.stdout.split())
    assert count == {"lines": 300_000, "one line": 1, "answer": 20_000}[kind]
    assert grown_kib < 16 * 1024


@pytest.mark.parametrize(
    "content",
    [
        pytest.param('groups:\n  default:\n    accounts:\n      a: {login: x, password: "y"}\n', id="an accounts file"),
        pytest.param("machine cdse login me password hunter2hunter\n", id=".netrc"),
        pytest.param("S3_ACCESS_KEY=abc\nS3_SECRET_KEY=def\n", id="an env file of S3"),
        pytest.param("AWS_ACCESS_KEY_ID=abc\nAWS_SECRET_ACCESS_KEY=def\n", id="an env file of AWS"),
        pytest.param("[cdse]\ntype = s3\nsecret_access_key = abc\n", id="rclone.conf"),
        pytest.param("aws_secret_access_key = abc\n[default]\n", id="a boto file"),
        pytest.param("-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0\n-----END PRIVATE KEY-----\n", id="PEM"),
        pytest.param("c2VjcmV0IHNlY3JldCBzZWNyZXQ=\n", id="base64"),
        pytest.param("3f9ac07b2e8d4415a6b0c1d2e3f40516\n", id="a key alone"),
        pytest.param("https://me:hunter2@cdse.example/download\n", id="an address with a password"),
        pytest.param('{"access_token": "abc", "expires_in": 600}', id="a token"),
        pytest.param('{"Name": "me", "password": "abc"}', id="JSON with a name"),
        pytest.param('{"value": [{"Name": "me", "Id": "abc"}]}', id="JSON with values"),
        pytest.param("<!DOCTYPE html><a href='x'>S1A_IW_GRDH_1SDV.SAFE</a>\n", id="a page"),
        pytest.param("login,password\nme,hunter2\n", id="a table without products"),
        pytest.param("id,name,password\n1,me,hunter2\n", id="a table with names of others"),
        pytest.param("P\xe9trus, a text\nabout nothing\n".encode("latin-1"), id="a text"),
        pytest.param(b"\x89PNG\r\n\x1a\n\xff\xd8 no zeros here", id="an image"),
        pytest.param(f"# for {A}\r\npassword: hunter2\r\n", id="a comment names a product"),
        pytest.param("# cdsed: accounts. Copy to /etc\ngroups: {}\n", id="the example"),
    ],
)
def test_a_file_that_is_not_a_listing_is_refused_whole_and_unquoted(tmp_path: Path, content: str | bytes) -> None:
    with pytest.raises(InboxError) as refused:
        read(tmp_path, content)
    reported = str(refused.value)
    assert reported.startswith("listing.txt ")
    for secret in ("abc", "def", "hunter", "MIIE", "c2Vj", "3f9a", "trus"):
        assert secret not in reported


@pytest.mark.parametrize(
    "content",
    [
        f"{A.lower()}\n",
        f"{A.replace('S1A', 'SIA')}\n",
        f"{A.replace('_', ' ')}\n{B}",
        "S1A_IW_GRDH\n",
        "safename\nnothing yet\n",
        "Name\n",
        "id,Name,S3Path\n",
        "# only a comment\n\n",
    ],
)
def test_a_listing_with_bad_lines_or_a_misspelt_name_stays_a_listing(tmp_path: Path, content: str) -> None:
    assert read(tmp_path, content)


@pytest.mark.parametrize(
    ("line", "reported"),
    [
        (
            "Sentinel-2 over Brest",
            "holds ' '; names are made of letters, digits and . _ + - (21 characters, not shown)",
        ),
        (f"{A[:-5]} x", "'S1A_IW_GRDH_1SDV…' holds ' '; names are made of letters, digits and . _ + - (69 characters)"),
        ("S1A_hunter2 x", "'S1A_…' holds ' '; names are made of letters, digits and . _ + - (13 characters)"),
        (
            'password: "pass/wordX"',
            "does not begin like the name of a Sentinel product, e.g. S1A_ or S2B_ (22 characters, not shown)",
        ),
    ],
)
def test_of_a_bad_line_only_the_beginning_of_a_name_is_shown(tmp_path: Path, line: str, reported: str) -> None:
    bad = read(tmp_path, f"{A}\n{line}\n")[1]
    assert isinstance(bad, Rejected)
    assert bad.message == reported
