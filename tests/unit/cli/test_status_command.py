import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cdsed.cli.status import add_parser
from cdsed.clock import SYSTEM_CLOCK
from cdsed.process.lock import LOCK_NAME, DaemonLock
from cdsed.store import processes
from tests.support.cli_lab import MISSES, ON_DISK, ROOT, WAITS, CliLab


def test_a_stopped_daemon_is_shown_as_such(used_cli_lab: CliLab) -> None:
    done = used_cli_lab.cdsed("status")
    assert done.returncode == 3, done.stderr
    assert "○ The daemon is stopped since" in done.stdout
    words = " ".join(done.stdout.split())
    assert "! storm.txt █████████████░░░░░░░ 2/3" in words
    assert re.search(r"default \d+ 1 failed", words)
    assert "Nothing moves: the daemon does not run (stopped); 1 products wait for it" in done.stdout
    assert "1 queued" in done.stdout
    assert "\x1b" not in done.stdout


def test_a_running_daemon_is_known_by_its_lock_and_makes_the_exit_code_0(used_cli_lab: CliLab) -> None:
    db = used_cli_lab.open()
    processes.daemon_started(db, SYSTEM_CLOCK, version="0.1.0", once=False)
    with DaemonLock(used_cli_lab.state_dir / LOCK_NAME):
        done = used_cli_lab.cdsed("status", "--json")
    db.close()
    assert done.returncode == 0, done.stderr
    response = json.loads(done.stdout)
    assert (response["daemon"]["state"], response["daemon"]["pid"]) == ("running", os.getpid())


def test_a_daemon_that_died_differs_from_one_that_stopped(used_cli_lab: CliLab) -> None:
    db = used_cli_lab.open()
    processes.daemon_started(db, SYSTEM_CLOCK, version="0.1.0", once=False)
    db.close()
    done = used_cli_lab.cdsed("status")
    assert done.returncode == 3
    assert f"✕ The daemon died; pid {os.getpid()} was last heard of 20" in done.stdout
    assert json.loads(used_cli_lab.cdsed("status", "--json").stdout)["daemon"]["last_heard_at"].startswith("20")


def test_without_a_state_it_says_so_and_exits_with_3(cli_lab: CliLab) -> None:
    done = cli_lab.cdsed("status")
    assert done.returncode == 3
    assert f"No state at {cli_lab.state_dir}: has the daemon ever run?" in done.stdout
    assert json.loads(cli_lab.cdsed("status", "--json").stdout)["daemon"]["state"] == "never started"
    assert not cli_lab.state_dir.exists(), "looking must not make anything"


def test_a_deleted_state_is_reported_by_status_and_check(used_cli_lab: CliLab) -> None:
    assert used_cli_lab.cdsed("state", "backup").returncode == 0
    with DaemonLock(used_cli_lab.state_dir / LOCK_NAME):
        pass
    for file in used_cli_lab.state_dir.glob("cdsed.sqlite*"):
        file.unlink()
    assert f"✕ The state at {used_cli_lab.state_dir} is gone." in used_cli_lab.cdsed("status").stdout
    checked = used_cli_lab.cdsed("state", "check")
    assert (checked.returncode, checked.stdout.split("\n")[0]) == (72, f"{used_cli_lab.state_dir}/cdsed.sqlite: gone")


def test_a_state_that_is_not_a_database_is_one_line_and_exit_code_72(cli_lab: CliLab) -> None:
    cli_lab.state_dir.mkdir()
    (cli_lab.state_dir / "cdsed.sqlite").write_text("this is not a database", encoding="utf-8")
    done = cli_lab.cdsed("status", "--json")
    assert done.returncode == 72
    assert done.stdout == ""
    assert done.stderr.startswith(f"cdsed: the state {cli_lab.state_dir}")
    assert "Traceback" not in done.stderr


def test_a_listing_is_found_by_its_name_and_by_its_path(used_cli_lab: CliLab) -> None:
    for name in ("storm.txt", str(used_cli_lab.inbox / ".accepted" / "storm.txt")):
        done = used_cli_lab.cdsed("status", name)
        assert "Listing storm.txt: open" in done.stdout
        assert "lines     4:  2 accepted  1 already on disk  1 rejected" in done.stdout
        assert "2/3 finished  1 queued  1 already_present  1 unavailable" in done.stdout
        assert f"line 2  unavailable  {MISSES}\n      not in the catalogue" in done.stdout
        assert f"receipt   {used_cli_lab.inbox}/.accepted/storm.txt.receipt.txt" in done.stdout
        assert "  report " not in done.stdout
    listing = json.loads(used_cli_lab.cdsed("status", "--json", "storm.txt").stdout)["listing"]
    assert listing["counts"]["lines"] == 4
    assert [row["safename"] for row in listing["first_failed_products"]] == [MISSES]


@pytest.mark.parametrize("name", [MISSES, MISSES.removesuffix(".SAFE"), f"/somewhere/{MISSES}", f"{MISSES}.zip"])
def test_a_product_is_found_by_its_name_however_it_is_written(used_cli_lab: CliLab, name: str) -> None:
    done = used_cli_lab.cdsed("status", name)
    assert f"{MISSES}\n  state     unavailable\n" in done.stdout
    assert "  cause     not in the catalogue" in done.stdout
    history = done.stdout.partition("History\n")[2]
    assert [word for word in history.split() if word in ("queued", "resolving", "unavailable")] == [
        "queued",
        "resolving",
        "unavailable",
    ]


def test_a_product_on_disk_is_shown_with_its_path(used_cli_lab: CliLab) -> None:
    product = json.loads(used_cli_lab.cdsed("status", "--json", ON_DISK).stdout)["product"]
    assert (product["state"], product["path"]) == ("already_present", "/archive/x")
    assert [event["target"] for event in product["history"]] == ["already_present"]
    assert "fence" not in product


def test_an_unknown_name_is_refused_with_what_may_have_been_meant(used_cli_lab: CliLab) -> None:
    misspelt = used_cli_lab.cdsed("status", WAITS.replace("E33E", "E33F"))
    assert misspelt.returncode == 64
    assert f"did you mean {WAITS}" in misspelt.stderr
    assert "did you mean storm.txt?" in used_cli_lab.cdsed("status", "strom.txt").stderr
    assert "the latest listings are storm.txt" in used_cli_lab.cdsed("status", "something").stderr


def test_an_ascii_locale_gets_ascii(used_cli_lab: CliLab) -> None:
    done = used_cli_lab.cdsed("status", PYTHONIOENCODING="ascii")
    assert "default/first  xxxx" in done.stdout
    assert done.stdout.isascii()


def test_watching_a_pipe_prints_block_after_block_until_interrupted(used_cli_lab: CliLab) -> None:
    command = [
        sys.executable,
        "-m",
        "cdsed",
        "status",
        "--json",
        "--watch",
        "0.1",
        "--config",
        str(used_cli_lab.config),
    ]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environ) as process:
        assert process.stdout is not None
        lines = [json.loads(process.stdout.readline()) for _ in range(3)]
        process.send_signal(signal.SIGINT)
        _rest, errors = process.communicate(timeout=60)
    assert [line["schema"] for line in lines] == [3, 3, 3]
    assert (process.returncode, errors) == (0, b"")


def test_nothing_heavy_is_imported(used_cli_lab: CliLab) -> None:
    code = (
        "import sys\nfrom cdsed.cli.main import main\n"
        f"main(['status', '--config', {str(used_cli_lab.config)!r}])\n"
        "print('loaded', *sorted(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
    )
    loaded = set(done.stderr.split())
    heavy = {"pydantic", "boto3", "botocore", "requests", "pandas", "apscheduler", "tempfile", "subprocess"}
    assert loaded & heavy == set()
    assert not [name for name in loaded if name.startswith("cdsed.sandbox.") and name != "cdsed.sandbox.options"]


def test_an_interval_that_is_none_is_refused_before_anything_is_looked_at(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import argparse

    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers())
    with pytest.raises(SystemExit):
        parser.parse_args(["status", "--watch", "0"])
    assert "'0' is not a number of seconds from 0.1 to 86400" in capsys.readouterr().err


def test_failed_products_are_shown_with_reason_and_remedy(used_cli_lab: CliLab) -> None:
    for arguments in ([], ["storm.txt"], ["--limit", "1"]):
        done = used_cli_lab.cdsed("status", "--failed", *arguments)
        assert done.returncode == 3, done.stderr
        assert done.stdout.startswith(
            f"1 failed product{' of storm.txt' if arguments == ['storm.txt'] else ''}, the latest"
        )
        assert "unavailable  NotInCatalogue\n  Check the spelling of the name. If the product is new," in done.stdout
        assert re.search(rf"  {MISSES}  \d s ago\n      not in the catalogue", done.stdout)
    failed = json.loads(used_cli_lab.cdsed("status", "--json", "--failed").stdout)["failed"]
    assert (failed["total"], failed["products"][0]["safename"]) == (1, MISSES)
    assert used_cli_lab.cdsed("status", "--failed", "strom.txt").returncode == 64


def test_options_that_do_not_fit_together_are_refused(cli_lab: CliLab) -> None:
    for arguments in (["--limit", "3"], ["--check", "x.txt"], ["--check", "--json"], ["--failed", "--limit", "0"]):
        assert cli_lab.cdsed("status", *arguments).returncode == 64


def test_a_check_has_the_exit_codes_of_a_plugin(used_cli_lab: CliLab) -> None:
    stopped = used_cli_lab.cdsed("status", "--check")
    assert stopped.returncode == 2
    assert stopped.stdout.startswith("CRITICAL - daemon_stopped: the daemon is stopped, and 1 products wait for it; ")
    (used_cli_lab.state_dir / "cdsed.sqlite").write_text("this is not a database", encoding="utf-8")
    for file in used_cli_lab.state_dir.glob("cdsed.sqlite-*"):
        file.unlink()
    damaged = used_cli_lab.cdsed("status", "--check")
    assert (damaged.returncode, damaged.stdout.count("\n"), damaged.stderr) == (2, 1, "")
    assert damaged.stdout.startswith("CRITICAL - the state ")


def test_a_check_without_settings_or_state_is_unknown(cli_lab: CliLab, tmp_path: Path) -> None:
    never = cli_lab.cdsed("status", "--check")
    assert (never.returncode, never.stdout) == (3, f"UNKNOWN - no state at {cli_lab.state_dir}\n")
    absent = cli_lab.cdsed("status", "--check", "--config", str(tmp_path / "absent.yml"))
    assert absent.returncode == 3
    assert absent.stdout.startswith("UNKNOWN - ")
