"""Whatever bytes a listing is made of, each of its lines gets one verdict, or the file as a whole is refused."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cdsed.errors import InboxError
from cdsed.inbox.options import read_options
from cdsed.inbox.parse import read_listing
from cdsed.model import safename
from cdsed.model.eodata import split_s3_path
from cdsed.model.listing import Named, Rejected
from tests.fuzz.campaign import examples
from tests.fuzz.mutations import documents, mutated

_SIBLING = Path(__file__).parents[3] / "shared" / "data"
_DATA = Path(os.environ.get("CDSED_SHARED_DATA", _SIBLING))

NAME = "S1A_IW_GRDH_1SDV_20240604T110100_20240604T110131_054172_069690_E33E.SAFE"
PATH = f"/eodata/Sentinel-1/SAR/IW_GRDH_1S/2024/06/04/{NAME}"
UUID = "7fa0bb0c-6f5d-4c55-a3a5-4d6b3b1a6f10"
LISTINGS = [
    f"{NAME}\n{NAME[:-5]}\n# word\n\n".encode(),
    f"# cdsed: priority=5 group=lab outputdir=/data\r\n{UUID},{NAME}\r\n".encode(),
    f'Name,ContentLength,Id,S3Path,Footprint\n{NAME},5,{UUID},{PATH},"POLYGON((1 2, 3 4))"\n'.encode(),
    f"\ufeffsafename;s3path\r{NAME};s3:/{PATH}\r".encode(),
    json.dumps({"@odata.count": 1, "value": [{"Name": NAME, "Id": UUID, "S3Path": PATH}]}).encode(),
    json.dumps({"features": [{"id": UUID, "properties": {"title": NAME, "productIdentifier": PATH}}]}).encode(),
    json.dumps({"Name": NAME, "Id": UUID, "S3Path": PATH}).encode(),
]
LINES = st.sampled_from(
    [
        NAME,
        NAME.lower(),
        f"{UUID},{NAME}",
        PATH,
        f'"{NAME}"',
        f"x,{PATH}/../y",
        "# cdsed: priority=1",
        "id,Name",
        "",
        "{",
    ]
)
TEXTS = st.lists(st.one_of(LINES, st.text(max_size=200)), max_size=12)
ENDS = st.sampled_from(["\n", "\r\n", "\r", "\u2028", "\x85", "\n\n"])
ENCODINGS = st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1", "utf-7", "cp037"])


@pytest.fixture(scope="module")
def listing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "listing.txt"


def _read(listing: Path, content: bytes) -> list[Any] | None:
    """Read a listing as intake does; None when it is refused as a whole."""
    listing.write_bytes(content)
    try:
        read_options(listing)
        return list(read_listing(listing))
    except InboxError as refusal:
        said = str(refusal)
    assert 0 < len(said) < 1000
    assert listing.name in said or "header" in said
    return None


def _is_well_formed(found: list[Any]) -> None:
    numbers = [line.line for line in found]  # a line with several products has an item for each
    assert numbers == sorted(numbers)
    assert set(numbers) == set(range(1, numbers[-1] + 1 if numbers else 1))
    for line in found:
        match line:
            case Named():
                assert line.known_name is None or safename.normalise(line.safename) == line.safename
                assert line.s3_path is None or split_s3_path(line.s3_path).s3_path == line.s3_path
            case Rejected():
                assert line.reason
                assert len(line.text) <= 120
                f"{line.text!r} {line.reason}".encode()


def _lines(content: bytes) -> int:
    text = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return text.count(b"\n") + (not text.endswith(b"\n") and bool(text.removeprefix(b"\xef\xbb\xbf")))


@examples(300)
@given(st.one_of(st.binary(max_size=2000), st.sampled_from(LISTINGS).flatmap(mutated)))
@example(b"#" * 70_000 + b"\n[")
@example(b"\n" * 70_000)
@example(b'{"Name": "' + b"\\ud800" * 5 + b'"}')
@example(b'{"Name": 1e99999999999999999999}')
@example(b'{"Name": ' + b"9" * 10_000 + b"}")
@example(b'{"value": [{"Name": ' + b"[" * 90 + b"]" * 90 + b"}]}")
@example(b"# cdsed: outputdir=/" + b"\xff\x1b[2J")
def test_any_bytes_are_refused_as_a_whole_or_judged_line_by_line(listing: Path, content: bytes) -> None:
    found = _read(listing, content)
    if found is not None:
        _is_well_formed(found)
        if content.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] not in (b"{", b"[", b"#"):
            assert len({line.line for line in found}) == _lines(content)


@examples(200)
@given(TEXTS, ENDS, ENCODINGS)
def test_a_text_in_any_encoding_loses_no_line(listing: Path, lines: list[str], end: str, encoding: str) -> None:
    content = end.join(lines).encode(encoding, errors="ignore")
    found = _read(listing, content)
    if found is not None:
        _is_well_formed(found)


@examples(200)
@given(documents())
def test_any_json_is_refused_as_a_whole_or_judged_product_by_product(listing: Path, document: Any) -> None:
    found = _read(listing, json.dumps(document).encode())
    if found is not None:
        _is_well_formed(found)


@examples(60)
@given(st.data())
def test_real_answers_of_the_catalogue_may_be_spoilt_in_any_way(listing: Path, data: st.DataObject) -> None:
    pages = sorted(_DATA.glob("odata/odata_page_*.json"))
    if not pages:
        pytest.skip("no real answers here: set CDSED_SHARED_DATA")
    page = data.draw(st.sampled_from(pages)).read_bytes()
    found = _read(listing, data.draw(mutated(page)))
    if found is not None:
        _is_well_formed(found)


def _name(word: str) -> str | None:
    try:
        return safename.normalise(word)
    except ValueError as refusal:
        said = str(refusal)
    assert 0 < len(said) < 1000
    return None


@examples(500)
@given(st.one_of(st.text(max_size=300), mutated(NAME.encode()).map(lambda raw: raw.decode(errors="replace"))))
@example("S1A_" + "x" * 300)
@example("S1A_..")
@example(f"../../{NAME}")
@example(f"{NAME}\0")
def test_a_word_is_a_safename_that_is_safe_as_a_file_name_or_is_refused(word: str) -> None:
    name = _name(word)
    if name is None:
        return
    assert len(name.encode()) <= safename.NAME_BYTES_MAX
    assert not set(name) & set("/\\\0\n ")
    assert ".." not in name
    assert not name.startswith(("-", "."))
    assert safename.parse(name).name == name
    safename.misfit(name)
