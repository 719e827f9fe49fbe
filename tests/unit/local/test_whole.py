import hashlib
import os
import zipfile
from pathlib import Path

import pytest

from cdsed.local import file_record
from cdsed.local.intact import check_product
from cdsed.local.whole import is_whole
from cdsed.model.manifest import ManifestEntry
from tests.support.local_products import SAFENAME, make_product, make_zip

S5P = "S5P_OFFL_L2__NO2____20211211T104909_20211211T123039_21566_02_020301_20211213T011704.nc"


def _state_size(product: Path, size_bytes: int) -> None:
    manifest = product / "manifest.safe"
    manifest.write_text(manifest.read_text(encoding="utf-8").replace('size="6"', f'size="{size_bytes}"'), "utf-8")


def _record(product: Path) -> None:
    files = [file for file in product.rglob("*") if file.is_file()]
    entries = [(file.relative_to(product).as_posix(), file.read_bytes()) for file in files]
    file_record.write(
        product.parent,
        product.name,
        [ManifestEntry(path, len(body), "md5", hashlib.md5(body).hexdigest()) for path, body in entries],
    )


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


def test_a_zip_is_whole_when_it_holds_the_product_of_its_name(tmp_path: Path) -> None:
    path = make_zip(tmp_path / f"{SAFENAME}.zip")
    assert is_whole(path)
    assert not is_whole(path.rename(tmp_path / f"{SAFENAME.replace('E33E', 'E33F')}.zip"))
    path = make_zip(tmp_path / f"{SAFENAME}.zip")
    path.write_bytes(path.read_bytes()[:-10])
    assert not is_whole(path)


@pytest.mark.parametrize("lacking", ["manifest.safe", "measurement/a.tiff"])
def test_a_zip_that_lacks_a_file_is_not_whole(tmp_path: Path, lacking: str) -> None:
    product = make_product(tmp_path)
    (product / lacking).unlink()
    assert not is_whole(make_zip(tmp_path / f"{SAFENAME}.zip", product))


def test_a_zip_with_a_hole_in_it_is_not_whole(tmp_path: Path) -> None:
    path = make_zip(tmp_path / f"{SAFENAME}.zip")
    body = path.read_bytes()
    path.write_bytes(bytes(200) + body[200:])  # several connections: the end came before the beginning
    assert not is_whole(path)


def test_a_repaired_zip_with_a_file_that_was_cut_is_not_whole(tmp_path: Path) -> None:
    path = make_zip(tmp_path / f"{SAFENAME}.zip")
    body = path.read_bytes().replace(b"pixels", b"pix")
    end = body.rindex(b"PK\x05\x06")
    begin = int.from_bytes(body[end + 16 : end + 20], "little") - 3  # of the central directory
    path.write_bytes(body[: end + 16] + begin.to_bytes(4, "little") + body[end + 20 :])
    assert "measurement/a.tiff" in str(zipfile.ZipFile(path).namelist())
    assert not is_whole(path)
    assert not check_product(path).good


def test_a_wrong_stated_size_does_not_count_where_the_digest_is_right(tmp_path: Path) -> None:
    product = make_product(tmp_path)
    _state_size(product, 880)
    assert is_whole(product)
    assert is_whole(make_zip(tmp_path / f"{SAFENAME}.zip", product))
    check = check_product(product)
    assert check.good
    assert "6 bytes instead of 880" in check.remarks[0]
    (product / "measurement" / "a.tiff").write_bytes(b"pix")
    assert not is_whole(product)
    assert not is_whole(make_zip(tmp_path / f"{SAFENAME}.zip", product))


def test_a_cut_file_is_not_whole_even_where_its_wrong_size_is_the_stated_one(tmp_path: Path) -> None:
    product = make_product(tmp_path)
    _state_size(product, 3)
    (product / "measurement" / "a.tiff").write_bytes(b"pix")
    assert is_whole(product)  # presence computes no digest then,
    assert not check_product(product).good  # and a thorough look does


def test_a_manifest_that_states_one_wrong_size_shows_nothing_by_its_others(tmp_path: Path) -> None:
    product = make_product(tmp_path)
    _state_size(product, 880)
    manifest, preview = product / "manifest.safe", product / "preview.png"
    entry = '<byteStream size="3"><fileLocation href="preview.png"/><checksum checksumName="MD5">{}</checksum>'
    entry = f"{entry.format(hashlib.md5(b'preview').hexdigest())}</byteStream></x>"
    manifest.write_text(manifest.read_text(encoding="utf-8").replace("</x>", entry), encoding="utf-8")
    preview.write_bytes(b"preview")
    assert is_whole(product)
    assert is_whole(make_zip(tmp_path / f"{SAFENAME}.zip", product))
    preview.write_bytes(b"pre")
    assert not is_whole(product)
    assert not is_whole(make_zip(tmp_path / f"{SAFENAME}.zip", product))


def test_a_recorded_file_that_was_cut_to_its_wrong_stated_size_is_not_whole(tmp_path: Path) -> None:
    product = make_product(tmp_path)
    _state_size(product, 3)
    _record(product)
    assert is_whole(product)
    (product / "measurement" / "a.tiff").write_bytes(b"pix")
    assert not is_whole(product)
    assert not check_product(product).good


def test_a_record_of_another_manifest_does_not_count(tmp_path: Path) -> None:
    product = make_product(tmp_path)
    manifest = product / "manifest.safe"
    body = manifest.read_bytes()
    manifest.write_bytes(b" " * len(body))  # the former product had a manifest of the same size, without this file
    (product / "measurement" / "a.tiff").unlink()
    _record(product)
    manifest.write_bytes(body)
    assert not is_whole(product)
    assert not check_product(product).good
    manifest.unlink()
    _record(product)  # the former one had no manifest
    manifest.write_bytes(body)
    assert not is_whole(product)
    assert not check_product(product).good


def test_a_record_that_is_removed_counts_no_more(tmp_path: Path) -> None:
    product = make_product(tmp_path)
    (product / "measurement" / "a.tiff").unlink()
    _record(product)
    assert is_whole(product)
    file_record.remove(tmp_path, product.name)
    assert not is_whole(product)
    file_record.remove(tmp_path / "absent", product.name)


def test_a_link_in_the_place_of_the_records_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / SAFENAME).write_text("not of cdsed", encoding="utf-8")
    (tmp_path / file_record.FOLDER).symlink_to(tmp_path / "other")
    product = make_product(tmp_path)
    file_record.remove(tmp_path, product.name)
    with pytest.raises(NotADirectoryError, match="symbolic link"):
        _record(product)
    assert (tmp_path / "other" / SAFENAME).read_text(encoding="utf-8") == "not of cdsed"
    assert is_whole(product)


def test_a_file_of_a_wrong_size_without_end_is_not_digested(tmp_path: Path) -> None:
    product = make_product(tmp_path)
    os.truncate(product / "measurement" / "a.tiff", 2**42)
    assert not is_whole(product)


def test_a_manifest_that_names_no_file_proves_nothing_but_the_record_of_a_download_does(tmp_path: Path) -> None:
    product = make_product(tmp_path)
    (product / "manifest.safe").write_text('<x><byteStream size="1"/></x>', encoding="utf-8")
    assert not is_whole(product)
    assert not check_product(product).good
    _record(product)
    assert is_whole(product)
    assert check_product(product).good


def test_half_of_what_was_recorded_is_not_whole(tmp_path: Path) -> None:
    product = make_product(tmp_path)
    _state_size(product, 880)
    _record(product)
    (product / "manifest.safe").unlink()
    assert not is_whole(product)
    assert not check_product(product).good


def test_a_recorded_product_that_a_better_copy_has_replaced_is_whole(tmp_path: Path) -> None:
    product = make_product(tmp_path)
    file_record.write(tmp_path, product.name, [ManifestEntry("manifest.safe", 1, "md5", "0" * 32)])
    assert is_whole(product)
    assert check_product(product).compared_with == "the manifest"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"schema": 2, "files": []}',
        '{"schema": 1, "files": [{"path": "../x", "size_bytes": 1, "md5": ""}]}',
    ],
)
def test_a_record_that_cannot_be_read_or_leads_elsewhere_does_not_count(tmp_path: Path, text: str) -> None:
    product = make_product(tmp_path)
    (product / "measurement" / "a.tiff").unlink()
    (tmp_path / file_record.FOLDER).mkdir()
    (tmp_path / file_record.FOLDER / SAFENAME).write_text(text, encoding="utf-8")
    assert not is_whole(product)


def test_a_recorded_directory_without_a_manifest_must_have_all_its_files(tmp_path: Path) -> None:
    product = tmp_path / "Sentinel-1_IW_mosaic_2020_M01_33UUP_0_0"
    product.mkdir()
    for name in ("VV.tif", "VH.tif"):
        (product / name).write_bytes(b"x")
    _record(product)
    assert is_whole(product)
    assert check_product(product).good
    (product / "VV.tif").unlink()
    assert not is_whole(product)


def test_a_single_file_is_whole_when_it_looks_like_what_its_name_says(tmp_path: Path) -> None:
    path = tmp_path / S5P
    path.touch()
    assert not is_whole(path)
    path.write_bytes(b"<html><body>Not found</body></html>\n")
    assert not is_whole(path)
    path.write_bytes(b"CDF\x01")
    assert is_whole(path)
    assert check_product(path).good


def test_a_folder_of_a_product_that_is_one_file_must_hold_that_file(tmp_path: Path) -> None:
    folder = tmp_path / S5P
    folder.mkdir()
    (folder / "notes.txt").write_bytes(b"x")
    assert not is_whole(folder)
    (folder / S5P).write_bytes(b"<html>")
    assert not is_whole(folder)
    (folder / S5P).write_bytes(b"CDF\x01")
    assert is_whole(folder)


def test_a_zip_of_a_single_file_must_hold_it(tmp_path: Path) -> None:
    path = tmp_path / f"{S5P}.zip"
    for name, content, whole in ((S5P, b"CDF\x01", True), (S5P, b"<html>", False), ("other.nc", b"CDF\x01", False)):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(f"{S5P}/{name}", content)
        assert is_whole(path) is whole


def test_what_does_not_exist_is_not_whole(tmp_path: Path) -> None:
    assert not is_whole(tmp_path / "nothing")
    assert not is_whole(tmp_path / "nothing.zip")


@pytest.mark.parametrize("extension", [".SAFE", ".SEN3", ".SEN6"])
def test_a_file_with_the_name_of_a_directory_is_not_whole(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"S6A_P4_2__LR______20240101T000000_20240101T005612{extension}"
    path.write_bytes(b"x")
    assert not is_whole(path)
