"""The sessions of accounts that daemons of one user on one machine share."""

import os
from pathlib import Path

import pytest

from cdsed.clock import Clock
from cdsed.process import register
from cdsed.process.register import VARIABLE, Register, register_dir


@pytest.fixture(autouse=True)
def _without_units(monkeypatch, tmp_path):
    monkeypatch.setattr(register, "_OF_UNITS", tmp_path / "units")


@pytest.fixture
def shared(tmp_path):
    return register_dir({VARIABLE: str(tmp_path / "register")})


def test_a_session_belongs_to_one_daemon_at_a_time_and_its_holder_is_named(shared):
    one, other = Register(shared, 4711, Path("/one")), Register(shared, 4712, Path("/other"))
    held = one.take("mark", 1)
    assert held is not None
    assert other.take("mark", 1) is None
    assert other.others("mark", [1, 2]) == "pid 4711, state /one"
    assert one.others("mark", [1, 2]) == ""
    assert other.take("another", 1) is not None
    held.release()
    assert other.others("mark", [1, 2]) == ""
    assert other.take("mark", 1) is not None


def test_where_nothing_is_shared_every_daemon_takes_what_its_state_gives(tmp_path):
    one, other = Register(None, 1, Path("/one")), Register(None, 2, Path("/other"))
    assert one.take("mark", 1) is not None
    assert other.take("mark", 1) is not None
    assert other.others("mark", [1]) == ""


def test_a_directory_in_which_others_may_write_is_not_used(tmp_path):
    (tmp_path / "open").mkdir(mode=0o777)
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "link").symlink_to(tmp_path)
    for name in ("open", "link", "absent/deeper"):
        assert register_dir({VARIABLE: str(tmp_path / name)}) is None


def test_the_units_directory_comes_before_the_users_own(tmp_path):
    assert register_dir({}) == Path(f"/tmp/cdsed-{os.geteuid()}")
    (tmp_path / "units").mkdir(mode=0o700)
    assert register_dir({}) == tmp_path / "units"
    assert register_dir({VARIABLE: str(tmp_path / "mine")}) == tmp_path / "mine"


class _Hands(Clock):
    now_s = 5000.0

    def boot_s(self) -> float:
        return self.now_s


def test_a_session_that_is_kept_is_taken_by_nobody_before_its_time(shared):
    clock = _Hands()
    one, other = (Register(shared, pid, Path(f"/{pid}"), clock) for pid in (1, 2))
    held = one.take("mark", 1)
    one.keep(held, 30.0)
    held.release()  # as the kernel does when its process dies
    clock.now_s += 29
    assert other.take("mark", 1) is None
    assert one.take("mark", 1) is None
    clock.now_s += 2
    again = other.take("mark", 1)
    assert again is not None
    other.keep(again, 30.0)
    other.keep(again, 0.0)
    again.release()
    assert one.take("mark", 1) is not None


def test_a_time_from_before_the_last_boot_keeps_nothing(shared):
    clock = _Hands()
    clock.now_s = 9e6
    held = Register(shared, 1, Path("/one"), clock).take("mark", 1)
    Register(shared, 1, Path("/one"), clock).keep(held, 30.0)
    held.release()
    clock.now_s = 60.0
    assert Register(shared, 1, Path("/one"), clock).take("mark", 1) is not None
