"""Publishing: one rename, no file lost, and recovery from a crash in between."""

import os
import threading

import pytest

from cdsed.errors import DiskError, OwnedElsewhere, ProductError
from cdsed.local.space import free_bytes
from cdsed.model.objects import ListedObject
from cdsed.transfer.publish import final_path, is_published, publish
from cdsed.transfer.staging import discard, prepare, quarantine, staged_sizes, staged_stamps

_FILES = {"manifest.safe": b"m" * 10, "measurement/a.tiff": b"a" * 5000}
_SIZES = {path: len(body) for path, body in _FILES.items()}


def stage(spool, name="X.SAFE", files=_FILES):
    staging = spool / ".cdsed" / name
    for path, body in files.items():
        (staging / path).parent.mkdir(parents=True, exist_ok=True)
        (staging / path).write_bytes(body)
    return staging


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def spool(tmp_path):
    spool = tmp_path / "spool"
    spool.mkdir()
    return spool


def test_a_product_appears_whole_and_leaves_no_staging(spool):
    staging = stage(spool)
    published = publish(staging, spool, _SIZES, single=None)
    assert (published.path, published.set_aside) == (spool / "X.SAFE", None)
    assert contents(spool / "X.SAFE") == _FILES
    assert not staging.exists()
    assert is_published(published.path, _SIZES, single=False)


@pytest.mark.parametrize("there", [{}, {"manifest.safe": b"incomplete"}])
def test_what_stood_there_is_set_aside_not_lost(spool, there):
    stage(spool.parent / "other", files=there)
    (spool / "X.SAFE").mkdir()
    for path, body in there.items():
        (spool / "X.SAFE" / path).write_bytes(body)
    published = publish(stage(spool), spool, _SIZES, single=None)
    assert contents(spool / "X.SAFE") == _FILES
    assert contents(published.set_aside) == there
    again = publish(stage(spool), spool, _SIZES, single=None)
    assert again.set_aside != published.set_aside


def test_a_single_object_is_published_as_a_file(spool):
    staging = stage(spool, "X.nc", {"X.nc": b"netcdf"})
    published = publish(staging, spool, {"X.nc": 6}, single="X.nc")
    assert published.path.read_bytes() == b"netcdf"
    assert not staging.exists()
    assert is_published(published.path, {"X.nc": 6}, single=True)
    assert not is_published(published.path, {"X.nc": 7}, single=True)


@pytest.mark.parametrize("single", [None, "manifest.safe"])
def test_another_file_system_gets_a_copy_and_then_a_rename(spool, small_disk, single):
    expected = {single: _FILES[single]} if single else _FILES
    sizes = {path: len(body) for path, body in expected.items()}
    published = publish(stage(spool, files=expected), small_disk, sizes, single=single)
    found = {single: published.path.read_bytes()} if single else contents(published.path)
    assert found == expected
    assert not (spool / ".cdsed" / "X.SAFE").exists()
    assert contents(small_disk / ".cdsed") == {}


def test_another_file_system_that_is_full_shows_nothing_and_loses_nothing(spool, small_disk):
    files = {f"{number}.bin": os.urandom(100_000) for number in range(10)}
    sizes = dict.fromkeys(files, 100_000)
    staging = stage(spool, files=files)
    (small_disk / "filler").write_bytes(b"x" * (free_bytes(small_disk) - 500_000))
    with pytest.raises(DiskError) as error:
        publish(staging, small_disk, sizes, single=None)
    assert error.value.code == "ENOSPC"
    assert len(str(error.value)) < 300
    assert not (small_disk / "X.SAFE").exists()
    assert contents(staging) == files
    (small_disk / "filler").unlink()
    assert contents(publish(staging, small_disk, sizes, single=None).path) == files


@pytest.mark.parametrize("there", [None, {}, {**_FILES, "measurement/a.tiff": b"short"}, {"manifest.safe": b"m" * 10}])
def test_only_exactly_the_same_files_are_published_before(spool, there):
    if there is not None:
        (spool / "X.SAFE" / "measurement").mkdir(parents=True)
        for path, body in there.items():
            (spool / "X.SAFE" / path).write_bytes(body)
    assert not is_published(final_path(spool, spool / ".cdsed" / "X.SAFE", single=None), _SIZES, single=False)


def test_a_staging_directory_holds_exactly_the_files_of_the_product(spool):
    listed = [ListedObject("k/" + path, path, size, "e") for path, size in {**_SIZES, "empty": 0}.items()]
    staging = stage(spool, files={"manifest.safe": b"k" * 10, "measurement/a.tiff": b"short", "stray": b"x"})
    prepare(staging, listed, staged_sizes(staging), {"manifest.safe"})
    assert staged_sizes(staging) == {**_SIZES, "empty": 0}
    assert (staging / "manifest.safe").read_bytes() == b"k" * 10


def test_a_corrupt_product_is_set_aside_for_a_person(spool):
    staging = stage(spool)
    quarantine(stage(spool, files={"old": b"1"}))
    place = quarantine(stage(spool))
    assert contents(place) == _FILES
    assert not staging.exists()
    discard(staging)


@pytest.mark.parametrize("files", [{}, {"manifest.safe": b"m" * 10}, {**_FILES, "stray": b"x"}])
def test_only_exactly_what_was_verified_is_published(spool, files):
    staging = stage(spool, files={**_FILES, **files})
    for path in _FILES.keys() - files.keys():
        (staging / path).unlink()
    with pytest.raises(DiskError) as error:
        publish(staging, spool, _SIZES, single=None)
    assert error.value.code == "ENOENT"
    assert not (spool / "X.SAFE").exists()


def test_a_copy_that_a_late_janitor_takes_away_half_done_does_not_appear(spool, small_disk):
    files = {f"{number}.bin": b"x" for number in range(300)}
    copy = small_disk / ".cdsed" / "X.SAFE.copy"

    def take_away():
        while not copy.exists():
            pass
        copy.rename(copy.with_name("X.SAFE.copy.gone"))

    janitor = threading.Thread(target=take_away)
    janitor.start()
    with pytest.raises(DiskError) as error:
        publish(stage(spool, files=files), small_disk, dict.fromkeys(files, 1), single=None)
    janitor.join()
    assert error.value.code == "ENOENT"
    assert not (small_disk / "X.SAFE").exists()


@pytest.mark.parametrize("single", [None, "X.nc"])
def test_an_equal_whole_product_is_left_in_its_place(spool, single):
    files = {single: b"netcdf"} if single else _FILES
    sizes = {path: len(body) for path, body in files.items()}
    first = publish(stage(spool, files=files), spool, sizes, single=single)
    before = first.path.stat()
    again = publish(stage(spool, files=files), spool, sizes, single=single)
    assert (again.path, again.set_aside) == (first.path, None)
    assert first.path.stat().st_ino == before.st_ino
    assert [path.name for path in (spool / ".cdsed").iterdir()] == []


def test_one_of_the_same_sizes_that_is_not_equal_is_set_aside(spool):
    publish(stage(spool, files={**_FILES, "manifest.safe": b"x" * 10}), spool, _SIZES, single=None)
    published = publish(stage(spool), spool, _SIZES, single=None)
    assert contents(published.path) == _FILES
    assert contents(published.set_aside)["manifest.safe"] == b"x" * 10


def test_a_file_that_was_written_to_after_its_verification_is_not_published(spool):
    staging = stage(spool)
    verified = staged_stamps(staging)
    (staging / "manifest.safe").write_bytes(b"M" * 10)
    with pytest.raises(DiskError, match="it has changed since it was verified"):
        publish(staging, spool, _SIZES, single=None, stamps=verified)
    assert not (spool / "X.SAFE").exists()
    assert publish(staging, spool, _SIZES, single=None, stamps=staged_stamps(staging)).path.exists()


def test_a_worker_without_its_place_publishes_nothing(spool, small_disk):
    def taken_over():
        raise OwnedElsewhere("another cdsed has it")

    for destination in (spool, small_disk):
        with pytest.raises(OwnedElsewhere):
            publish(stage(spool), destination, _SIZES, single=None, check_owner=taken_over)
        assert not (destination / "X.SAFE").exists()


def test_a_worker_that_loses_its_place_during_the_copy_publishes_nothing(spool, small_disk):
    asked = []

    def taken_over():
        asked.append(1)
        if len(asked) > 1:
            raise OwnedElsewhere("another cdsed has it")

    with pytest.raises(OwnedElsewhere):
        publish(stage(spool), small_disk, _SIZES, single=None, check_owner=taken_over)
    assert not (small_disk / "X.SAFE").exists()


def test_a_product_is_published_below_the_destination_and_its_directories_are_made(spool, small_disk):
    for destination in (spool, small_disk):
        published = publish(stage(spool), destination, _SIZES, single=None, below="2024/06/04")
        assert published.path == destination / "2024/06/04/X.SAFE"
        assert contents(published.path) == _FILES
        assert not (destination / "2024/06/04/.cdsed").exists()
        again = publish(
            stage(spool, files=dict.fromkeys(_FILES, b"x")),
            destination,
            dict.fromkeys(_FILES, 1),
            single=None,
            below="2024/06/04",
        )
        assert again.set_aside.parent in (spool / ".cdsed/replaced", destination / ".cdsed/replaced")
        assert contents(again.set_aside) == _FILES


def test_directories_in_which_nothing_is_published_are_removed_again_unless_they_hold_others(spool):
    (spool / "2024/other").mkdir(parents=True)

    def taken_over():
        raise OwnedElsewhere("another state has it")

    with pytest.raises(OwnedElsewhere):
        publish(stage(spool), spool, _SIZES, single=None, check_owner=taken_over, below="2024/06/04")
    assert sorted(path.name for path in spool.iterdir()) == [".cdsed", "2024"]
    assert [path.name for path in (spool / "2024").iterdir()] == ["other"]


def test_a_link_in_the_place_of_a_directory_of_a_layout_is_charged_to_the_product(spool):
    (spool / "2024").symlink_to(spool.parent)
    with pytest.raises(ProductError, match="'2024' is a symbolic link; remove it"):
        publish(stage(spool), spool, _SIZES, single=None, below="2024/06")
    assert not (spool.parent / "06").exists()
