import json
import os
import signal

import pytest

from cdsed.clock import SYSTEM_CLOCK
from cdsed.config.load import load_settings
from cdsed.errors import StateError
from cdsed.local.marker import MARKER
from cdsed.model.listing import ProductRequest
from cdsed.process.lock import KernelLock
from cdsed.store import products
from cdsed.store.database import FILE_NAME
from cdsed.verification.selection_walk import SelectionWalk
from tests.support.archive_lab import ArchiveLab, wait_while_it_runs
from tests.support.cli_lab import CliLab
from tests.support.local_products import make_part, make_product
from tests.support.users import needs_root


def test_an_archive_in_order_is_right(cli_lab: CliLab) -> None:
    lab = ArchiveLab(cli_lab, 30)
    done = lab.verify()
    assert (done.returncode, done.stderr) == (0, "")
    assert "30 products, 4.9 kB, in " in done.stdout
    assert "all are right" in done.stdout
    report = lab.report()
    assert (report["products"], report["right"], report["problems"]) == (30, 30, [])
    assert [each["products"] for each in report["nodes"]] == [30]
    assert not lab.progress.exists()


def test_what_is_wrong_short_absent_or_unreadable_is_found_and_says_why(cli_lab: CliLab) -> None:
    lab = ArchiveLab(cli_lab, 40)
    bad = lab.damage()
    done = lab.verify()
    assert done.returncode == 1
    assert lab.findings() == bad
    assert "35 right, 3 wrong, 1 absent, 1 unreadable" in done.stdout
    for text in (
        "measurement/a.tiff: md5 is ",
        "measurement/a.tiff has 3 bytes instead of 6",
        "measurement/a.tiff is absent",
        "it is not there",
        "Too many levels of symbolic links",
    ):
        assert text in done.stdout
    assert json.loads(lab.verify("--json").stdout)["problems"] == lab.report()["problems"]


def test_only_what_is_named_is_verified(cli_lab: CliLab) -> None:
    lab = ArchiveLab(cli_lab, 12)
    lab.damage()
    done = lab.verify(lab.names[0], lab.names[1])
    assert (done.returncode, lab.report()["products"]) == (0, 2)
    assert lab.verify("S1*", "--output", str(cli_lab.root / "report.json")).returncode == 1
    assert json.loads((cli_lab.root / "report.json").read_text("utf-8"))["products"] == 12
    unknown = lab.verify("S9X")
    assert unknown.returncode == 64


def test_a_part_of_a_product_is_right_as_it_was_taken(cli_lab: CliLab) -> None:
    lab = ArchiveLab(cli_lab, 1)
    path = make_part(cli_lab.root / "spool" / "partial")
    db = cli_lab.open()
    request = ProductRequest(path.name, "default", 0, None)
    products.add(db, SYSTEM_CLOCK, request, path=str(path), partial=True)
    db.close()
    assert lab.verify().returncode == 0
    assert lab.report()["parts"] == 1
    (path / "manifest.safe").unlink()
    assert lab.verify().returncode == 1


def test_killed_and_started_again_it_continues(cli_lab: CliLab) -> None:
    lab = ArchiveLab(cli_lab, 1500)
    bad = lab.damage()
    for number in (signal.SIGKILL, signal.SIGINT, signal.SIGTERM):
        before = lab.batches()
        with lab.begin() as process:
            wait_while_it_runs("a batch", lambda: lab.batches() > before, process)  # noqa: B023
            process.send_signal(number)
            _, err = process.communicate(timeout=60)
        assert process.returncode == (130 if number == signal.SIGINT else -number)
        assert "Traceback" not in err
        if lab.batches() >= 3:
            break
    done = lab.verify()
    assert "an interrupted run has verified" in done.stderr
    assert done.returncode == 1
    assert (lab.report()["products"], lab.findings()) == (1500, bad)


def _interrupted(lab: ArchiveLab, *arguments: str) -> None:
    with lab.begin(*arguments) as process:
        wait_while_it_runs("a batch", lambda: lab.batches() > 0, process)
        process.kill()


def test_another_selection_has_its_own_progress(cli_lab: CliLab) -> None:
    lab = ArchiveLab(cli_lab, 400)
    _interrupted(lab)
    assert lab.verify(lab.names[0]).stderr == ""
    assert lab.report()["products"] == 1
    assert "it continues what began 20" in lab.verify().stderr
    assert lab.report()["products"] == 400


def test_what_was_repaired_since_is_right(cli_lab: CliLab) -> None:
    lab = ArchiveLab(cli_lab, 400)
    file = lab.paths[lab.names[0]] / "measurement" / "a.tiff"
    whole = file.read_bytes()
    file.write_bytes(b"Pixels")
    _interrupted(lab)
    file.write_bytes(whole)
    done = lab.verify()
    assert "it continues" in done.stderr
    assert (done.returncode, lab.report()["right"]) == (0, 400)


def test_an_interrupted_run_of_long_ago_is_dropped(cli_lab: CliLab) -> None:
    lab = ArchiveLab(cli_lab, 400)
    _interrupted(lab)
    os.utime(lab.progress, (0, 0))
    assert lab.verify().stderr == "an interrupted run of more than a week ago is dropped\n"


def test_a_reader_that_goes_away_changes_no_exit_code_and_leaves_no_progress(cli_lab: CliLab) -> None:
    lab = ArchiveLab(cli_lab, 10)
    lab.damage()
    with lab.begin() as process:
        assert process.stdout
        process.stdout.close()
        assert process.wait(timeout=170) == 1
    assert not lab.progress.exists()


def test_a_state_that_is_replaced_ends_it(cli_lab: CliLab) -> None:
    ArchiveLab(cli_lab, 1)
    walk = SelectionWalk(load_settings(cli_lab.config, {}), None)
    assert len(list(walk.subjects())) == 1
    state = cli_lab.state_dir / FILE_NAME
    copy = state.with_name("copy")
    copy.write_bytes(state.read_bytes())
    copy.rename(state)
    with pytest.raises(StateError, match="is gone or was replaced"):
        list(walk.subjects())
    state.unlink()
    with pytest.raises(StateError, match="is gone or was replaced"):
        list(walk.subjects())


def test_restart_verifies_all_again(cli_lab: CliLab) -> None:
    lab = ArchiveLab(cli_lab, 400)
    _interrupted(lab)
    assert lab.verify("--restart").stderr == ""
    assert lab.report()["products"] == 400


def test_products_that_have_changed_since_are_verified_again(cli_lab: CliLab) -> None:
    lab = ArchiveLab(cli_lab, 400)
    _interrupted(lab)
    moved = lab.paths[lab.names[0]].rename(cli_lab.root / "spool" / "S1A_other.SAFE")
    db = cli_lab.open()
    with db.write():
        db.rows("UPDATE product SET path = :path WHERE id = 1", path=str(moved))
    new = make_product(cli_lab.root / "spool")
    products.add(db, SYSTEM_CLOCK, ProductRequest(new.name, "default", 0, None), path=str(new))
    db.close()
    done = lab.verify()
    assert "changed since, and verified again: 1 product" in done.stderr
    assert lab.report()["products"] == 401


def test_a_disk_that_is_not_mounted_makes_nothing_absent(cli_lab: CliLab) -> None:
    lab = ArchiveLab(cli_lab, 20)
    lab.spool.rename(cli_lab.root / "away")
    lab.spool.mkdir()
    done = lab.verify()
    assert done.returncode == 75
    assert f"sees no marker in {lab.spool}: is its file system mounted there?" in done.stderr
    assert (lab.batches(), done.stdout) == (0, "")
    lab.spool.rmdir()
    (cli_lab.root / "away").rename(lab.spool)
    assert (lab.spool / MARKER).exists()
    assert lab.verify().returncode == 0


def test_a_directory_whose_marker_was_removed_is_recognised_as_the_daemon_does(cli_lab: CliLab) -> None:
    lab = ArchiveLab(cli_lab, 3)
    (lab.spool / MARKER).unlink()
    assert lab.verify().returncode == 0


@needs_root
def test_root_leaves_no_files_in_the_state_of_another_user(cli_lab: CliLab) -> None:
    lab = ArchiveLab(cli_lab, 1)
    os.chown(cli_lab.state_dir / FILE_NAME, 1, 1)
    done = lab.verify()
    assert done.returncode == 77
    assert "run it as the user of the daemon" in done.stderr
    assert not lab.progress.parent.exists()


def test_one_run_at_a_time(cli_lab: CliLab) -> None:
    lab = ArchiveLab(cli_lab, 1)
    lab.progress.parent.mkdir()
    with KernelLock(lab.progress.parent / "lock"):
        done = lab.verify()
    assert done.returncode == 75
    assert "another cdsed verify holds" in done.stderr


def test_without_a_state_or_a_product_it_says_so(cli_lab: CliLab) -> None:
    assert cli_lab.cdsed("verify").returncode == 64
    lab = ArchiveLab(cli_lab, 0)
    assert "no product is on disk" in lab.verify().stderr
