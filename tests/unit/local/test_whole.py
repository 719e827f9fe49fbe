from pathlib import Path

import pytest

from cdsed.local.whole import is_whole
from tests.support.local_products import make_product, make_zip


def test_a_product_with_every_file_of_its_manifest_is_whole(tmp_path: Path) -> None:
    assert is_whole(make_product(tmp_path))


def test_an_empty_safe_is_not_whole(tmp_path: Path) -> None:
    product = tmp_path / "S1A_IW_GRDH_1SDV_20240604T110100_20240604T110131_054172_069690_E33E.SAFE"
    product.mkdir()
    assert not is_whole(product)


def test_a_half_safe_is_not_whole(tmp_path: Path) -> None:
    product = make_product(tmp_path)
    (product / "measurement" / "a.tiff").unlink()
    assert not is_whole(product)


def test_a_safe_with_a_short_file_is_not_whole(tmp_path: Path) -> None:
    product = make_product(tmp_path)
    (product / "measurement" / "a.tiff").write_bytes(b"pix")
    assert not is_whole(product)


def test_a_safe_with_a_cut_manifest_is_not_whole(tmp_path: Path) -> None:
    product = make_product(tmp_path)
    manifest = product / "manifest.safe"
    manifest.write_bytes(manifest.read_bytes()[:-5])
    assert not is_whole(product)


def test_a_directory_of_a_family_without_manifest_must_not_be_empty(tmp_path: Path) -> None:
    product = tmp_path / "Sentinel-1_IW_mosaic_2020_M01_33UUP_0_0"
    product.mkdir()
    assert not is_whole(product)
    (product / "VV.tif").write_bytes(b"x")
    assert is_whole(product)


def test_a_zip_is_whole_when_its_directory_can_be_read(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip")
    assert is_whole(path)
    path.write_bytes(path.read_bytes()[:-10])
    assert not is_whole(path)


def test_a_single_file_is_whole_when_it_is_not_empty(tmp_path: Path) -> None:
    path = tmp_path / "a.nc"
    path.touch()
    assert not is_whole(path)
    path.write_bytes(b"x")
    assert is_whole(path)


def test_what_does_not_exist_is_not_whole(tmp_path: Path) -> None:
    assert not is_whole(tmp_path / "nothing")
    assert not is_whole(tmp_path / "nothing.zip")


@pytest.mark.parametrize("extension", [".SAFE", ".SEN3", ".SEN6"])
def test_a_file_with_the_name_of_a_directory_is_not_whole(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"S6A_P4_2__LR______20240101T000000_20240101T005612{extension}"
    path.write_bytes(b"x")
    assert not is_whole(path)
