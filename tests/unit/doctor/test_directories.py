"""What the doctor says about directories and the state."""

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cdsed.config.settings import Settings
from cdsed.doctor import directories, isolated, probe
from cdsed.doctor.directories import CheckedDirectory, check_directories
from cdsed.doctor.finding import DoctorVerdict, Finding
from cdsed.doctor.isolated import run_isolated
from tests.support.cli_lab import CliLab


def settings_of(root: Path, **values: object) -> Settings:
    for name in ("state", "inbox", "spool"):
        (root / name).mkdir(exist_ok=True)
    places = {"state_dir": root / "state", "inbox": {"path": root / "inbox"}, "spools": [root / "spool"]}
    return Settings.model_validate(places | {"disk": {"free_bytes_min": 0}} | values)


def by_check(found: list[Finding]) -> dict[tuple[str, str], Finding]:
    return {(each.check, each.subject.partition(" ")[0]): each for each in found}


def test_good_directories_are_tried_and_left_as_they_were(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, pre_spool=tmp_path / "staging")
    (tmp_path / "staging").mkdir()
    before = sorted(tmp_path.rglob("*"))
    found = list(check_directories(settings))
    assert {each.verdict for each in found} == {DoctorVerdict.OK}
    assert by_check(found)["same_device", "pre_spool"].text.startswith("are on one file system")
    assert by_check(found)["rights", "runtime_dir"].text == "does not exist yet; the daemon makes it"
    assert sorted(tmp_path.rglob("*")) == before


def test_a_directory_that_hangs_is_named_and_does_not_hang_the_doctor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(tmp_path)
    start, hangs = isolated._start, str(settings.spools[0])

    def started(job: dict[str, object]) -> subprocess.Popen[bytes]:
        if job["path"] != hangs:
            return start(job)
        return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], stdout=subprocess.PIPE)

    monkeypatch.setattr(isolated, "_start", started)
    begun_s = time.monotonic()
    found = by_check(list(check_directories(settings, within_s=3.0)))
    assert time.monotonic() - begun_s < 10
    assert found["mount", "spools"].verdict is DoctorVerdict.PROBLEM
    assert found["mount", "spools"].subject == f"spools {hangs}"
    assert found["rights", "inbox.path"].verdict is DoctorVerdict.OK


def test_a_job_that_fails_says_why(tmp_path: Path) -> None:
    [found] = run_isolated({"x": {"kind": "file", "path": str(tmp_path / "absent")}}, 20.0).values()
    assert found == {"error": "No such file or directory", "path": str(tmp_path / "absent")}


@pytest.mark.parametrize(
    ("changes", "check", "verdict"),
    [
        ({"writable": False}, "rights", "problem"),
        ({"readable": False}, "rights", "problem"),
        ({"is_directory": False}, "rights", "problem"),
        ({"read_only": True}, "rights", "problem"),
        ({"exists": False}, "rights", "ok"),
        ({"exists": False, "writable": False}, "rights", "problem"),
        ({"exists": False, "writable": False, "enterable": False}, "rights", "problem"),
        ({"file_system": "tmpfs"}, "file_system", "remark"),
        ({"free_bytes": 10, "inodes": 100, "inodes_free": 90}, "space", "problem"),
        ({"full": "No space left on device"}, "space", "problem"),
        ({"file_system": "nfs4", "network": True}, "file_system", "problem"),
        ({"free_bytes": 10}, "space", "problem"),
        ({"inodes_free": 0}, "inodes", "problem"),
        ({"inodes_free": 50}, "inodes", "remark"),
        ({"inodes": 0, "inodes_free": 0}, "space", "ok"),
        ({"failed": {"flock": "not supported"}}, "flock", "problem"),
        ({"failed": {"rename": "not supported"}}, "rename", "problem"),
    ],
)
def test_what_is_wrong_with_a_directory_has_a_meaning_and_a_remedy(
    changes: dict[str, object], check: str, verdict: str
) -> None:
    good: dict[str, object] = {
        "exists": True,
        "is_directory": True,
        "there": "/x",
        "file_system": "ext4",
        "network": False,
        "free_bytes": 10**12,
        "inodes": 10**6,
        "inodes_free": 10**6,
        "read_only": False,
        "readable": True,
        "writable": True,
        "enterable": True,
        "failed": {},
    }
    place = CheckedDirectory("state_dir", Path("/x"), needs_lock=True, is_local=True, free_bytes_min=10**9)
    [finding] = [each for each in directories._of_place(place, good | changes, 1.0) if each.check == check]
    assert finding.verdict.value == verdict
    assert verdict == "ok" or (finding.means and finding.remedy)


def test_a_full_disk_is_one_problem_of_space_and_not_of_the_file_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: Path) -> None:
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    monkeypatch.setitem(probe._ATTEMPTS, "write", full)
    found = probe.main({"kind": "directory", "path": str(tmp_path), "writes": True})
    assert (found["failed"], found["full"]) == ({}, "Disk quota exceeded")


def test_a_link_to_nothing_is_named_with_what_it_leads_to(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("/nonexistent/x")
    found = probe.main({"kind": "directory", "path": str(link / "spool"), "writes": True})
    assert found == {"error": f"{link} is a symbolic link to /nonexistent/x, which cannot be reached"}


def test_a_directory_below_one_that_this_user_may_not_enter_is_not_called_absent() -> None:
    found = {"exists": False, "is_directory": True, "there": "/a b", "writable": False, "enterable": False}
    finding = directories._rights(CheckedDirectory("spools", Path("/a b/c")), "spools /a b/c", found)
    assert "may not enter /a b" in finding.text
    assert finding.remedy.endswith("sudo chmod o+x '/a b'")


def test_another_file_system_for_the_staging_is_a_remark(tmp_path: Path) -> None:
    other = next((each for each in (Path("/dev/shm"), Path("/run")) if os.access(each, os.W_OK)), None)
    if other is None or other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("this machine has no second file system")
    moved = probe.main({"kind": "move", "source": str(tmp_path), "target": str(other)})
    assert moved["crosses"]
    assert list(tmp_path.iterdir()) == []


def test_the_state_is_read_and_a_damaged_one_is_a_problem(used_cli_lab: CliLab) -> None:
    file = used_cli_lab.state_dir / "cdsed.sqlite"
    job = {"kind": "state", "path": str(used_cli_lab.state_dir)}
    assert probe.main(job)["problems"] == []
    content = bytearray(file.read_bytes())
    content[8192:16384] = b"x" * 8192
    file.write_bytes(content)
    found = probe.main(job)
    finding = directories._state(settings_of(used_cli_lab.root), found, 1.0)
    assert finding.verdict is DoctorVerdict.PROBLEM
    assert "recovers it" in finding.means
