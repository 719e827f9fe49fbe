import re
from dataclasses import replace
from pathlib import Path

import pytest

from cdsed.model.operation import DiskStatus
from cdsed.model.product_state import State
from cdsed.model.status_report import Tally
from cdsed.view.monitoring import CheckStatus, check, unknown
from cdsed.view.status_view import StatusView
from tests.support.status_examples import REPORTS, VIEWS, account

LABEL = r"(?:[A-Za-z0-9_]+|'(?:[^'=|]|'')+')"
NUMBER = r"-?[0-9.]+"
DATUM = rf"{LABEL}={NUMBER}(?:s|%|B|B/s|c)?(?:;[0-9.:@~]*){{0,4}}"


def line(name: str, **values: object) -> str:
    return check(replace(VIEWS[name], report=replace(REPORTS[name], **values))).text.split("\n")[0]  # type: ignore[arg-type]


@pytest.mark.parametrize("name", VIEWS)
def test_every_line_is_what_a_monitor_can_read(name: str) -> None:
    result = check(VIEWS[name])
    first, *rest = result.text.split("\n")
    text, _, performance = first.partition(" | ")
    assert text.startswith(f"{result.status.name} - ")
    assert re.fullmatch(rf"(?:{DATUM}(?: {DATUM})*)?", performance)
    assert "|" not in text + "".join(rest)


def test_work_without_an_alarm_is_ok_with_progress_and_rate() -> None:
    listings = REPORTS["busy"].listings[:1]
    words = line("busy", errors=(), listings=listings).split(" | ")
    assert words[0] == "OK - 412/1800, 148.0 MB/s"
    assert words[1].startswith("rate=148000000B/s products_waiting=1403 products_finished=410 products_failed=3 ")
    assert "sessions_busy=3;;;0;8 " in words[1]
    assert " eta=18720s " in words[1]
    assert "'volume first'=7400000000000B;;;0;12000000000000" in words[1]
    assert words[1].endswith("'free /data/spool'=1200000000000B;;;0")


def test_cancelled_products_do_not_count_as_failed() -> None:
    products = {State.CANCELLED: Tally(11, None), State.FAILED: Tally(1, None), State.DONE: Tally(2, None)}
    assert " products_finished=2 products_failed=1 " in line("busy", products=products)


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("idle", CheckStatus.OK),
        ("just_started", CheckStatus.OK),
        ("volume_spent", CheckStatus.WARNING),
        ("one_dead", CheckStatus.WARNING),
        ("all_dead", CheckStatus.CRITICAL),
        ("disk_full", CheckStatus.CRITICAL),
        ("stalled", CheckStatus.CRITICAL),
        ("stopped", CheckStatus.CRITICAL),
        ("died", CheckStatus.CRITICAL),
        ("never", CheckStatus.UNKNOWN),
    ],
)
def test_the_status_is_that_of_the_worst_alarm(name: str, status: CheckStatus) -> None:
    assert check(VIEWS[name]).status is status


def test_a_wait_for_the_minute_is_ok_and_says_when_it_continues() -> None:
    assert line("quota_waits", errors=()).startswith("OK - 412/1800, waits for a quota, continues in 23 s | ")


def test_a_state_that_is_gone_is_critical() -> None:
    result = check(StatusView(Path("/s"), REPORTS["just_started"]))
    assert result.status is CheckStatus.OK
    gone = check(replace(VIEWS["never"], ran_before=True))
    assert (gone.status, gone.text) == (CheckStatus.CRITICAL, "CRITICAL - the state at /var/lib/cdsed is gone")


def test_no_name_can_break_the_line() -> None:
    named = line("busy", accounts=(account("it's=a|b\n"),), disks=(DiskStatus("/dätä", 0),))
    assert "'volume it''s_a_b '=7400000000000B" in named
    assert "'free /dätä'=0B" in named
    assert unknown("a | b\nc").text == "UNKNOWN - a / b c"
