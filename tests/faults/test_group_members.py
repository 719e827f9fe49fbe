"""Members of the group `cdsed` drop listings and look at the daemon of another user, whatever their umask is."""

import os
import stat
from pathlib import Path

import pytest

from cdsed.process.lock import KernelLock
from cdsed.sandbox.names import realistic_safenames
from tests.support.daemon import DaemonProcess, Installation, wait_until
from tests.support.sandbox import SandboxProcess
from tests.support.users import GROUP, MEMBER, SERVICE, needs_root, open_way_to, run_as

pytestmark = needs_root

# What the daemon's intake does, as the user of the service. The tests run as root, which may read everything.
_TAKE = """
import time
from pathlib import Path
from cdsed.clock import SYSTEM_CLOCK as clock
from cdsed.config.load import load_settings
from cdsed.local.presence import presence_of
from cdsed.store import notices
from cdsed.store.database import open_state
from cdsed.work import unreadable
from cdsed.work.intake import Intake
settings = load_settings(Path(os.environ["CDSED_CONFIG"]), {})
db = open_state(settings.state_dir)
intake = Intake(db, clock, settings, {"default"}, presence_of(settings, clock), lambda: None)
intake.go_on()
unreadable.look_again(db, clock)
for _ in range(3):  # a file of another user has to rest
    intake.look()
    time.sleep(0.05)
for notice in notices.active(db, clock, running=True):
    print(notice.text)
"""


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """Give the settings of a service with its own user, as the units and tmpfiles make its directories."""
    open_way_to(tmp_path)
    config = tmp_path / "cdsed.yml"
    config.write_text(
        f"state_dir: {tmp_path}/state\ninbox: {{path: {tmp_path}/inbox, stable_for_s: 0.01}}\n"
        f"spools: [{tmp_path}/spool]\n",
        encoding="utf-8",
    )
    config.chmod(0o644)
    for name, mode in (("state", 0o750), ("spool", 0o750), ("inbox", 0o2770)):
        (tmp_path / name).mkdir()
        _give(tmp_path / name, mode)
    return config


def _give(path: Path, mode: int) -> None:
    os.chown(path, SERVICE, GROUP)
    path.chmod(mode)


def _listing(directory: Path, owner: int = MEMBER) -> Path:
    file = directory / "mine.txt"
    file.write_text(realistic_safenames("S1_OCN", 1, seed=811)[0] + "\n", encoding="utf-8")
    os.chown(file, owner, owner)
    return file


def _take(config: Path) -> str:
    done = run_as(SERVICE, config=config, umask=0o027, script=_TAKE)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("setgid", [True, False])
def test_a_listing_added_with_umask_077_can_be_read_by_the_daemon(lab: Path, setgid: bool) -> None:
    if not setgid:
        (lab.parent / "inbox").chmod(0o770)
    added = run_as(MEMBER, "add", str(_listing(lab.parent)), config=lab, umask=0o077)
    assert added.returncode == 0, added.stderr
    dropped = lab.parent / "inbox" / "mine.txt"
    assert (dropped.stat().st_gid, stat.S_IMODE(dropped.stat().st_mode)) == (GROUP, 0o640)
    assert _take(lab) == ""
    assert (lab.parent / "inbox" / ".accepted" / "mine.txt").exists()


def test_an_unreadable_listing_is_not_put_and_the_remedy_is_shown(lab: Path) -> None:
    os.chown(lab.parent / "inbox", SERVICE, SERVICE)
    (lab.parent / "inbox").chmod(0o777)
    added = run_as(MEMBER, "add", str(_listing(lab.parent)), config=lab, umask=0o077)
    assert added.returncode == 65
    assert "chmod g+s" in added.stderr
    assert list((lab.parent / "inbox").iterdir()) == []


def test_a_moved_unreadable_file_is_reported_at_once_until_readable(lab: Path) -> None:
    file = _listing(lab.parent)
    file.chmod(0o600)
    file.rename(lab.parent / "inbox" / "mine.txt")
    rejected = lab.parent / "inbox" / ".rejected" / "mine.txt"
    assert "mine.txt was rejected: the daemon may not read it; its owner may let the group read it" in _take(lab)
    receipt = rejected.with_name("mine.txt.receipt.txt").read_text(encoding="utf-8")
    assert f"Permission denied: it has mode 0600, and belongs to uid {MEMBER}" in receipt
    rejected.chmod(0o644)
    assert _take(lab) == ""


def test_a_member_of_the_group_may_check_the_state_and_takes_no_lock(tmp_path: Path) -> None:
    [name] = realistic_safenames("S1_GRD", 1, seed=813)
    umask = ("sh", "-c", 'umask 027 && exec "$@"', "sh")
    with SandboxProcess(bandwidth_bytes_per_s=200_000) as sandbox:
        lab = Installation(tmp_path / "lab", sandbox)
        lab.config.chmod(0o644)
        for directory in (lab.root, lab.inbox, lab.spool):
            os.chown(directory, 0, GROUP)
            directory.chmod(0o2770)
        open_way_to(lab.root)
        sandbox.add_products({"safename": name, "size_bytes": 20_000_000})
        lab.drop("one.txt", [name])
        with DaemonProcess(lab, under=umask) as daemon:
            wait_until("bytes arrive", lambda: sandbox.bytes_sent() > 100_000, daemon=daemon)
            names = tmp_path / "names.txt"
            names.write_text(f"{name}\n", encoding="utf-8")
            for command in (["check", "--state"], ["status"], ["state", "check"], ["missing", str(names)]):
                done = run_as(MEMBER, *command, config=lab.config)
                assert "permission denied" not in done.stderr, (command, done.stderr)
                assert done.returncode == 0, (command, done.stdout, done.stderr)
            checked = run_as(MEMBER, "check", "--state", config=lab.config).stdout.splitlines()
            assert checked[0].endswith(": nothing is wrong")
            assert checked[1].startswith(f"this user may not read {lab.spool}/.cdsed, ")
            locks = list((lab.state / "run").glob("*.lock"))
            assert {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in locks} == {0}


def test_a_lock_that_a_member_may_not_open_is_free_or_held_as_for_its_owner(lab: Path) -> None:
    held, free = lab.parent / "state" / "held.lock", lab.parent / "state" / "free.lock"
    asks = (
        "from pathlib import Path\nfrom cdsed.process.lock import is_free\nprint(*map(is_free, map(Path, arguments)))\n"
    )
    with KernelLock(held), KernelLock(free):
        pass
    with KernelLock(held):
        assert run_as(MEMBER, str(held), str(free), config=lab, script=asks).stdout == "False True\n"
