"""The sessions of accounts that daemons of one user on one machine share."""

import os
from pathlib import Path

import pytest

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
