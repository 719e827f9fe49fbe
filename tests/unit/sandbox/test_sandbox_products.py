"""Products: names, places, file sets, and manifests that are true unless the test asks for a false one."""

import hashlib
import itertools
import os
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from cdsed.sandbox.bucket import Bucket
from cdsed.sandbox.content import BLOCK_BYTES, random_body, spoilt
from cdsed.sandbox.names import KINDS, eodata_path, parse_name, realistic_safenames
from cdsed.sandbox.products import ProductSpec, SandboxProduct, make_products, spec_from_json, truth

SHARED_DATA = Path(os.environ.get("CDSED_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data"))
S1_OLD = "S1A_IW_SLC__1SDV_20221101T054413_20221101T054440_045705_057748_08A8.SAFE"
S1_NEW = "S1A_IW_GRDH_1SDV_20240604T110100_20240604T110131_054172_069690_E33E.SAFE"


def content(body) -> bytes:
    return b"".join(body.pieces(0, body.size_bytes))


def product_of(kind: str, **options) -> SandboxProduct:
    return SandboxProduct(1, ProductSpec(realistic_safenames(kind, 1)[0], **options))


@pytest.mark.parametrize("kind", KINDS)
def test_names_are_distinct_well_formed_and_repeatable(kind):
    names = realistic_safenames(kind, 200)
    assert len(set(names)) == 200
    assert names == realistic_safenames(kind, 200)
    assert names != realistic_safenames(kind, 200, seed=2)
    starts = {parse_name(name).start.year for name in names}
    assert min(starts) < 2023 <= max(starts)


@pytest.mark.parametrize(
    ("safename", "folder"),
    [
        (S1_OLD, "Sentinel-1/SAR/SLC/2022/11/01"),
        (S1_NEW, "Sentinel-1/SAR/IW_GRDH_1S/2024/06/04"),
        (
            "S1C_IW_GRDH_1SDV_20250327T110100_20250327T110131_001172_069690_E33E_COG.SAFE",
            "Sentinel-1/SAR/IW_GRDH_1S-COG/2025/03/27",
        ),
        (
            "S2A_MSIL1C_20240912T112541_N0511_R137_T28PHQ_20240912T133420.SAFE",
            "Sentinel-2/MSI/L1C/2024/09/12",
        ),
        (
            "S3B_SL_2_LST____20230824T223252_20230824T223552_20230825T011047_0179_083_158_1080_PS2_O_NR_004.SEN3",
            "Sentinel-3/SLSTR/SL_2_LST___/2023/08/24",
        ),
        (
            "S3B_SL_2_LST____20220824T223252_20220824T223552_20220825T011047_0179_083_158_1080_LN2_O_NT_004.SEN3",
            "Sentinel-3/SLSTR/SL_2_LST/2022/08/24",
        ),
        (
            "S5P_OFFL_L2__NO2____20211211T104909_20211211T123039_21566_02_020301_20211213T011704.nc",
            "Sentinel-5P/TROPOMI/L2__NO2___/2021/12/11",
        ),
    ],
)
def test_products_are_where_cdse_keeps_them(safename, folder):
    assert eodata_path(parse_name(safename)) == f"/eodata/{folder}/{safename}"


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "S5P"])
def test_a_manifest_is_true_in_size_and_digest(kind):
    product = product_of(kind, size_bytes=400_000)
    name = "xfdumanifest.xml" if kind == "S3" else "manifest.safe"
    covered = 0
    for stream in ET.fromstring(content(product.bodies[name])).iter("byteStream"):
        data = content(product.bodies[stream.find("fileLocation").attrib["href"].removeprefix("./")])
        checksum = stream.find("checksum")
        algorithm = {"MD5": hashlib.md5, "SHA3-256": hashlib.sha3_256}[checksum.attrib["checksumName"]]
        assert int(stream.attrib["size"]) == len(data)
        assert checksum.text.lower() == algorithm(data).hexdigest()
        assert (checksum.text == checksum.text.upper()) is kind.startswith("S2")
        covered += 1
    assert 0 < covered < len(product.bodies)  # some files are not covered, as in reality


def hrefs(data: bytes) -> list[str]:
    return [location.attrib["href"] for location in ET.fromstring(data).iter("fileLocation")]


def real_manifest(place: str) -> bytes:
    path = SHARED_DATA / "manifests" / place
    if not path.exists():
        pytest.skip(f"no real manifest at {path}")
    return path.read_bytes()


def test_the_covered_files_of_a_grd_are_exactly_those_of_the_real_one():
    name = "S1A_IW_GRDH_1SDV_20241217T061735_20241217T061800_057028_07020F_0000.SAFE"
    made = content(SandboxProduct(1, ProductSpec(name)).bodies["manifest.safe"])
    assert sorted(hrefs(made)) == sorted(hrefs(real_manifest("sentinel-1/manifest.safe")))


def test_the_images_and_detector_masks_of_a_level_1c_are_those_of_the_real_one():
    name = "S2B_MSIL1C_20241209T162609_N0511_R040_T17UPV_20241209T195414.SAFE"
    made = content(SandboxProduct(1, ProductSpec(name)).bodies["manifest.safe"])

    def bands(data: bytes) -> list[str]:
        return sorted(href.rpartition("/")[2] for href in hrefs(data) if re.search("IMG_DATA|PVI", href))

    assert bands(made) == bands(real_manifest("sentinel-2/manifest.safe"))


def test_the_covered_files_of_a_water_product_are_among_those_of_the_real_one():
    name = "S3B_OL_2_WFR____20240824T093252_20240824T093552_20240825T110471_0179_097_036_1980_MAR_O_NT_003.SEN3"
    made = content(SandboxProduct(1, ProductSpec(name)).bodies["xfdumanifest.xml"])
    assert set(hrefs(made)) <= set(hrefs(real_manifest("sentinel-3/xfdumanifest.xml")))


@pytest.mark.parametrize("kind", KINDS)
def test_size_and_content_are_as_asked_and_repeatable(kind):
    product = product_of(kind, size_bytes=2_000_000)
    bulk = sum(
        body.size_bytes for path, body in product.bodies.items() if not path.endswith(("manifest.safe", "st.xml"))
    )
    assert bulk == 2_000_000
    assert product.truth() == truth(1, product.spec) != truth(2, product.spec)
    for path, true in product.truth().items():
        data = content(product.bodies[path])
        assert (len(data), hashlib.md5(data).hexdigest()) == (true.size_bytes, true.md5)


def test_a_terabyte_is_described_at_once():
    product = product_of("S1_SLC", size_bytes=10**12)
    assert product.total_bytes > 10**12
    assert sum(stored.body.size_bytes for stored in product.objects.values()) == product.total_bytes


def test_a_wave_mode_product_has_many_vignettes():
    assert len(product_of("S1_WV").objects) > 80
    assert len(product_of("S1_WV", objects=400).objects) >= 400


@pytest.mark.parametrize("kind", ["S1_GRD", "S2_L2A", "S3"])
def test_a_product_can_have_many_tiny_objects(kind):
    assert len(product_of(kind, objects=500).objects) >= 500


def test_a_false_manifest_is_wrong_about_one_file_only():
    honest, lying = product_of("S1_GRD"), product_of("S1_GRD", manifest_lies="measurement/*")
    pairs = zip(
        content(honest.bodies["manifest.safe"]).split(b"\n"),
        content(lying.bodies["manifest.safe"]).split(b"\n"),
        strict=True,
    )
    different = [old for old, new in pairs if old != new]
    assert len(different) == 1
    assert b"checksum" in different[0]


def test_a_missing_object_stands_in_the_manifest_but_not_on_eodata():
    product = product_of("S1_GRD", missing_object="*.tiff")
    named = {
        location.attrib["href"].removeprefix("./")
        for location in ET.fromstring(content(product.bodies["manifest.safe"])).iter("fileLocation")
    }
    assert len(named - set(product.bodies)) == 1


def test_no_piece_equals_the_piece_at_another_place_or_of_another_key():
    body, other = random_body(1, "a", 40 * 2**20), random_body(1, "b", 40 * 2**20)
    pieces = [bytes(next(each.pieces(start, 4096))) for each in (body, other) for start in range(0, 40 * 2**20, 2**20)]
    assert all(one != two for one, two in itertools.combinations(pieces, 2))


def test_pieces_join_seamlessly_wherever_they_are_cut():
    body = random_body(1, "a", 3 * BLOCK_BYTES)
    whole = content(body)
    for start, length in [
        (0, 1),
        (BLOCK_BYTES - 1, 2),
        (BLOCK_BYTES, BLOCK_BYTES),
        (17, 2 * BLOCK_BYTES + 5),
    ]:
        assert b"".join(body.pieces(start, length)) == whole[start : start + length]
    assert content(spoilt(body)) != whole


def test_a_name_of_no_known_mission_is_refused():
    with pytest.raises(ValueError, match="cannot make 'S9A_NOTHING'"):
        SandboxProduct(1, ProductSpec("S9A_NOTHING"))


@pytest.mark.parametrize("item", [{}, {"safename": S1_NEW, "colour": 1}, {"safename": S1_NEW, "size_bytes": "1"}])
def test_a_product_that_makes_no_sense_is_refused(item):
    with pytest.raises(ValueError, match="product"):
        spec_from_json(item)


def test_a_listing_among_many_products_finds_exactly_one():
    bucket = Bucket(1, lambda _product: None)
    specs = make_products(("S1_GRD", "S2_L1C", "S3", "S5P"), 500, 100_000)
    products = [bucket.add(spec) for spec in specs]
    for product in products[::97]:
        assert [stored.key for stored in bucket.listing(product.sort_key, "")] == list(product.objects)
