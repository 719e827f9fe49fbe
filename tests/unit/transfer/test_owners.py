"""Owners of staging directories: real processes that hold their locks, are killed, or were on other machines."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from cdsed.errors import OwnedElsewhere
from cdsed.transfer.ownerfile import this_owner
from cdsed.transfer.owners import GRACE_S, STALE_S, Owners

_ONE, _TWO, _THREE = "1" * 32, "2" * 32, "3" * 32
_HOLDER = """
import sys, time
from pathlib import Path
from cdsed.transfer.ownerfile import this_owner
from cdsed.transfer.owners import Owners
owners = Owners(this_owner(sys.argv[2], Path("/their/state"), 4711))
print(owners.claim(Path(sys.argv[1]), sys.argv[3], lambda: print("took over")), flush=True)
time.sleep(600)
"""


class Holder:
    """Another state's worker: a process that has claimed a product and lives until it is killed."""

    def __init__(self, room, state_id, name):
        command = [sys.executable, "-c", _HOLDER, str(room), state_id, name]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.said = self._process.stdout.readline().strip()

    def kill(self):
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()


@pytest.fixture
def room(tmp_path):
    made = tmp_path / "spool" / ".cdsed"
    made.mkdir(parents=True, mode=0o700)
    return made


@pytest.fixture
def holder(room):
    """Give another state's living worker, which owns A."""
    process = Holder(room, _TWO, "A")
    assert process.said == "False"
    yield process
    process.kill()


def owners(state_id=_ONE):
    return Owners(this_owner(state_id, Path("/my/state"), os.getpid()))


def never():
    raise AssertionError("there is nothing to take over")


def silent_for(room, state_id, seconds, host=None):
    """Give a dead state a heartbeat of so long ago, perhaps on another machine."""
    file = room / "owners" / f"{state_id}.state"
    if host is not None:
        file.write_text(json.dumps({**json.loads(file.read_text(encoding="utf-8")), "host": host}), encoding="utf-8")
    then_s = time.time() - seconds
    os.utime(file, (then_s, then_s))


def test_a_place_that_a_living_state_owns_is_refused_and_its_owner_named(room, holder):
    with pytest.raises(OwnedElsewhere, match=r"pid 4711, state /their/state\) downloads A to .*/spool;"):
        owners().claim(room, "A", never)
    assert owners().other(room, "A", living=True).pid == 4711
    assert owners().claim(room, "B", never) is False


def test_what_a_state_owns_it_claims_again_from_any_of_its_processes(room):
    first = owners()
    assert first.claim(room, "A", never) is False
    assert first.claim(room, "A", never) is True
    assert owners().claim(room, "A", never) is True
    assert owners().hold(room, "A") is True


def test_a_killed_state_keeps_its_places_for_a_restart_and_loses_them_when_it_does_not_come(room, holder):
    holder.kill()
    with pytest.raises(OwnedElsewhere):
        owners().claim(room, "A", never)
    silent_for(room, _TWO, GRACE_S + 1)
    forgotten = []
    assert owners().claim(room, "A", lambda: forgotten.append("A")) is False
    assert forgotten == ["A"]
    with pytest.raises(OwnedElsewhere):
        owners(_TWO).check(room, "A")


def test_a_living_state_keeps_its_place_however_long_it_is_silent(room, holder):
    silent_for(room, _TWO, 10 * STALE_S)
    with pytest.raises(OwnedElsewhere):
        owners().claim(room, "A", never)


def test_a_state_on_another_machine_whose_lock_cannot_be_seen_is_dead_only_after_minutes(room, holder):
    holder.kill()
    silent_for(room, _TWO, STALE_S - 10, host="another machine")
    with pytest.raises(OwnedElsewhere):
        owners().claim(room, "A", never)
    silent_for(room, _TWO, STALE_S + 10)
    assert owners().claim(room, "A", lambda: None) is False


def test_a_worker_asleep_during_a_takeover_is_stopped_at_the_fence(room, holder):
    sleeper = owners(_THREE)
    sleeper.claim(room, "B", never)
    sleeper.check(room, "B")
    (room / "owners" / "B.owner").write_text(_TWO)
    for stopped in (sleeper.check, sleeper.hold):
        with pytest.raises(OwnedElsewhere, match="pid 4711"):
            stopped(room, "B")
    sleeper.release(room, "B")
    assert sleeper.other(room, "B").state_id == _TWO


def test_a_place_without_an_owner_is_kept_by_the_state_that_works_there(room):
    assert owners().hold(room, "A") is False  # begun by a cdsed that knew no owners
    assert owners().hold(room, "A") is False, "after a kill it is still known that another state may have been there"
    assert owners().claim(room, "A", never) is True
    assert owners().hold(room, "A") is True
    with pytest.raises(OwnedElsewhere):
        owners(_TWO).hold(room, "A")


@pytest.mark.parametrize("left", [b"", bytes(33)], ids=["nothing", "zeros"])
def test_an_owner_of_which_a_power_cut_has_left_nothing_is_none(room, left):
    owners().claim(room, "B", never)
    (room / "owners" / "A.owner").write_bytes(left)
    assert owners().other(room, "A") is None
    assert owners().claim(room, "A", never) is False
    assert owners().claim(room, "A", never) is True


def test_a_place_that_is_given_back_is_free_at_once(room, holder):
    mine = owners()
    mine.claim(room, "B", never)
    assert mine.owned(room)[0] == ["B"]
    assert mine.owned(room)[1]["A"].pid == 4711
    mine.release(room, "B", unless=lambda: True)
    assert mine.owned(room)[0] == ["B"]
    mine.release(room, "B")
    mine.release(room, "A")  # not its own
    assert mine.owned(room)[0] == []
    assert owners(_TWO).hold(room, "B") is False
    assert owners(_TWO).hold(room, "A") is True


def test_nothing_is_held_open_in_a_room_where_nothing_is_owned_so_that_its_disk_can_be_unmounted(room):
    mine = owners()
    mine.claim(room, "A", never)
    mine.heartbeat(room)
    assert mine.rooms() == (room,)
    mine.release(room, "A")
    mine.heartbeat(room)
    assert mine.rooms() == ()


def test_a_heartbeat_tells_by_the_file_servers_clock_that_a_state_lives(room):
    mine = owners()
    mine.claim(room, "A", never)
    silent_for(room, _ONE, 1000)
    mine.heartbeat(room)
    assert time.time() - (room / "owners" / f"{_ONE}.state").stat().st_mtime < 10


def test_of_many_that_claim_at_once_one_wins(room):
    won, lost = [], []

    def claim(number):
        try:
            won.append(owners(f"{number:032x}").claim(room, "A", never))
        except OwnedElsewhere:
            lost.append(number)

    threads = [threading.Thread(target=claim, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), len(lost)) == (1, 15)


def test_a_living_state_writes_its_owner_file_again_when_emptied(room):
    first = owners()
    first.claim(room, "A", never)
    file = room / "owners" / f"{_ONE}.state"
    file.write_bytes(b"")
    first.heartbeat(room)
    assert owners(_TWO).other(room, "A").pid == os.getpid()


def test_a_room_that_is_not_there_is_not_made(tmp_path):
    (tmp_path / "spool").mkdir()  # its disk is not mounted
    with pytest.raises(FileNotFoundError):
        owners().claim(tmp_path / "spool" / ".cdsed", "A", never)
    assert list((tmp_path / "spool").iterdir()) == []


def test_a_room_in_which_others_may_write_is_refused(room):
    room.chmod(0o777)
    with pytest.raises(PermissionError):
        owners().claim(room, "A", never)
