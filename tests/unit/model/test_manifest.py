import os
from pathlib import Path

import pytest

from cdsed.model.families import Family
from cdsed.model.manifest import (
    MANIFEST_BYTES_MAX,
    Manifest,
    ManifestEntry,
    ManifestError,
    parse_manifest,
)

_SIBLING = Path(__file__).parents[3].parent / "shared" / "data"
_DATA = Path(os.environ.get("CDSED_SHARED_DATA", _SIBLING))

MD5 = "5b30ed5fdd5c443779924148cc0ab233"


def real(name: str) -> bytes:
    path = _DATA / "manifests" / name
    if not path.exists():
        pytest.skip("no real manifests here: set CDSED_SHARED_DATA")
    return path.read_bytes()


def xfdu(*streams: str, head: str = "") -> bytes:
    body = "".join(f"<dataObject>{stream}</dataObject>" for stream in streams)
    return (
        f'<?xml version="1.0"?>{head}<xfdu:XFDU xmlns:xfdu="urn:ccsds:schema:xfdu:1">'
        f"<dataObjectSection>{body}</dataObjectSection></xfdu:XFDU>"
    ).encode()


def stream(href: str = "./a/b.xml", *, size: str = "12", algorithm: str = "MD5", digest: str = MD5) -> str:
    return (
        f'<byteStream size="{size}"><fileLocation locatorType="URL" href="{href}"/>'
        f'<checksum checksumName="{algorithm}">{digest}</checksum></byteStream>'
    )


@pytest.mark.parametrize(
    ("name", "count", "algorithm", "first"),
    [
        (
            "sentinel-1/manifest.safe",
            13,
            "md5",
            ManifestEntry(
                "annotation/s1a-iw-grd-vh-20241217t061735-20241217t061800-057028-07020f-002.xml",
                1888864,
                "md5",
                "5b30ed5fdd5c443779924148cc0ab233",
            ),
        ),
        (
            "sentinel-2/manifest.safe",
            59,
            "sha3_256",
            ManifestEntry(
                "MTD_MSIL1C.xml",
                45353,
                "sha3_256",
                "91cb5b925086749536f310ac7f5e0f2f892ce36fbaa85d6df2e696eaa64b8400",
            ),
        ),
        ("sentinel-3/xfdumanifest.xml", 32, "md5", None),
    ],
)
def test_a_real_manifest_is_read_whole(name: str, count: int, algorithm: str, first: ManifestEntry | None) -> None:
    manifest = parse_manifest(real(name))
    assert manifest.complete
    assert len(manifest.entries) == count
    assert {entry.algorithm for entry in manifest.entries} == {algorithm}
    assert all(entry.size_bytes for entry in manifest.entries)
    assert first is None or first in manifest.entries


def test_a_real_manifest_without_hrefs_is_not_complete() -> None:
    assert parse_manifest(real("sentinel-2/broken_manifest.safe")) == Manifest((), complete=False)


def test_an_entry_is_relative_and_its_digest_lower_case() -> None:
    assert parse_manifest(xfdu(stream(digest=f" {MD5.upper()}\n"))) == Manifest(
        (ManifestEntry("a/b.xml", 12, "md5", MD5),), complete=True
    )


def test_a_size_the_manifest_does_not_say_is_none() -> None:
    assert parse_manifest(xfdu(stream(size=""))).entries[0].size_bytes is None


@pytest.mark.parametrize(
    "odd",
    [
        '<byteStream size="1"><fileLocation/><checksum checksumName="MD5">x</checksum></byteStream>',
        '<byteStream size="1"><fileLocation href="./c"/></byteStream>',
        stream(algorithm="SHA-256"),
        stream(algorithm="SHA3-256"),  # with the digits of an MD5
        stream(digest="no digest"),
    ],
)
def test_an_entry_that_cannot_be_checked_leaves_the_others_but_not_complete(odd: str) -> None:
    manifest = parse_manifest(xfdu(stream("./good.xml"), odd))
    assert [entry.path for entry in manifest.entries] == ["good.xml"]
    assert not manifest.complete


@pytest.mark.parametrize(
    "href",
    ["../x", "./../x", "/etc/passwd", "a/../../x", "a\\b", "file:///etc/passwd", "a//b", "./.", "a/&#10;"],
)
def test_a_hostile_href_is_refused(href: str) -> None:
    with pytest.raises(ManifestError, match="names the file"):
        parse_manifest(xfdu(stream(href)))


FACTORY = "/dpc/app/launch_1/.9810_15/.S2A_OPER_MSI_L2A_TL_MPS__20180528T112321_A015306_T31UFS_N02.08"
L2A = "S2A_MSIL2A_20180528T104021_N0208_R008_T31UFS_20180528T112321"


@pytest.mark.parametrize("safename", [f"{L2A}.SAFE", L2A, None])
def test_what_follows_the_factorys_directory_is_the_path_in_the_product(safename: str | None) -> None:
    manifest = parse_manifest(xfdu(stream(f"{FACTORY}/GRANULE/a.jp2")), safename)
    assert [entry.path for entry in manifest.entries] == ["GRANULE/a.jp2"]


@pytest.mark.parametrize(
    "href",
    [
        FACTORY,
        f"{FACTORY}/",
        f"{FACTORY}/../a.jp2",
        f"{FACTORY}/GRANULE/../../a.jp2",
        f"{FACTORY[1:]}/a.jp2/../b",
        f"/{FACTORY}/a.jp2",
        f"file://{FACTORY}/a.jp2",
        f"{FACTORY}x/a.jp2",
        "/dpc/app/launch_1/GRANULE/a.jp2",
        f"{FACTORY.replace('S2A_', 'S2B_')}/a.jp2",
        f"{FACTORY.replace('T31UFS', 'T31UFT')}/a.jp2",
        f"{FACTORY.replace('N02.08', 'N02.07')}/a.jp2",
        f"{FACTORY.replace('L2A', 'L1C')}/a.jp2",
    ],
)
def test_an_absolute_path_that_leads_anywhere_else_is_refused(href: str) -> None:
    with pytest.raises(ManifestError, match="names the file"):
        parse_manifest(xfdu(stream(href)), f"{L2A}.SAFE")


def test_only_the_mission_that_has_such_a_factory_may_name_it() -> None:
    with pytest.raises(ManifestError, match="absolute"):
        parse_manifest(
            xfdu(stream(f"{FACTORY}/a")), "S1A_IW_GRDH_1SDV_20240604T110100_20240604T110131_054172_069690_E33E.SAFE"
        )


def test_the_manifests_of_2018_with_paths_of_the_factory_are_read_whole() -> None:
    for name in (L2A, "S2B_MSIL2A_20180526T105029_N0208_R051_T31UFS_20180526T151308"):
        manifest = parse_manifest(real(f"sentinel-2/{name}.manifest.safe"), name)
        assert manifest.complete
        assert len(manifest.entries) == 123
        assert {entry.path.partition("/")[0] for entry in manifest.entries} == {
            *("GRANULE", "DATASTRIP", "MTD_MSIL2A.xml", "INSPIRE.xml", "HTML")
        }


def test_a_manifest_as_large_as_the_largest_real_ones_is_read() -> None:
    manifest = parse_manifest(xfdu(*(stream(f"./measurement/{number:06}.nc") for number in range(17_000))))
    assert len(manifest.entries) == 17_000  # 3.2 MB


@pytest.mark.parametrize(
    "head",
    [
        "<!DOCTYPE x>",
        '<!DOCTYPE x [<!ENTITY a "b">]>',
        '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
    ],
)
def test_a_doctype_is_refused(head: str) -> None:
    with pytest.raises(ManifestError, match="DOCTYPE"):
        parse_manifest(xfdu(stream(), head=head))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not xml",
        xfdu(stream())[:-9],
        b'<?xml version="1.0" encoding="no-such"?><a/>',
        b"\xff\xfe<a/>",
        b'<?xml version="1.0" encoding="utf-7"?><a/>',
    ],
)
def test_what_is_not_xml_is_refused(data: bytes) -> None:
    with pytest.raises(ManifestError, match="not well-formed"):
        parse_manifest(data)


def test_an_oversized_manifest_is_refused_unread() -> None:
    with pytest.raises(ManifestError, match="none has more than"):
        parse_manifest(b" " * (MANIFEST_BYTES_MAX + 1))


def test_every_family_knows_its_manifest() -> None:
    assert {family: family.mission.manifest for family in Family} == {
        Family.S1: "manifest.safe",
        Family.S2: "manifest.safe",
        Family.S3: "xfdumanifest.xml",
        Family.S5P: None,
        Family.S6: "xfdumanifest.xml",
        Family.OTHER: None,
    }
