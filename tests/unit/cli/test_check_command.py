import json
from pathlib import Path

import pytest

from cdsed.clock import SYSTEM_CLOCK
from cdsed.config.load import load_settings
from cdsed.model.listing import ProductRequest
from cdsed.process.lock import KernelLock
from cdsed.store import processes, products
from cdsed.work.checking import AGAIN_AFTER_S, AGAIN_MOST, check_state
from tests.support.cli_lab import ON_DISK, CliLab


def _good(cli_lab: CliLab) -> None:
    """Let the daemon's last listing be as its receipt says."""
    receipt = {"counts": {"accepted": 2, "duplicate": 0, "known": 0, "already_present": 1, "rejected": 1, "ignored": 0}}
    receipt["counts"]["lines"] = 4
    path = cli_lab.inbox / ".accepted" / "storm.txt.receipt.json"
    path.write_text(json.dumps(receipt), encoding="utf-8")


def _published(
    cli_lab: CliLab, name: str = "S2A_MSIL1C_20240912T112541_N0511_R137_T28PHQ_20240912T133421.SAFE"
) -> Path:
    """Enter one more product as present, and let a whole one are there."""
    path = cli_lab.root / "spool" / name
    path.mkdir(parents=True)
    (path / "a.jp2").write_bytes(b"abc")
    md5 = "900150983cd24fb0d6963f7d28e17f72"
    (path / "manifest.safe").write_text(
        '<xfdu:XFDU xmlns:xfdu="urn:ccsds:schema:xfdu:1"><dataObjectSection><dataObject ID="a"><byteStream size="3">'
        f'<fileLocation href="./a.jp2"/><checksum checksumName="MD5">{md5}</checksum></byteStream></dataObject>'
        "</dataObjectSection></xfdu:XFDU>",
        encoding="utf-8",
    )
    db = cli_lab.open()
    products.add(db, SYSTEM_CLOCK, ProductRequest(name, "default", 0, None), path=str(path))
    db.close()
    return path


def _reported(cli_lab: CliLab, *arguments: str) -> dict[str, str]:
    done = cli_lab.cdsed("check", "--state", "--json", *arguments)
    response = json.loads(done.stdout)
    assert done.returncode == (0 if response["good"] else 1), done.stderr
    return {violation["rule"]: violation["text"] for violation in response["violations"]}


def test_a_good_state_passes_and_is_not_changed(used_cli_lab: CliLab) -> None:
    _good(used_cli_lab)
    _published(used_cli_lab)
    before = {path: path.stat().st_mtime_ns for path in used_cli_lab.state_dir.rglob("*")}
    done = used_cli_lab.cdsed("check", "--state")
    assert done.returncode == 0, done.stdout
    assert "2 products on disk, 1 of them checked, 1 listing: nothing is wrong" in done.stdout
    assert "1 product not found where put: taken away, or the disk is not mounted" in done.stdout
    assert {path: path.stat().st_mtime_ns for path in used_cli_lab.state_dir.rglob("*")} == before


def test_without_a_state_nothing_is_wrong(cli_lab: CliLab) -> None:
    assert _reported(cli_lab) == {}
    assert not cli_lab.state_dir.exists()


def test_what_to_check_has_to_be_said(cli_lab: CliLab) -> None:
    done = cli_lab.cdsed("check")
    assert done.returncode == 64
    assert "cdsed check --state" in done.stderr


def test_an_incomplete_product_under_its_final_name_is_found(used_cli_lab: CliLab) -> None:
    path = _published(used_cli_lab)
    (path / "a.jp2").write_bytes(b"ab")
    assert str(path) in _reported(used_cli_lab)["incomplete"]


def test_a_product_in_two_places_is_found(used_cli_lab: CliLab) -> None:
    path = _published(used_cli_lab)
    other = used_cli_lab.root / "other"
    (other / path.name).mkdir(parents=True)
    text = used_cli_lab.config.read_text(encoding="utf-8")
    used_cli_lab.config.write_text(text.replace("spools: [", f"spools: [{other}, "), encoding="utf-8")
    assert f"at {path} and at {other / path.name}" in _reported(used_cli_lab)["duplicate"]


@pytest.mark.parametrize("name", ["{}", "{}.copy"])
def test_an_orphaned_staging_directory_is_found(used_cli_lab: CliLab, name: str) -> None:
    left = used_cli_lab.root / "spool" / ".cdsed" / name.format(_published(used_cli_lab).name)
    left.mkdir(parents=True)
    assert str(left) in _reported(used_cli_lab)["orphan"]


def test_unexpected_entries_and_quarantine_in_a_pre_spool_are_ignored(used_cli_lab: CliLab) -> None:
    for name in ("quarantine", "replaced", "stranger.SAFE"):
        (used_cli_lab.root / "spool" / ".cdsed" / name).mkdir(parents=True)
    assert "orphan" not in _reported(used_cli_lab)


def test_what_publishing_set_aside_is_counted_for_its_owner(used_cli_lab: CliLab) -> None:
    _good(used_cli_lab)
    (used_cli_lab.root / "spool" / ".cdsed" / "replaced" / "X.SAFE.1").mkdir(parents=True)
    done = used_cli_lab.cdsed("check", "--state")
    assert done.returncode == 0, done.stdout
    assert "1 thing set aside in .cdsed/replaced to make room for products; remove what you do not need" in done.stdout


def test_a_receipt_that_tells_other_sums_is_found(used_cli_lab: CliLab) -> None:
    _good(used_cli_lab)
    path = used_cli_lab.inbox / ".accepted" / "storm.txt.receipt.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"accepted": 2', '"accepted": 3'), encoding="utf-8")
    assert str(path) in _reported(used_cli_lab)["receipt"]
    path.write_text("{", encoding="utf-8")
    assert "cannot be read" in _reported(used_cli_lab)["receipt"]


def test_an_open_listing_whose_file_is_gone_is_found(used_cli_lab: CliLab) -> None:
    (used_cli_lab.inbox / ".accepted" / "storm.txt").unlink()
    assert "is gone" in _reported(used_cli_lab)["listing"]


def test_a_listing_that_has_other_lines_than_were_taken_is_found_by_every(used_cli_lab: CliLab) -> None:
    path = used_cli_lab.inbox / ".accepted" / "storm.txt"
    path.write_text(f"{ON_DISK}\n" * 3, encoding="utf-8")
    assert "lines" not in _reported(used_cli_lab)
    assert "has 3 lines, of which 4 were taken" in _reported(used_cli_lab, "--every")["lines"]
    path.write_text(f"{ON_DISK}\n" * 4, encoding="utf-8")
    assert "lines" not in _reported(used_cli_lab, "--every")
    path.write_bytes(b"\0\0")
    assert "has 1 lines" in _reported(used_cli_lab, "--every")["lines"]


def _with_a_worker(cli_lab: CliLab) -> Path:
    lock = cli_lab.root / "process.lock"
    lock.touch()
    db = cli_lab.open()
    processes.register(db, SYSTEM_CLOCK, name="download-1", lock=lock)
    db.close()
    return lock


def test_a_worker_that_is_entered_and_not_alive_is_found_when_the_daemon_stopped(used_cli_lab: CliLab) -> None:
    lock = _with_a_worker(used_cli_lab)
    assert f"no running process holds {lock}" in _reported(used_cli_lab)["process"]
    with KernelLock(lock):
        assert _reported(used_cli_lab) == {}


def test_what_a_dead_daemon_left_to_the_next_is_no_violation(used_cli_lab: CliLab) -> None:
    _with_a_worker(used_cli_lab)
    db = used_cli_lab.open()
    processes.daemon_started(db, SYSTEM_CLOCK, version="0.1.0", once=False)
    db.close()
    done = used_cli_lab.cdsed("check", "--state")
    assert done.returncode == 0, done.stdout
    assert "the daemon died and left 1 lock behind" in done.stdout


def test_beside_a_daemon_only_lasting_violations_are_shown(used_cli_lab: CliLab) -> None:
    lock = _with_a_worker(used_cli_lab)
    db = used_cli_lab.open()
    processes.daemon_started(db, SYSTEM_CLOCK, version="0.1.0", once=False)
    (used_cli_lab.inbox / ".accepted" / "storm.txt").unlink()
    waited = []

    def reclaim(seconds: float) -> None:
        waited.append(seconds)
        processes.reclaim(db, SYSTEM_CLOCK, lambda path: path == lock, session_lock=lambda *_: lock, cooldown_s=0)

    settings = load_settings(used_cli_lab.config, {})
    checked = check_state(db, settings, runs=True, every=False, wait=reclaim)
    db.close()
    assert [violation.rule for violation in checked.violations] == ["listing"]
    assert waited == [AGAIN_AFTER_S] * AGAIN_MOST
