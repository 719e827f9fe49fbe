"""Symbolic links, pipes and foreign directories, planted where cdsed writes: no byte is written outside."""

import os
import stat
import threading
from pathlib import Path

import pytest

from cdsed.dir_handle import DirHandle
from cdsed.errors import DiskError
from cdsed.local.presence import Presence
from cdsed.local.whole import is_whole
from cdsed.model.objects import ListedObject
from cdsed.sandbox.names import realistic_safenames
from cdsed.transfer.publish import is_published, publish
from cdsed.transfer.staging import discard, prepare, quarantine, staged_sizes
from cdsed.work.failure_rules import FailureAction, rule_of
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.disks import needs_root
from tests.support.sandbox import SandboxProcess

_SIZES = {"manifest.safe": 10, "m/a": 20}
_LISTED = [ListedObject("k/manifest.safe", "manifest.safe", 10, "e"), ListedObject("k/m/a", "m/a", 20, "e")]


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    (tmp_path / "spool").mkdir()
    return tmp_path / "spool"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """Give a directory that must stay as it is."""
    place = tmp_path / "outside"
    (place / "X.SAFE" / "m").mkdir(parents=True)
    (place / "precious").write_bytes(b"precious")
    (place / "X.SAFE" / "m" / "a").write_bytes(b"precious")
    return place


def _shape(place: Path) -> dict[str, bytes | None]:
    return {str(path.relative_to(place)): path.read_bytes() if path.is_file() else None for path in place.rglob("*")}


def _staging(spool: Path) -> Path:
    return spool / ".cdsed" / "X.SAFE"


def _staged(spool: Path) -> Path:
    prepare(_staging(spool), _LISTED, (), ())
    return _staging(spool)


def test_a_link_in_place_of_the_pre_spool_is_refused_and_nothing_behind_it_is_touched(spool, outside):
    before = _shape(outside)
    (spool / ".cdsed").symlink_to(outside)
    for use in (
        lambda: prepare(_staging(spool), _LISTED, (), ()),
        lambda: prepare(_staging(spool)),
        lambda: staged_sizes(_staging(spool)),
    ):
        with pytest.raises(DiskError, match="symbolic link") as caught:
            use()
        assert rule_of(caught.value).action is FailureAction.PAUSE_DISK
    with pytest.raises(DiskError):
        quarantine(_staging(spool))
    with pytest.raises(DiskError):
        publish(_staging(spool), spool, _SIZES, single=None)
    discard(_staging(spool))
    assert _shape(outside) == before


def test_a_link_in_place_of_a_product_in_the_pre_spool_is_replaced(spool, outside):
    before = _shape(outside)
    (spool / ".cdsed").mkdir(mode=0o700)
    _staging(spool).symlink_to(outside / "X.SAFE")
    assert staged_sizes(_staging(spool)) == {}
    prepare(_staging(spool), _LISTED, (), ())
    assert staged_sizes(_staging(spool)) == {"manifest.safe": 10, "m/a": 20}
    assert _shape(outside) == before


@pytest.mark.parametrize("path", ["m", "m/a", "manifest.safe"])
@pytest.mark.parametrize("kind", ["link", "dangling", "pipe"])
def test_what_is_planted_in_place_of_a_directory_or_file_is_replaced(spool, outside, path, kind):
    before = _shape(outside)
    staging = _staged(spool)
    planted = staging / path
    DirHandle.remove(folder := DirHandle.at(staging), path)
    os.close(folder.descriptor)
    if kind == "pipe":
        os.mkfifo(planted)
    else:
        planted.symlink_to(outside / ("nowhere" if kind == "dangling" else f"X.SAFE/{path}"))
    staged = staged_sizes(staging)
    assert staged[path] == -1
    prepare(staging, _LISTED, staged, {path for path, size in staged.items() if size >= 0})
    assert staged_sizes(staging) == {"manifest.safe": 10, "m/a": 20}
    assert _shape(outside) == before


@pytest.mark.parametrize("path", ["m", "m/a"])
def test_a_product_with_a_link_in_it_is_not_published(spool, outside, path):
    staging = _staged(spool)
    with DirHandle.at(staging) as folder:
        folder.remove(path)
    (staging / path).symlink_to(outside / "X.SAFE" / path)
    with pytest.raises(DiskError, match="neither file nor directory") as caught:
        publish(staging, spool, _SIZES, single=None)
    assert rule_of(caught.value).action is FailureAction.REPLAN
    assert not (spool / "X.SAFE").exists()


@pytest.mark.parametrize("single", [None, "manifest.safe"])
def test_a_link_under_the_final_name_is_set_aside_and_not_followed(spool, outside, single):
    before = _shape(outside)
    name = single or "X.SAFE"
    (spool / name).symlink_to(outside / "precious" if single else outside / "X.SAFE")
    staging = _staged(spool)
    if single:
        discard(staging)
        prepare(staging, _LISTED[:1], (), ())
    published = publish(staging, spool, {single: 10} if single else _SIZES, single=single)
    assert published.set_aside is not None
    assert published.set_aside.is_symlink()
    assert not (spool / name).is_symlink()
    assert _shape(outside) == before


def test_a_link_is_never_taken_for_a_product_that_was_published_before_a_crash(spool, outside):
    (spool / "X.SAFE").symlink_to(outside / "X.SAFE")
    assert not is_published(spool / "X.SAFE", {"m/a": 8}, single=False)
    (spool / "p").symlink_to(outside / "precious")
    assert not is_published(spool / "p", {"p": 8}, single=True)
    assert is_published(outside / "X.SAFE", {"m/a": 8}, single=False)


def test_removal_never_follows_a_link(spool, outside):
    before = _shape(outside)
    staging = _staged(spool)
    (staging / "m" / "link").symlink_to(outside)
    discard(staging)
    assert not staging.exists()
    (spool / ".cdsed" / "quarantine").symlink_to(outside)
    with pytest.raises(DiskError):
        quarantine(_staged(spool))
    assert _shape(outside) == before


def test_a_copy_to_another_file_system_goes_through_no_link(spool, outside, small_disk):
    before = _shape(outside)
    (small_disk / ".cdsed").symlink_to(outside)
    with pytest.raises(DiskError, match="symbolic link"):
        publish(_staged(spool), small_disk, _SIZES, single=None)
    (small_disk / ".cdsed").unlink()
    (small_disk / ".cdsed").mkdir(mode=0o700)
    (small_disk / ".cdsed" / "X.SAFE.copy").symlink_to(outside / "X.SAFE")
    assert publish(_staged(spool), small_disk, _SIZES, single=None).path == small_disk / "X.SAFE"
    assert _shape(outside) == before


def test_a_new_pre_spool_is_private_whatever_the_umask(spool):
    before = os.umask(0)
    try:
        _staged(spool)
        (spool / "other").mkdir()
        prepare(spool / "other" / ".cdsed" / "X.SAFE")
    finally:
        os.umask(before)
    for place in (spool, spool / "other"):
        assert stat.S_IMODE((place / ".cdsed").stat().st_mode) == 0o700


def test_what_is_published_has_the_modes_of_the_umask(spool):
    before = os.umask(0o027)
    try:
        published = publish(_staged(spool), spool, _SIZES, single=None).path
    finally:
        os.umask(before)
    assert stat.S_IMODE(published.stat().st_mode) == 0o750
    assert stat.S_IMODE((published / "m").stat().st_mode) == 0o750
    assert stat.S_IMODE((published / "manifest.safe").stat().st_mode) == 0o640


@pytest.mark.parametrize(
    ("owner", "mode"),
    [pytest.param(1234, 0o700, marks=needs_root), (os.getuid(), 0o770), (os.getuid(), 0o1777)],
    ids=["another's", "a group's", "everybody's"],
)
def test_a_pre_spool_in_which_others_may_write_is_refused(spool, owner, mode):
    place = spool / ".cdsed"
    place.mkdir()
    place.chmod(mode)
    os.chown(place, owner, -1)
    with pytest.raises(DiskError, match="cdsed's alone") as error:
        prepare(_staging(spool), _LISTED, (), ())
    assert error.value.code == "EPERM"
    assert not list(place.iterdir())


@pytest.mark.parametrize("path", ["../evil", "a/../../evil", "/etc/evil", "a//b", ".", "..", "", "a/."])
def test_a_folder_is_left_by_no_path(spool, outside, path):
    before = _shape(outside)
    with DirHandle.at(spool) as folder:
        (spool / "a").mkdir()
        with pytest.raises(OSError, match="not a name"):
            folder.open(path, os.O_WRONLY | os.O_CREAT, make=True)
        for do in (folder.remove, folder.size, folder.exists):
            with pytest.raises(OSError, match="not a name"):
                do(path)
    assert _shape(outside) == before


@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_WRONLY, os.O_WRONLY | os.O_CREAT, os.O_RDWR | os.O_TRUNC])
def test_no_link_pipe_or_directory_is_opened_for_a_file(spool, outside, flags):
    before = _shape(outside)
    (spool / "link").symlink_to(outside / "precious")
    (spool / "dangling").symlink_to(outside / "nowhere")
    (spool / "folder").mkdir()
    os.mkfifo(spool / "pipe")
    with DirHandle.at(spool) as folder:
        for name in ("link", "dangling", "folder", "pipe"):
            with pytest.raises(OSError, match=name):
                folder.open(name, flags)
    assert _shape(outside) == before


def test_a_directory_swapped_for_a_link_again_and_again_never_leads_a_file_outside(spool, outside):
    """The race: an attacker exchanges a parent directory for a link while files are made in it."""
    before = _shape(outside)
    (spool / "X" / "m").mkdir(parents=True)
    (spool / "link").symlink_to(outside)
    done = threading.Event()

    def swap() -> None:
        while not done.is_set():
            (spool / "X" / "m").rename(spool / "X" / "aside")
            (spool / "link").rename(spool / "X" / "m")
            (spool / "X" / "m").rename(spool / "link")
            (spool / "X" / "aside").rename(spool / "X" / "m")

    swapper = threading.Thread(target=swap)
    swapper.start()
    made, refused = 0, 0
    try:
        with DirHandle.at(spool) as folder:
            for number in range(5000):
                try:
                    os.close(folder.open(f"X/m/{number}", os.O_WRONLY | os.O_CREAT | os.O_EXCL))
                    made += 1
                except OSError:
                    refused += 1
    finally:
        done.set()
        swapper.join()
    assert made > 0
    assert refused > 0, "the swapper never came between: this test shows nothing"
    assert _shape(outside) == before


def test_a_pipe_or_malformed_zip_in_a_spool_is_ignored_and_delays_nothing(spool):
    name = "S1A_IW_GRDH_1SDV_20240604T110100_20240604T110131_054172_069690_E33E.SAFE"
    (spool / name).mkdir()
    os.mkfifo(spool / name / "manifest.safe")
    os.mkfifo(spool / f"{name}.zip")
    assert not is_whole(spool / name)
    assert not is_whole(spool / f"{name}.zip")
    assert Presence([spool], []).find_now(name) is None


def test_links_planted_while_a_daemon_fetches_lead_nothing_outside_and_the_product_arrives(tmp_path, outside):
    """A real daemon: every file and directory of its pre-spool is swapped for links, as long as it fetches."""
    (name,) = realistic_safenames("S1_GRD", 1, seed=77)
    before = _shape(outside)
    with SandboxProcess(1, bandwidth_bytes_per_s=2_000_000) as sandbox:
        lab = Installation(tmp_path / "lab", sandbox)
        sandbox.add_products({"safename": name, "size_bytes": 6_000_000})
        staging = lab.spool / ".cdsed" / name
        lab.drop("list.txt", [name])
        with DaemonProcess(lab) as daemon:
            wait_until("something is staged", lambda: any(staging.rglob("*.tiff")), daemon=daemon)
            planted = 0
            for round_ in range(3):
                for path in [*staging.rglob("*")][:40]:
                    try:
                        path.rename(staging.parent / f"stolen-{round_}-{planted}")
                        path.symlink_to(outside / "precious" if path.suffix else outside / "X.SAFE")
                        planted += 1
                    except (FileNotFoundError, NotADirectoryError, FileExistsError):
                        continue  # it went with its directory
            assert planted > 0
            wait_until("all is finished", lambda: lab.report("list.txt"), 90, daemon=daemon)
        assert _shape(outside) == before
        assert lab.states("list.txt") == {name: "done"}
        assert lab.differences([name]) == []
        assert not [path for path in (lab.spool / name).rglob("*") if path.is_symlink()]
