"""Backups, the files of a state, and the space reserved for it."""

import fcntl
import os
import stat
import threading
from pathlib import Path

import apsw
import pytest

from cdsed.errors import StateDamaged, StateDiskError, StateError
from cdsed.local.space import free_bytes
from cdsed.store import backup, files
from cdsed.store.backup import back_up, backups, copy_good, newest_good
from cdsed.store.database import FILE_NAME, Database, open_state
from cdsed.store.reserve import Reserve
from cdsed.store.shortage import SIZE_BYTES, shortage
from tests.support.disks import Disk, needs_root
from tests.support.state import StateLab


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "backups"


def work(tmp_path: Path) -> Path:
    return files.workplace(tmp_path / "state")


def flip(path: Path) -> None:
    """Damage a page in the middle of a file."""
    with path.open("r+b") as file:
        file.seek(4096 * 3)
        file.write(os.urandom(4096))


def test_a_backup_has_everything_that_was_committed(lab: StateLab, folder: Path, tmp_path: Path) -> None:
    lab.queued("A")
    made = back_up(lab.db, folder, lab.clock)
    lab.queued("B")
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o640
    assert [path.name for path in folder.iterdir()] == [made.path.name]
    copy_good(made.path, work(tmp_path))
    db = open_state(tmp_path / "state" / "making")
    assert [row["safename"] for row in db.rows("SELECT safename FROM product")] == ["A"]
    assert db.problems() == []
    db.close()


def test_seven_are_kept_and_the_newest_is_known_by_number_not_clock(lab: StateLab, folder: Path) -> None:
    for _ in range(9):
        back_up(lab.db, folder, lab.clock)
        lab.clock.utc -= 86_400  # the clock is set back, day after day
    assert [made.number for made in backups(folder)] == [9, 8, 7, 6, 5, 4, 3]


def test_those_before_an_upgrade_do_not_displace_the_daily_ones(lab: StateLab, folder: Path) -> None:
    for _ in range(4):
        back_up(lab.db, folder, lab.clock, before_upgrade=True)
    for _ in range(8):
        back_up(lab.db, folder, lab.clock)
    assert [made.number for made in backups(folder)] == [12, 11, 10, 9, 8, 7, 6, 4, 3]


def test_a_damaged_state_is_not_backed_up_and_displaces_nothing(lab: StateLab, folder: Path, tmp_path: Path) -> None:
    for number in range(200):
        lab.queued(f"product-{number}")
    good = back_up(lab.db, folder, lab.clock)
    lab.db.close()
    flip(tmp_path / "state" / FILE_NAME)
    connection = apsw.Connection(str(tmp_path / "state" / FILE_NAME))
    with pytest.raises(StateDamaged, match="no backup is made of a damaged state"):
        back_up(Database(connection), folder, lab.clock)
    connection.close()
    assert backups(folder) == [good]


def test_a_bad_backup_is_passed_over(
    lab: StateLab, folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(200):
        lab.queued(f"product-{number}")
    for _ in range(3):
        back_up(lab.db, folder, lab.clock)
    newest, middle, oldest = backups(folder)
    flip(newest.path)
    middle.path.write_bytes(b"")
    assert newest_good(folder, work(tmp_path)) == oldest
    assert caplog.text.count("cannot be used") == 2
    with pytest.raises(StateError):
        copy_good(newest.path, work(tmp_path))


def test_a_backup_without_room_leaves_nothing_behind(small_disk: Path, lab: StateLab) -> None:
    (small_disk / "filler").write_bytes(b"x" * (free_bytes(small_disk) - 300_000))
    with pytest.raises(StateDiskError, match="set backup_dir to another disk"):
        back_up(lab.db, small_disk / "backups", lab.clock)
    assert list((small_disk / "backups").iterdir()) == []


def test_others_write_while_a_backup_is_made(lab: StateLab, folder: Path, tmp_path: Path) -> None:
    for number in range(300):
        lab.queued(f"product-{number}")
    copying = open_state(tmp_path / "state")
    thread = threading.Thread(target=back_up, args=(copying, folder, lab.clock))
    thread.start()
    written = 0
    while thread.is_alive():
        lab.queued(f"meanwhile-{written}")
        written += 1
    thread.join()
    copying.close()
    assert len(backups(folder)) == 1
    assert lab.db.problems() == []


def test_a_backup_can_be_interrupted_and_leaves_nothing(lab: StateLab, folder: Path) -> None:
    lab.db.interrupt()  # with nothing to interrupt it does nothing
    assert back_up(lab.db, folder, lab.clock)


def test_a_new_state_takes_the_place_of_one_that_is_kept_aside(lab: StateLab, tmp_path: Path) -> None:
    lab.queued("A")
    state = tmp_path / "state"
    open_state(work(tmp_path)).close()
    aside = files.put_in_place(state, "because of a test", lab.clock)
    assert {path.name for path in aside.iterdir()} >= {FILE_NAME, f"{FILE_NAME}-wal", "why.txt"}
    assert (aside / "why.txt").read_text(encoding="utf-8") == "because of a test\n"
    assert not lab.db.is_in_place()
    db = open_state(state)
    assert db.value("SELECT count(*) FROM product") == 0
    db.close()
    assert files.set_aside_before(state) == [aside]


def test_a_connection_knows_whether_its_file_is_in_place(lab: StateLab, tmp_path: Path) -> None:
    lab.queued("A")
    assert lab.db.is_in_place()
    lab.db.checkpoint()
    assert lab.db.is_in_place()
    (tmp_path / "state" / f"{FILE_NAME}-wal").unlink()
    assert not lab.db.is_in_place()


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_replacement_that_was_interrupted_is_finished_or_forgotten(lab: StateLab, tmp_path: Path, steps: int) -> None:
    lab.queued("A")
    lab.db.close()
    state = tmp_path / "state"
    open_state(work(tmp_path)).close()
    if steps >= 2:
        (state / "making").rename(state / "made")
    if steps >= 3:
        (state / FILE_NAME).rename(tmp_path / "elsewhere")
        (state / f"{FILE_NAME}-wal").write_bytes(b"left behind")
    files.finish_interrupted(state, lab.clock)
    db = open_state(state)
    assert db.value("SELECT count(*) FROM product") == (0 if steps == 3 else 1)
    db.close()
    assert not {"making", "made"} & {path.name for path in state.iterdir()}


def test_room_is_kept_only_where_there_is_enough_of_it(tmp_path: Path, small_disk: Path) -> None:
    kept = Reserve(tmp_path)
    assert kept.make()
    made = (tmp_path / "reserve").stat()
    assert kept.make()
    assert (tmp_path / "reserve").stat().st_ctime_ns == made.st_ctime_ns, "a disk that is at rest is not written to"
    assert (tmp_path / "reserve").stat().st_blocks * 512 >= SIZE_BYTES
    kept.give_up_if_needed()
    assert (tmp_path / "reserve").exists()
    kept.give_up()
    kept.give_up()
    assert not (tmp_path / "reserve").exists()
    assert not Reserve(small_disk).make()
    assert list(small_disk.iterdir()) == []


def test_a_disk_that_takes_no_reserve_is_named_once_the_daemon_has_settled(tmp_path: Path) -> None:
    assert shortage(tmp_path, settled=False) is None
    assert f"the disk of the state {tmp_path} cannot be written" in (shortage(tmp_path, settled=True) or "")
    assert Reserve(tmp_path).make()
    assert shortage(tmp_path, settled=True) is None


@needs_root
def test_a_read_only_disk_has_no_space_and_releasing_its_reserve_raises_nothing(disk: Disk) -> None:
    kept = Reserve(disk.place)
    assert kept.make()
    disk.make_read_only()
    kept.give_up()
    assert not kept.make()
    disk.make_read_only(yes=False)
    assert kept.make()


def test_a_backup_that_another_process_is_making_is_left_alone(lab: StateLab, folder: Path) -> None:
    folder.mkdir()
    unfinished = folder / ".cdsed-000001-20261122T143205Z.sqlite.being-made"
    unfinished.touch()
    other = os.open(folder, os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    with pytest.raises(StateError, match="another backup is being made"):
        back_up(lab.db, folder, lab.clock)
    assert unfinished.exists()
    os.close(other)
    assert back_up(lab.db, folder, lab.clock).path.exists()
    assert not unfinished.exists()


def test_unfinished_backups_are_cleared_away(lab: StateLab, folder: Path) -> None:
    folder.mkdir()
    (folder / ".cdsed-000001-20261122T000000Z.sqlite.being-made").write_bytes(b"incomplete")
    made = back_up(lab.db, folder, lab.clock)
    assert list(folder.iterdir()) == [made.path]
    assert backup.backups(folder / "nowhere") == []


def former_state(lab: StateLab, state: Path, clock_moves_s: float = 3600) -> Path:
    """Set a state aside the way a recovery does, an hour after the one before."""
    lab.clock.utc += clock_moves_s
    place = work(lab.root)
    files.forget_surplus(state)
    open_state(place).close()
    return files.put_in_place(state, "because of a test", lab.clock)


def test_of_former_states_the_oldest_and_the_three_newest_stay_and_whatever_was_renamed(
    lab: StateLab, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    state = tmp_path / "state"
    made = [former_state(lab, state) for _ in range(6)]
    kept = made[4].rename(state / "aside" / "to be looked at")
    made += [former_state(lab, state) for _ in range(2)]
    assert files.set_aside_before(state) == [made[0], *made[5:], kept]
    assert f"{made[1]} is removed" in caplog.text
    assert caplog.text.count("is removed") == 3


def test_which_former_state_is_the_oldest_is_known_although_the_clock_was_set_back(
    lab: StateLab, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    made = [former_state(lab, state, moved_s) for moved_s in (0, 0, 0, 0, -86_400, 0, 3600)]
    assert files.set_aside_before(state) == [made[0], *made[-3:]]


def test_former_states_take_no_more_than_is_free_besides_but_the_oldest_stays(lab: StateLab, small_disk: Path) -> None:
    state, aside = small_disk / "state", small_disk / "state" / "aside"
    sizes = {"20260101T000000Z": 500_000, "20260102T000000Z": 200_000, "20260103T000000Z": 300_000}
    for name, size_bytes in sizes.items():
        (aside / name).mkdir(parents=True)
        (aside / name / FILE_NAME).write_bytes(b"x" * size_bytes)
    files.forget_surplus(state)
    assert [path.name for path in files.set_aside_before(state)] == list(sizes)
    (small_disk / "filler").write_bytes(b"x" * (free_bytes(small_disk) - 400_000))
    files.forget_surplus(state)
    assert [path.name for path in files.set_aside_before(state)] == ["20260101T000000Z", "20260103T000000Z"]
    (small_disk / "more").write_bytes(b"x" * (free_bytes(small_disk) - 100_000))
    files.forget_surplus(state)
    assert [path.name for path in files.set_aside_before(state)] == ["20260101T000000Z"]
