import tarfile
import zipfile
from pathlib import Path

import pytest

from cdsed.local.presence import Archive, Presence
from cdsed.model.choice import Choice
from cdsed.model.families import Family
from cdsed.model.layout import ProductLayout
from tests.support.clocks import HandClock
from tests.support.local_products import BELOW_ARCHIVE, SAFENAME, make_product, make_zip


def test_a_product_is_found_in_the_output_directory_first(tmp_path: Path, clock: HandClock) -> None:
    spool, output = tmp_path / "spool", tmp_path / "output"
    make_product(spool)
    mine = make_product(output)
    presence = Presence([spool], [], clock)
    assert presence.find(SAFENAME, output) == mine
    assert presence.find_now(SAFENAME, output) == mine
    assert presence.find(SAFENAME) == spool / SAFENAME


def test_a_product_is_found_in_an_archive_by_its_date(tmp_path: Path, clock: HandClock) -> None:
    product = make_product(tmp_path / "archive" / BELOW_ARCHIVE)
    presence = Presence([tmp_path / "spool"], [Archive(tmp_path / "archive", {})], clock)
    assert presence.find(SAFENAME) == product
    assert presence.find_now(SAFENAME) == product


@pytest.mark.parametrize("name", [f"{SAFENAME}.zip", SAFENAME.replace(".SAFE", ".zip")])
def test_a_zipped_product_is_found_under_both_its_names(tmp_path: Path, clock: HandClock, name: str) -> None:
    packed = make_zip(tmp_path / name)
    assert Presence([tmp_path], [], clock).find(SAFENAME) == packed


def test_a_single_object_product_is_found(tmp_path: Path, clock: HandClock) -> None:
    name = "S5P_OFFL_L2__NO2____20211211T104909_20211211T123039_21566_02_020301_20211213T011704.nc"
    (tmp_path / name).write_bytes(b"CDF\x01")
    assert Presence([tmp_path], [], clock).find(name) == tmp_path / name


def test_a_product_with_a_short_name_is_found(tmp_path: Path, clock: HandClock) -> None:
    product = tmp_path / "Sentinel-1_IW_mosaic_2020_M01_33UUP_0_0"
    product.mkdir()
    (product / "VV.tif").write_bytes(b"x")
    assert Presence([tmp_path], [], clock).find(product.name) == product


def test_a_product_of_which_only_another_one_of_the_same_time_is_there_is_absent(
    tmp_path: Path, clock: HandClock
) -> None:
    make_product(tmp_path, SAFENAME.replace("E33E", "E33F"))
    assert Presence([tmp_path], [], clock).find(SAFENAME) is None


def test_places_at_the_root_of_all_directories_are_searched(tmp_path: Path, clock: HandClock) -> None:
    product = make_product(tmp_path)
    below = str(tmp_path.relative_to("/"))
    archive = Archive(Path("/"), {Family.S1: below})
    assert Presence([], [archive], clock).find(SAFENAME) == product
    assert Presence([Path("/")], [], clock).find(SAFENAME, below=below) == product


def test_an_empty_or_half_safe_is_not_present(tmp_path: Path, clock: HandClock) -> None:
    product = make_product(tmp_path)
    (product / "measurement" / "a.tiff").unlink()
    presence = Presence([tmp_path], [], clock)
    assert presence.find(SAFENAME) is None
    assert presence.find_now(SAFENAME) is None


def test_a_half_safe_in_one_spool_does_not_hide_a_whole_one_in_another(tmp_path: Path, clock: HandClock) -> None:
    (make_product(tmp_path / "a") / "manifest.safe").unlink()
    whole = make_product(tmp_path / "b")
    assert Presence([tmp_path / "a", tmp_path / "b"], [], clock).find(SAFENAME) == whole


def test_a_directory_is_listed_again_only_when_its_list_is_old(tmp_path: Path, clock: HandClock) -> None:
    presence = Presence([tmp_path], [], clock, fresh_s=30)
    assert presence.find(SAFENAME) is None
    product = make_product(tmp_path)
    assert presence.find(SAFENAME) is None
    assert presence.find_now(SAFENAME) == product
    clock.now_s += 31
    assert presence.find(SAFENAME) == product


def test_a_product_that_was_listed_but_is_gone_is_not_present(tmp_path: Path, clock: HandClock) -> None:
    product = make_product(tmp_path)
    presence = Presence([tmp_path], [], clock)
    assert presence.find(SAFENAME) == product
    product.rename(tmp_path / "elsewhere")
    assert presence.find(SAFENAME) is None


def test_a_root_that_is_not_mounted_is_reported_and_raises_nothing(tmp_path: Path, clock: HandClock) -> None:
    gone = tmp_path / "gone"
    sick = tmp_path / ("x" * 256)  # what asks for it gets an error of the system
    presence = Presence([tmp_path, sick], [Archive(gone, {})], clock)
    assert presence.find(SAFENAME) is None
    assert presence.missing_roots() == [sick, gone]
    gone.mkdir()  # a bare mount point
    assert presence.missing_roots() == [sick, gone]
    (gone / "S1A").mkdir()
    assert presence.missing_roots() == [sick]


def test_a_directory_that_cannot_be_read_is_logged_and_skipped(
    tmp_path: Path, clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    whole = make_product(tmp_path / "open")
    assert Presence([loop, tmp_path / "open"], [], clock).find(SAFENAME) == whole
    assert "cannot be searched" in caplog.text


@pytest.mark.parametrize("extension", [".tar", ".zip"])
def test_an_archive_of_an_auxiliary_directory_is_found(tmp_path: Path, clock: HandClock, extension: str) -> None:
    name = "S6A_AX____ROE__AX_20240604T110100_20240604T115713_20240604T133100___________________CNE_OPE_NT_F01.SEN6"
    path = tmp_path / f"{name}{extension}"
    if extension == ".tar":
        with tarfile.open(path, "w") as tar:
            tar.addfile(tarfile.TarInfo(f"{name}/orbit.xml"))
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(f"{name}/orbit.dbl", "orbit")  # the service has it so, without a manifest
    assert Presence([tmp_path], [], clock).find(name) == path
    path.write_bytes(path.read_bytes()[:100])
    assert Presence([tmp_path], [], clock).find_now(name) is None


@pytest.mark.parametrize("form", ["{0}.SAFE", "{0}.SAFE.zip", "{0}.zip", "{0}"])
def test_what_may_be_on_disk_in_any_form_is_not_surely_absent(tmp_path: Path, clock: HandClock, form: str) -> None:
    stem, other = SAFENAME.removesuffix(".SAFE"), SAFENAME.replace("S1A", "S1C", 1)
    (tmp_path / form.format(stem)).mkdir()
    assert Presence([tmp_path], [], clock).surely_absent([SAFENAME, other], None, None) == {other}


def test_where_archives_layouts_or_parts_are_searched_nothing_is_surely_absent(
    tmp_path: Path, clock: HandClock
) -> None:
    archive = Presence([tmp_path], [Archive(tmp_path / "archive", {})], clock)
    layout = Presence([tmp_path], [], clock, layouts=[ProductLayout.parse("{year}")])
    assert archive.surely_absent([SAFENAME], None, None) == set()
    assert layout.surely_absent([SAFENAME], None, None) == set()
    assert Presence([tmp_path], [], clock).surely_absent([SAFENAME], None, Choice.of(["*.xml"], [])) == set()
    assert Presence([tmp_path], [], clock).surely_absent(["S1A_short.SAFE"], None, None) == set()
