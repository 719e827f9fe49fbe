"""Comparing a product on disk with its manifest, byte for byte."""

import zipfile
from pathlib import Path

import pytest

from cdsed.local.intact import check_product
from tests.support.local_products import SAFENAME, make_product


def _zipped(product: Path, to: Path) -> Path:
    with zipfile.ZipFile(to, "w") as archive:
        for file in sorted(product.rglob("*")):
            archive.write(file, file.relative_to(product.parent))
    return to


def test_a_whole_product_is_good_and_names_what_its_manifest_does_not(tmp_path: Path) -> None:
    product = make_product(tmp_path)
    (product / "preview.png").write_bytes(b"icon")
    check = check_product(product)
    assert check.good
    assert (check.files, check.unlisted) == (1, ("manifest.safe", "preview.png"))


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "is absent"), (b"pix", "has 3 bytes instead of 6"), (b"pixelz", "md5 is")],
)
def test_what_is_absent_cut_or_changed_is_said(tmp_path: Path, content: bytes | None, said: str) -> None:
    product = make_product(tmp_path)
    file = product / "measurement" / "a.tiff"
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    check = check_product(product)
    assert not check.good
    assert said in check.problems[0]


def test_a_zip_is_checked_without_unpacking(tmp_path: Path) -> None:
    product = make_product(tmp_path)
    assert check_product(_zipped(product, tmp_path / f"{SAFENAME}.zip")).good
    (product / "measurement" / "a.tiff").write_bytes(b"pixelz")
    assert not check_product(_zipped(product, tmp_path / "other.zip")).good
    (tmp_path / "broken.zip").write_bytes(b"PK no zip")
    assert "not a complete zip" in check_product(tmp_path / "broken.zip").problems[0]


def test_a_product_without_a_manifest_is_not_called_good(tmp_path: Path) -> None:
    single = tmp_path / "S5P_OFFL_L2__NO2____20211211T104909_20211211T123039_21566_02_020301_20211213T011704.nc"
    single.write_bytes(b"CDF")
    assert "without a manifest" in check_product(single).problems[0]
    mosaic = tmp_path / "Sentinel-1_IW_mosaic_2020_M01_33UUP_0_0"
    mosaic.mkdir()
    (mosaic / "VV.tif").write_bytes(b"x")
    assert "no manifest" in check_product(mosaic).problems[0]
    (tmp_path / SAFENAME).mkdir()
    assert "manifest.safe" in check_product(tmp_path / SAFENAME).problems[0]
    with pytest.raises(FileNotFoundError):
        check_product(tmp_path / "absent.SAFE")
