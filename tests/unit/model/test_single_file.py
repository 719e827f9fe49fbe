"""Which products are one file, and what such a file looks like: whole, cut off, or something else."""

import gzip
import io
import struct
import tarfile
import zipfile
from typing import Any

import pytest

from cdsed.model.objects import ListedObject
from cdsed.model.single_file import form_fault, single_file

S5P = "S5P_OFFL_L2__NO2____20211211T104909_20211211T123039_21566_02_020301_20211213T011704"
S1 = "S1A_IW_GRDH_1SDV_20240604T110100_20240604T110131_054172_069690_E33E"
S3 = "S3A_OL_1_EFR____20211021T073827_20211021T074112_20211021T091357_0164_077_334_4320_LN1_O_NR_002"
AUX = "S1A_AUX_INS_V20140406T133000_G20150119T143434"
HTML = b"<html><body>Not found</body></html>\n"


def hdf5(version: int, size_bytes: int = 1000) -> bytes:
    """Return the smallest file whose superblock states its end (HDF5 File Format Specification 3.0, II.A)."""
    if version < 2:
        head = bytes([version, 0, 0, 0, 0, 8, 8, 0]) + bytes(8) + bytes(4 * version)
        addresses = struct.pack("<QQQQ", 0, 2**64 - 1, size_bytes, 2**64 - 1)
    else:
        head = bytes([version, 8, 8, 0])
        addresses = struct.pack("<QQQQ", 0, 2**64 - 1, size_bytes, 48)
    return (b"\x89HDF\r\n\x1a\n" + head + addresses).ljust(size_bytes, b"\7")


def zipped() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("a/manifest.safe", b"<x/>")
        archive.writestr("a/data.bin", b"A" * 5000)
    return data.getvalue()


def tarred() -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        item = tarfile.TarInfo("a/data.bin")
        item.size = 5000
        archive.addfile(item, io.BytesIO(b"A" * 5000))
    return data.getvalue()


EOF = b'<?xml version="1.0" ?>\n<!-- orbit -->\n<Earth_Explorer_File>\n<Data>x</Data>\n</Earth_Explorer_File>\n'


def fault(name: str, body: bytes) -> str | None:
    return form_fault(name, io.BytesIO(body), len(body))


WHOLE = {
    f"{S5P}.nc": [hdf5(0), hdf5(1), hdf5(2), hdf5(3), b"CDF\x01x", b"CDF\x02x", b"CDF\x05x"],
    "x.zip": [zipped()],
    "x.SAFE.zip": [zipped()],
    "x.SEN6.tar": [tarred()],
    "x.TGZ": [gzip.compress(tarred())],
    "x.gz": [gzip.compress(b"x")],
    "x.EOF": [EOF, b"\xef\xbb\xbf" + EOF, EOF + b"<!-- made by hand -->\n", b"<a/>"],
    "x.xml": [b'<!DOCTYPE note [<!ELEMENT note ANY>]><n:note xmlns:n="u">x</n:note>'],
    "x.tif": [b"II*\0x", b"MM\0*x", b"II+\0x"],
    "x.DBL": [b"anything"],
    "x.html": [HTML],
}


def named(name: str, body: bytes, number: int = 0) -> Any:
    """A case whose id has no content, because archives hold the time at which they are made."""
    return pytest.param(name, body, id=f"{name}-{number}")


@pytest.mark.parametrize(
    ("name", "body"), [named(name, body, n) for name, bodies in WHOLE.items() for n, body in enumerate(bodies)]
)
def test_a_file_that_looks_like_what_its_name_says_is_good(name: str, body: bytes) -> None:
    assert fault(name, body) is None


@pytest.mark.parametrize("name", [f"{S5P}.nc", "x.zip", "x.tar", "x.TGZ", "x.EOF", "x.xml", "x.tif", "x.DBL"])
@pytest.mark.parametrize("body", [b"", HTML, b"\n<!DOCTYPE html>\n<html></html>", b"\xef\xbb\xbf <HTML></HTML>"])
def test_an_empty_file_or_a_web_page_is_not_a_product(name: str, body: bytes) -> None:
    assert fault(name, body)


@pytest.mark.parametrize("name", [name for name in WHOLE if name not in ("x.tif", "x.DBL", "x.html")])
@pytest.mark.parametrize("other", [b'{"code": 404}', b"PK no zip", b"CDF", b"\0" * 5000, b"A" * 5000])
def test_a_file_of_another_kind_is_refused(name: str, other: bytes) -> None:
    assert fault(name, other)


@pytest.mark.parametrize(
    ("name", "body"),
    [
        *(named(f"{S5P}.nc", hdf5(version), version) for version in range(4)),
        named("x.zip", zipped()),
        named("x.tar", tarred()),
        named("x.TGZ", gzip.compress(tarred())),
        named("x.EOF", EOF.rstrip()),
    ],
)
def test_a_file_that_was_cut_off_anywhere_is_refused(name: str, body: bytes) -> None:
    ends = len(body) if name != "x.tar" else 512 + 5120  # behind it are empty blocks
    for size_bytes in {1, 5, 20, 100, ends // 4, ends // 2, ends - 513, ends - 1} & set(range(1, ends)):
        assert fault(name, body[:size_bytes]), size_bytes


@pytest.mark.parametrize("extension", [".SAFE", ".SEN3", ".SEN6"])
def test_a_file_with_the_name_of_a_directory_is_refused(extension: str) -> None:
    assert "directories" in str(fault(f"x{extension}", zipped()))


def listed(*paths: str) -> list[ListedObject]:
    return [ListedObject(f"Sentinel/X/{path}", path, 1, "e") for path in paths]


@pytest.mark.parametrize(
    ("safename", "path"),
    [
        (f"{S5P}.nc", f"{S5P}.nc"),
        (S5P, f"{S5P}.nc"),
        (f"{S5P}.nc", f"{S5P}.tar"),
        (f"{AUX}.SAFE", f"{AUX}.SAFE.zip"),
        (f"{S1}.SAFE", f"{S1}.SAFE.zip"),
        (f"{S1}.SAFE", f"{S1}.zip"),
        ("S2A_OPER_GIP_R2EQOG_MPC__20220315T151100_V20190503T100000_21000101T000000_B01.SAFE",
         "S2A_OPER_GIP_R2EQOG_MPC__20220315T151100_V20190503T100000_21000101T000000_B01.TGZ"),
        ("ESA_WorldCover_10m_2020_v100_N14E004_S2RGBNIR_v2", "ESA_WorldCover_10m_2020_v100_N14E004_S2RGBNIR_v2.tif"),
    ],
)  # fmt: skip
def test_one_object_of_the_products_name_is_a_product_of_one_file(safename: str, path: str) -> None:
    assert single_file(listed(path), safename) == path


@pytest.mark.parametrize(
    ("safename", "paths"),
    [
        (f"{S1}.SAFE", ["manifest.safe"]),
        (f"{S1}.SAFE", ["measurement/a.tiff"]),
        (f"{S1}.SAFE", [f"{S1}.SAFE-report-20240604T130000.pdf"]),
        (f"{S1}.SAFE", [f"{S1}.SAFE"]),
        (S1, [f"{S1}.xml"]),
        (f"{S3}.SEN3", [f"{S3}-ql.jpg"]),
        (f"{S3}.SEN3", [f"{S3}.nc"]),
        (f"{S5P}.nc", [f"{S5P}.nc", f"{S5P}.cdl"]),
        (f"{S5P}.nc", [f"a/{S5P}.nc"]),
        (f"{S5P}.nc", []),
    ],
)
def test_a_part_of_a_product_is_not_a_product_of_one_file(safename: str, paths: list[str]) -> None:
    assert single_file(listed(*paths), safename) is None
