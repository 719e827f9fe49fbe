import json
from pathlib import Path

import pytest

from cdsed.clock import SYSTEM_CLOCK
from cdsed.config.load import load_settings
from cdsed.process.lock import KernelLock
from cdsed.store import processes, products
from cdsed.store.products import Wish
from cdsed.work.checking import AGAIN_AFTER_S, AGAIN_MOST, check_state
from tests.unit.cli.conftest import LIES, Lab


def _good(lab: Lab) -> None:
    """Let the daemon's last listing be as its receipt says."""
    receipt = {"counts": {"accepted": 2, "duplicate": 0, "known": 0, "present": 1, "rejected": 1, "ignored": 0}}
    receipt["counts"]["lines"] = 4
    path = lab.inbox / ".accepted" / "storm.txt.receipt.json"
    path.write_text(json.dumps(receipt), encoding="utf-8")


def _published(lab: Lab, name: str = "S2A_MSIL1C_20240912T112541_N0511_R137_T28PHQ_20240912T133421.SAFE") -> Path:
    """Enter one more product as present, and let a whole one lie there."""
    path = lab.root / "spool" / name
    path.mkdir(parents=True)
    (path / "a.jp2").write_bytes(b"abc")
    md5 = "900150983cd24fb0d6963f7d28e17f72"
    (path / "manifest.safe").write_text(
        '<xfdu:XFDU xmlns:xfdu="urn:ccsds:schema:xfdu:1"><dataObjectSection><dataObject ID="a"><byteStream size="3">'
        f'<fileLocation href="./a.jp2"/><checksum checksumName="MD5">{md5}</checksum></byteStream></dataObject>'
        "</dataObjectSection></xfdu:XFDU>",
        encoding="utf-8",
    )
    db = lab.open()
    products.add(db, SYSTEM_CLOCK, Wish(name, "default", 0, None), whereabouts=str(path))
    db.close()
    return path


def _told(lab: Lab, *arguments: str) -> dict[str, str]:
    done = lab.cdsed("check", "--state", "--json", *arguments)
    answer = json.loads(done.stdout)
    assert done.returncode == (0 if answer["good"] else 1), done.stderr
    return {breach["rule"]: breach["text"] for breach in answer["breaches"]}


def test_a_good_state_is_told_as_such_and_not_changed(used_lab: Lab) -> None:
    _good(used_lab)
    _published(used_lab)
    before = {path: path.stat().st_mtime_ns for path in used_lab.state_dir.rglob("*")}
    done = used_lab.cdsed("check", "--state")
    assert done.returncode == 0, done.stdout
    assert "2 products on disk, 1 of them looked into, 1 listing: nothing is wrong" in done.stdout
    assert "1 product not found where put: taken away, or the disk is not mounted" in done.stdout
    assert {path: path.stat().st_mtime_ns for path in used_lab.state_dir.rglob("*")} == before


def test_without_a_state_nothing_is_wrong(lab: Lab) -> None:
    assert _told(lab) == {}
    assert not lab.state_dir.exists()


def test_what_to_check_has_to_be_said(lab: Lab) -> None:
    done = lab.cdsed("check")
    assert done.returncode == 64
    assert "cdsed check --state" in done.stderr


def test_a_half_product_under_its_final_name_is_found(used_lab: Lab) -> None:
    path = _published(used_lab)
    (path / "a.jp2").write_bytes(b"ab")
    assert str(path) in _told(used_lab)["half"]


def test_a_product_in_two_places_is_found(used_lab: Lab) -> None:
    path = _published(used_lab)
    other = used_lab.root / "other"
    (other / path.name).mkdir(parents=True)
    text = used_lab.config.read_text(encoding="utf-8")
    used_lab.config.write_text(text.replace("spools: [", f"spools: [{other}, "), encoding="utf-8")
    assert f"at {path} and at {other / path.name}" in _told(used_lab)["twice"]


@pytest.mark.parametrize("name", ["{}", "{}.copy"])
def test_a_staging_directory_nobody_needs_is_found(used_lab: Lab, name: str) -> None:
    left = used_lab.root / "spool" / ".cdsed" / name.format(_published(used_lab).name)
    left.mkdir(parents=True)
    assert str(left) in _told(used_lab)["leftover"]


def test_strangers_and_what_is_set_aside_beside_the_staging_are_left_in_peace(used_lab: Lab) -> None:
    for name in ("quarantine", "replaced", "stranger.SAFE"):
        (used_lab.root / "spool" / ".cdsed" / name).mkdir(parents=True)
    assert "leftover" not in _told(used_lab)


def test_what_publishing_set_aside_is_counted_for_its_owner(used_lab: Lab) -> None:
    _good(used_lab)
    (used_lab.root / "spool" / ".cdsed" / "replaced" / "X.SAFE.1").mkdir(parents=True)
    done = used_lab.cdsed("check", "--state")
    assert done.returncode == 0, done.stdout
    assert "1 thing that stood in the place of products in .cdsed/replaced; remove what nobody needs" in done.stdout


def test_a_receipt_that_tells_other_sums_is_found(used_lab: Lab) -> None:
    _good(used_lab)
    path = used_lab.inbox / ".accepted" / "storm.txt.receipt.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"accepted": 2', '"accepted": 3'), encoding="utf-8")
    assert str(path) in _told(used_lab)["receipt"]
    path.write_text("{", encoding="utf-8")
    assert "cannot be read" in _told(used_lab)["receipt"]


def test_an_open_listing_whose_file_is_gone_is_found(used_lab: Lab) -> None:
    (used_lab.inbox / ".accepted" / "storm.txt").unlink()
    assert "is gone" in _told(used_lab)["listing"]


def test_a_listing_that_has_other_lines_than_were_taken_is_found_by_every(used_lab: Lab) -> None:
    path = used_lab.inbox / ".accepted" / "storm.txt"
    path.write_text(f"{LIES}\n" * 3, encoding="utf-8")
    assert "lines" not in _told(used_lab)
    assert "has 3 lines, of which 4 were taken" in _told(used_lab, "--every")["lines"]
    path.write_text(f"{LIES}\n" * 4, encoding="utf-8")
    assert "lines" not in _told(used_lab, "--every")
    path.write_bytes(b"\0\0")
    assert "has 1 lines" in _told(used_lab, "--every")["lines"]


def _with_a_worker(lab: Lab) -> Path:
    lock = lab.root / "process.lock"
    lock.touch()
    db = lab.open()
    processes.register(db, SYSTEM_CLOCK, name="download-1", lock=lock)
    db.close()
    return lock


def test_a_worker_that_is_entered_and_not_alive_is_found_when_the_daemon_stopped(used_lab: Lab) -> None:
    lock = _with_a_worker(used_lab)
    assert f"nobody alive holds {lock}" in _told(used_lab)["process"]
    with KernelLock(lock):
        assert _told(used_lab) == {}


def test_what_a_daemon_that_died_left_to_the_next_one_is_no_breach(used_lab: Lab) -> None:
    _with_a_worker(used_lab)
    db = used_lab.open()
    processes.daemon_started(db, SYSTEM_CLOCK, version="0.1.0", once=False)
    db.close()
    done = used_lab.cdsed("check", "--state")
    assert done.returncode == 0, done.stdout
    assert "the daemon died and left 1 lock behind" in done.stdout


def test_beside_a_daemon_only_what_is_wrong_every_time_is_told(used_lab: Lab) -> None:
    lock = _with_a_worker(used_lab)
    db = used_lab.open()
    processes.daemon_started(db, SYSTEM_CLOCK, version="0.1.0", once=False)
    (used_lab.inbox / ".accepted" / "storm.txt").unlink()
    waited = []

    def sweep(seconds: float) -> None:
        waited.append(seconds)
        processes.sweep(db, SYSTEM_CLOCK, lambda path: path == lock, session_lock=lambda *_: lock, rest_s=0)

    settings = load_settings(used_lab.config, {})
    checked = check_state(db, settings, runs=True, every=False, wait=sweep)
    db.close()
    assert [breach.rule for breach in checked.breaches] == ["listing"]
    assert waited == [AGAIN_AFTER_S] * AGAIN_MOST
