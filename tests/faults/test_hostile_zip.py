"""Zips with hostile members are refused before a member is unpacked. Zip bombs never fill a disk."""

import io
import os
import stat
import struct
import zipfile

import pytest

from cdsed.dir_handle import DirHandle
from cdsed.errors import DiskError, ProductError, ServiceError
from cdsed.local.intact import check_product
from cdsed.local.whole import is_whole
from cdsed.transfer.zipper import ARCHIVE_NAME
from tests.support.zip_host import NAME, archive, get


def member(name, mode=0, content=b"x"):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as opened:
        item = zipfile.ZipInfo(name)
        item.external_attr = mode << 16
        opened.writestr(item, content)
    return data.getvalue()


@pytest.mark.parametrize(
    "body",
    [
        member("../evil"),
        member("/etc/passwd"),
        member(f"{NAME}/../evil"),
        member(f"{NAME}/a/../../../evil"),
        member(f"{NAME}//a"),
        member("other.SAFE/manifest.safe"),
        member("manifest.safe"),
        member(f"{NAME}/{ARCHIVE_NAME}"),
        member(f"{NAME}/a\nb"),
        member(f"{NAME}/link", stat.S_IFLNK | 0o777, b"/etc/passwd"),
        member(f"{NAME}/pipe", stat.S_IFIFO | 0o777),
        member(f"{NAME}/disk", stat.S_IFBLK | 0o777),
        member(f"{NAME}/..\\evil"),
        member(f"{NAME}/C:evil"),
        member(f"{NAME}/-rf"),
        member(f"{NAME}/{'x' * 256}"),
        member(f"{NAME}/e\u0301"),
        member(f"{NAME.lower()}/a"),
    ],
)
def test_hostile_members_are_refused_whole(zip_host, zip_staging, body, tmp_path):
    with pytest.raises(ProductError) as refused:
        get(zip_host, zip_staging, body)
    assert refused.value.code == "UnsafePath"
    assert {path.name for path in tmp_path.rglob("*")} == {NAME, ARCHIVE_NAME}


def test_a_zip_that_names_a_file_twice_or_none_is_refused(zip_host, zip_staging):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as opened:
        opened.writestr(f"{NAME}/a", b"1")
        with pytest.warns(UserWarning, match="Duplicate"):
            opened.writestr(f"{NAME}/a", b"2")
    for body in (data.getvalue(), archive()):
        with pytest.raises(ProductError) as refused:
            get(zip_host, zip_staging, body)
        assert refused.value.code == "UnsafePath"
        (zip_staging / ARCHIVE_NAME).unlink()


def test_a_bomb_is_not_unpacked(zip_host, zip_staging):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr(f"{NAME}/a", b"\0" * 10_000_000)
    with pytest.raises(ProductError) as refused:
        get(zip_host, zip_staging, data.getvalue())
    assert refused.value.code == "UnsafePath"


def test_a_file_that_stands_in_a_folders_place_is_refused(zip_host, zip_staging):
    with pytest.raises(ProductError):
        get(zip_host, zip_staging, archive(**{"a": b"1", "a/b": b"2"}))


@pytest.mark.parametrize("twin", ["A", "a/b", "A/b"])
def test_members_that_would_be_one_file_where_capitals_do_not_count_are_refused(zip_host, zip_staging, twin):
    with pytest.raises(ProductError) as refused:
        get(zip_host, zip_staging, archive(**{"a": b"1", twin: b"2"}))
    assert refused.value.code == "UnsafePath"
    assert [path.name for path in zip_staging.iterdir()] == [ARCHIVE_NAME]


def test_a_member_that_is_larger_than_it_says_is_a_bad_copy(zip_host, zip_staging):
    body = bytearray(archive(a=b"x" * 100_000))
    at = body.rindex(b"PK\x01\x02") + 20
    body[at : at + 8] = struct.pack("<II", 10, 10)  # compressed and true size in the central directory
    with pytest.raises(ProductError) as refused:
        get(zip_host, zip_staging, bytes(body))
    assert refused.value.code == "VerificationFailed"
    assert (zip_staging / "a").stat().st_size <= 100_000


def test_overlapping_members_count_as_often_as_they_are_named(zip_host, zip_staging):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as opened:
        opened.writestr(f"{NAME}/a", b"x" * 100_000)
        first = opened.infolist()[0]
        for number in range(20):  # all of them begin at the offset of the first
            twin = zipfile.ZipInfo(f"{NAME}/a{number}")
            twin.header_offset, twin.CRC = first.header_offset, first.CRC
            twin.compress_size = twin.file_size = first.file_size
            opened.filelist.append(twin)
    with pytest.raises(ProductError, match="fill the disk"):
        get(zip_host, zip_staging, data.getvalue())


def test_an_encrypted_member_is_a_bad_copy(zip_host, zip_staging):
    body = bytearray(archive(a=b"x"))
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        body[body.index(mark) + at] |= 1
    with pytest.raises(ProductError) as refused:
        get(zip_host, zip_staging, bytes(body))
    assert refused.value.code == "VerificationFailed"


def test_links_planted_where_a_zip_is_unpacked_are_not_followed(zip_host, zip_staging, tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir()
    (zip_staging / "m").symlink_to(precious)
    with pytest.raises(DiskError, match="symbolic link"):
        get(zip_host, zip_staging, archive(**{"m/a": b"1"}))
    with DirHandle.at(zip_staging) as folder:
        folder.remove(ARCHIVE_NAME)
    (zip_staging / ARCHIVE_NAME).symlink_to(precious / "zip")
    with pytest.raises(DiskError):
        get(zip_host, zip_staging, archive(a=b"1"))
    assert not list(precious.iterdir())


@pytest.mark.parametrize(
    "location", ["http://[", "/\xe9", "//", "http://", "file:///etc/passwd", "\\\\evil\\share", ""]
)
def test_an_invalid_redirect_is_the_services_fault(zip_host, zip_staging, location):
    with pytest.raises(ServiceError):
        get(zip_host, zip_staging, b"", {"Location": location}, 302)


@pytest.mark.parametrize("what", ["name", "version", "cut", "empty", "text"])
def test_a_malformed_zip_in_a_spool_is_ignored_and_stops_no_worker(tmp_path, what):
    body = bytearray(archive(**{"manifest\u00e4.safe": b"<x/>"}))
    match what:
        case "name":
            body = bytearray(bytes(body).replace("\u00e4".encode(), b"\xff\xfe"))
        case "version":
            at = body.rindex(b"PK\x01\x02")
            body[at + 6 : at + 8] = b"\xff\xff"
        case "cut":
            del body[-30:]
        case "empty":
            body.clear()
        case "text":
            body[:] = os.urandom(1000)
    file = tmp_path / f"{NAME}.zip"
    file.write_bytes(body)
    assert not is_whole(file)
    assert not check_product(file).good
