import fcntl
import os
import subprocess
from pathlib import Path

import pytest

from cdsed.inbox.scan import InboxScan
from tests.support.clocks import HandClock

REST_S = 5.0


@pytest.fixture
def scan(tmp_path: Path, clock: HandClock) -> InboxScan:
    return InboxScan(tmp_path, ["lops", "esa"], REST_S, clock)


def names(scan: InboxScan) -> list[str]:
    return [dropped.path.name for dropped in scan.complete()]


def write(path: Path, text: str = "S1A_x\n") -> Path:
    path.write_text(text, encoding="utf-8")
    status = path.stat()
    os.utime(path, ns=(status.st_mtime_ns, status.st_ctime_ns + 10**9))  # as if ctime were not later
    return path


def test_a_file_just_written_is_complete_only_after_its_rest(tmp_path: Path, scan: InboxScan, clock: HandClock) -> None:
    write(tmp_path / "a.txt")
    assert (names(scan), scan.pending()) == ([], 1)
    clock.now_s += REST_S - 0.1
    assert names(scan) == []
    clock.now_s += 0.2
    assert (names(scan), scan.pending()) == (["a.txt"], 0)


def test_a_file_that_grows_starts_its_rest_again(tmp_path: Path, scan: InboxScan, clock: HandClock) -> None:
    path = write(tmp_path / "a.txt")
    names(scan)
    clock.now_s += REST_S - 1
    write(path, "S1A_x\nS1A_y\n")
    names(scan)
    clock.now_s += REST_S - 1
    assert names(scan) == []
    clock.now_s += 1
    assert names(scan) == ["a.txt"]


def test_a_file_open_for_writing_is_never_complete(tmp_path: Path, scan: InboxScan, clock: HandClock) -> None:
    path = tmp_path / "a.txt"
    with path.open("w", encoding="utf-8") as file:
        file.write("S1A_x\n")
        file.flush()
        os.utime(path, (0, 0))
        names(scan)
        clock.now_s += 10 * REST_S
        assert (names(scan), scan.pending()) == ([], 1)
    assert names(scan) == ["a.txt"]


def test_a_file_renamed_in_is_complete_at_once(tmp_path: Path, scan: InboxScan) -> None:
    hidden = tmp_path / ".a.txt"
    hidden.write_text("S1A_x\n", encoding="utf-8")
    while True:  # until the file system's clock has ticked
        hidden.rename(tmp_path / "a.txt")
        if (tmp_path / "a.txt").stat().st_ctime_ns > (tmp_path / "a.txt").stat().st_mtime_ns:
            break
        (tmp_path / "a.txt").rename(hidden)
    assert names(scan) == ["a.txt"]


def test_a_file_that_was_seen_to_be_moved_in_is_complete_at_once(tmp_path: Path, scan: InboxScan) -> None:
    path = write(tmp_path / "a.txt")
    scan.note({path: True})
    assert names(scan) == ["a.txt"]


def test_a_file_that_was_moved_in_and_then_written_rests(tmp_path: Path, scan: InboxScan, clock: HandClock) -> None:
    path = write(tmp_path / "a.txt")
    scan.note({path: True})
    scan.note({path: False})
    assert names(scan) == []
    assert scan.rested_s() == clock.boot_s() + REST_S


def test_a_file_that_was_moved_in_while_it_is_written_is_not_complete(tmp_path: Path, scan: InboxScan) -> None:
    path = write(tmp_path / "a.txt")
    with path.open("a", encoding="utf-8"):
        scan.note({path: True})
        assert names(scan) == []
    assert names(scan) == ["a.txt"]


def test_a_file_of_another_user_that_was_moved_in_is_complete_at_once(
    tmp_path: Path, scan: InboxScan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cdsed.inbox.scan._is_being_written", lambda _: None)  # only the owner may ask the kernel
    path = write(tmp_path / "a.txt")
    assert names(scan) == []
    scan.note({path: True})
    assert names(scan) == ["a.txt"]


def test_a_file_that_was_old_when_first_seen_is_complete_at_once(tmp_path: Path, scan: InboxScan) -> None:
    path = write(tmp_path / "a.txt")
    os.utime(path, (0, 0))
    assert names(scan) == ["a.txt"]


def test_an_empty_file_just_created_is_left_its_time(tmp_path: Path, scan: InboxScan) -> None:
    path = tmp_path / "a.txt"
    path.touch()
    path.chmod(0o640)
    assert (names(scan), scan.pending()) == ([], 1)


def test_files_come_oldest_first_with_group_size_and_owner(tmp_path: Path, scan: InboxScan, clock: HandClock) -> None:
    (tmp_path / "lops").mkdir()
    os.utime(write(tmp_path / "young.txt"), (2000, 2000))
    os.utime(write(tmp_path / "lops" / "old.txt", "x"), (1000, 1000))
    old, young = scan.complete()
    assert (old.path, old.group, old.size_bytes) == (tmp_path / "lops" / "old.txt", "lops", 1)
    assert (young.path.name, young.group) == ("young.txt", None)
    user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
    assert old.user == user


@pytest.mark.parametrize("name", [".hidden", "a~", "a.tmp", "a.part", ".a.swp", "a.swp", ".nfs0001"])
def test_unfinished_files_are_ignored(tmp_path: Path, scan: InboxScan, clock: HandClock, name: str) -> None:
    write(tmp_path / name)
    names(scan)
    clock.now_s += 10 * REST_S
    assert (names(scan), scan.pending(), scan.unexpected()) == ([], 0, [])


def test_our_own_directories_are_ignored(tmp_path: Path, scan: InboxScan) -> None:
    for name in (".taking", ".accepted", ".rejected"):
        (tmp_path / name).mkdir()
        os.utime(write(tmp_path / name / "a.txt"), (0, 0))
    assert (names(scan), scan.unexpected()) == ([], [])


def test_what_can_be_no_listing_is_reported_once_in_the_log(
    tmp_path: Path, scan: InboxScan, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "lopz").mkdir()
    (tmp_path / "link.txt").symlink_to(write(tmp_path / "a.txt"))
    (tmp_path / "lops").mkdir()
    (tmp_path / "lops" / "inner").mkdir()
    unexpected = {tmp_path / "lopz", tmp_path / "link.txt", tmp_path / "lops" / "inner"}
    names(scan)
    names(scan)
    assert set(scan.unexpected()) == unexpected
    assert len(caplog.messages) == 3
    assert "esa, lops" in caplog.text


def test_an_inbox_that_is_not_there_is_not_taken_for_an_empty_one(tmp_path: Path, clock: HandClock) -> None:
    with pytest.raises(FileNotFoundError):
        InboxScan(tmp_path / "gone", [], REST_S, clock).complete()


def test_a_writer_that_breaks_our_lease_does_not_kill_us(
    tmp_path: Path, scan: InboxScan, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.txt")
    refused: list[Path] = []

    def fcntl_then_writer(descriptor: int, command: int, argument: int) -> int:
        done = real_fcntl(descriptor, command, argument)
        if (command, argument) == (fcntl.F_SETLEASE, fcntl.F_RDLCK):
            try:
                os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
            except BlockingIOError:
                refused.append(path)
        return done

    real_fcntl = fcntl.fcntl
    monkeypatch.setattr(fcntl, "fcntl", fcntl_then_writer)
    names(scan)
    clock.now_s += REST_S
    names(scan)
    assert refused


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every directory and lease every file")
def test_an_unreadable_group_directory_is_an_unexpected_entry(tmp_path: Path, scan: InboxScan) -> None:
    (tmp_path / "lops").mkdir(mode=0)
    os.utime(write(tmp_path / "a.txt"), (0, 0))
    assert names(scan) == ["a.txt"]
    assert scan.unexpected() == [tmp_path / "lops"]


_UNFINISHED = ("x.filepart", "x.csv.crdownload", "x.TMP", "x.PART", "x.Part", "x.partial", "~$x.csv", "#x#", "x.bak")


@pytest.mark.parametrize("name", [*_UNFINISHED, ".x", ".~lock.x.csv#", "x~", "x.swp", "x.csv._COPYING_"])
def test_an_unfinished_upload_is_left_alone_whatever_the_case(tmp_path: Path, scan: InboxScan, name: str) -> None:
    os.utime(write(tmp_path / name), (0, 0))
    os.utime(write(tmp_path / "x.csv"), (0, 0))
    assert names(scan) == ["x.csv"]
    assert (scan.pending(), scan.unexpected()) == (0, [])


def test_the_settings_may_name_more_patterns(tmp_path: Path, clock: HandClock) -> None:
    for name in ("a.draft", "B.DRAFT", "test-1.txt", "x.csv"):
        os.utime(write(tmp_path / name), (0, 0))
    assert names(InboxScan(tmp_path, [], REST_S, clock, ["*.draft", "TEST-*"])) == ["x.csv"]
