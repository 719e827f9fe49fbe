"""Many small files are synced by one call where that is durable and fast, and each for itself elsewhere."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cdsed.dir_handle import DirHandle
from cdsed.errors import DiskError
from cdsed.transfer.disk_sync import DiskSync, kernel_reports, syncs_all
from cdsed.transfer.staging import HeldStaging, only_this_fails
from tests.support.injection import Strace, needs_strace

_SYNCS = "syncfs,fdatasync,fsync"


class _Seconds:
    """A clock that advances by so many seconds each time it is asked."""

    def __init__(self) -> None:
        self.now, self.each = 0.0, 0.0

    def __call__(self) -> float:
        self.now += self.each
        return self.now


@contextmanager
def _files(folder: Path, count: int) -> Iterator[list[int]]:
    opened = [os.open(folder / f"f{number}", os.O_WRONLY | os.O_CREAT) for number in range(count)]
    for file in opened:
        os.write(file, b"bytes")
    yield opened
    for file in opened:
        os.close(file)


def _calls(strace: Strace) -> list[str]:
    return [call.syscall for call in strace.calls() if call.syscall in _SYNCS.split(",")]


@pytest.fixture
def durable(tmp_path):
    """Give a directory on a file system that syncs all at once."""
    descriptor = os.open(tmp_path, os.O_RDONLY)
    able = syncs_all(descriptor)
    os.close(descriptor)
    if not able:
        pytest.skip("the temporary directory is on a file system whose files are synced one by one")
    return tmp_path


@needs_strace
def test_many_files_of_a_disk_are_synced_at_once_and_few_one_by_one(durable, tmp_path):
    sync = DiskSync()
    with _files(durable, 3) as three, Strace([os.getpid()], tmp_path / "log", [f"-etrace={_SYNCS}"]) as strace:
        sync.files(three)
        sync.files(three[:2])
    assert _calls(strace) == ["syncfs", "fdatasync", "fdatasync"]


@needs_strace
def test_a_disk_on_which_others_write_much_is_synced_file_by_file_for_a_minute(durable, tmp_path):
    seconds = _Seconds()
    sync = DiskSync(seconds)
    with _files(durable, 3) as three, Strace([os.getpid()], tmp_path / "log", [f"-etrace={_SYNCS}"]) as strace:
        seconds.each = 2.0
        sync.files(three)
        seconds.each = 0.0
        sync.files(three)
        seconds.now += 61
        sync.files(three)
    assert _calls(strace) == ["syncfs", *["fdatasync"] * 3, "syncfs"]


@needs_strace
def test_where_it_would_not_be_durable_each_file_and_directory_is_synced(tmp_path):
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="cdsed-sync-") as folder:
        (Path(folder) / "a" / "b").mkdir(parents=True)
        with (
            DirHandle.at(Path(folder)) as top,
            _files(Path(folder), 3) as three,
            Strace([os.getpid()], tmp_path / "log", [f"-etrace={_SYNCS}"]) as strace,
        ):
            assert not syncs_all(top.descriptor)
            DiskSync().files(three)
            DiskSync().directories(top, 3)
    assert _calls(strace) == [*["fdatasync"] * 3, *["fsync"] * 3]


@needs_strace
def test_after_a_failure_each_file_says_itself_whether_it_is_on_the_disk(durable, tmp_path):
    fails = [f"-etrace={_SYNCS}", "-einject=syncfs:error=EIO"]
    with _files(durable, 3) as three, Strace([os.getpid()], tmp_path / "log", fails) as strace:
        DiskSync().files(three)
    assert _calls(strace) == ["syncfs", *["fdatasync"] * 3]


@needs_strace
def test_what_could_not_be_synced_once_is_never_taken_for_synced(durable, tmp_path):
    staging = durable / ".cdsed" / "P.SAFE"
    staging.mkdir(parents=True)
    staging.parent.chmod(0o700)
    held = HeldStaging(staging, lambda: None)
    with (
        _files(staging, 2) as two,
        Strace([os.getpid()], tmp_path / "log", [f"-etrace={_SYNCS}", "-einject=fdatasync:error=EIO:when=2"]),
    ):
        for file in two:
            held.sync_later(file)
        for _ in range(2):
            with pytest.raises(DiskError) as failed:
                held.sync()
            assert not only_this_fails(failed.value, str(staging))  # the disk pauses, and no product is charged
    held.close()


@pytest.mark.parametrize(
    ("release", "reports"), [("5.7.19", False), ("5.8.0-arch", True), ("6.18", True), ("?", False)]
)
def test_a_kernel_that_does_not_report_failures_is_known_by_its_release(release, reports):
    assert kernel_reports(release) is reports
