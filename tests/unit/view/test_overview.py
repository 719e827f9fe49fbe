import re
from dataclasses import replace
from pathlib import Path

import pytest

from cdsed.model.operation import Drain, Eta, EtaLimit, Pause
from cdsed.model.product_state import State
from cdsed.model.quota import Limit, QuotaFreeAt, QuotaWait, ThrottleReason
from cdsed.model.status_report import (
    DaemonState,
    DaemonStatus,
    ErrorGroup,
    OpenBreaker,
    StatusReport,
)
from cdsed.view.marks import bar, sparkline
from cdsed.view.overview import overview
from cdsed.view.progress import ProgressLine
from cdsed.view.status_view import StatusView
from cdsed.view.terminal import Canvas, columns
from tests.support.status_examples import SLC, VIEWS
from tests.unit.view.example import (
    BUSY,
    CRASHING,
    FIRST,
    NAME,
    NOW,
    PENALTY,
    REPORT,
    SECOND,
    VIEW,
    WAITING,
    WITHHELD,
)


def screen(view: StatusView = VIEW, canvas: Canvas | None = None) -> str:
    return "\n".join(overview(view, canvas or Canvas()))


def test_an_account_that_is_held_back_is_not_called_ok() -> None:
    paused = replace(REPORT, pauses=(Pause("account", "first", "window", NOW, None),), accounts=(FIRST,))
    assert "2027-01-16  paused" in screen(replace(VIEW, report=paused))
    drained = replace(REPORT, drains=(Drain("first", NOW, None),), accounts=(FIRST,))
    assert "2027-01-16  draining" in screen(replace(VIEW, report=drained))
    others = replace(REPORT, pauses=(Pause("group", "brest", "person", NOW, None),), accounts=(FIRST,))
    assert "2027-01-16  ok" in screen(replace(VIEW, report=others))


def test_a_running_daemon_is_shown_on_one_screen() -> None:
    assert screen().startswith(
        "● cdsed 0.1.0 running for 1 h 10 min, pid 42  34.1 MB/s  2 of 8 sessions\n"
        "  ready in 6 min 46 s (08:06Z)  12.2 GB to go\n"
    )
    assert (
        "LISTING         DONE                          GROUP    PRIO  NOTE\n"
        "! campaign.txt  ██████████████████░░  41/44  default     0  1 failed\n"
        "  huge.txt                                   default     0  being taken, 120 000 lines so far\n"
    ).replace("DONE                          GROUP", "DONE                         GROUP") in screen()
    assert "PRODUCTS  3 downloading (12.2 GB)  40 done (33.1 GB)  1 unavailable" in screen()
    assert "  default/first   ●●○·      133/2 000  ░░░░░░░░░░  0.1/12 TB  2027-01-16  ok" in screen()
    assert "✕ default/second  ✕✕✕✕" in screen()
    assert (
        "! account second: the S3 key is unknown; tried again in 28 s\n    run `cdsed keys list --account second`"
        in screen()
    )
    assert "RATE  1 min 34.1 MB/s  10 min 30.0 MB/s  60 min 20.0 MB/s" in screen()
    assert "! /spool: no room left; tried again in 40 s\n    make room" in screen()
    assert "! the state was made again (0 s ago)\n" in screen()
    assert f"✕ 1  unavailable  NotInCatalogue  e.g. {NAME}\n      not in the catalogue; perhaps misspelt" in screen()


@pytest.mark.parametrize(
    ("throttle_reason", "grows_in_s", "reported"),
    [
        (ThrottleReason.THROTTLED, 40.0, "throttled; grows by one in 40 s"),
        (ThrottleReason.THROTTLED, None, "throttled; grows again with the next delivery"),
        (
            ThrottleReason.SHARED,
            0.0,
            "refused although it had fewer in use: something else seems to use it; grows by one now",
        ),
        (
            ThrottleReason.PENALISED,
            3000.0,
            f"{PENALTY}; looked at again in 50 min",
        ),
    ],
)
def test_a_throttled_account_says_how_many_sessions_it_has_why_and_until_when(
    throttle_reason: ThrottleReason, grows_in_s: float | None, reported: str
) -> None:
    marks = (BUSY, BUSY, WITHHELD, WITHHELD)
    account = replace(FIRST, sessions=marks, sessions_usable=2, throttle_reason=throttle_reason, grows_in_s=grows_in_s)
    text = screen(replace(VIEW, report=replace(REPORT, accounts=(account,))))
    assert "! default/first  ●●··" in text
    assert f"  2 of 4 sessions: {reported}\n" in text


def test_a_spent_account_says_when_volume_is_free_again_and_how_much() -> None:
    spent = "its 30-day volume is spent"
    free = QuotaFreeAt(NOW + 3600, 1_200_000_000_000)
    account = replace(FIRST, wait=QuotaWait(Limit.VOLUME, free.at), volume_left_bytes=0, quota_free_at=free)
    text = screen(replace(VIEW, report=replace(REPORT, accounts=(account,), eta=Eta(864_000.0, EtaLimit.VOLUME))))
    assert f"{spent}; free again from 2027-01-15T09:00:00Z, 1.2 TB within a day of that\n" in text
    assert "ready in 10 d (2027-01-25), by the 30-day volumes" in text
    narrow = screen(replace(VIEW, report=replace(REPORT, accounts=(account,))), Canvas(80, 40))
    assert "· default/first  ●●○·      133/2 000  ░░░░░░   0.1/12 TB  frees 09:00Z\n      its 30-day" in narrow


def test_a_wait_for_a_quota_is_said_calmly_with_its_end() -> None:
    wait = QuotaWait(Limit.REQUESTS, NOW + 23)
    account = replace(FIRST, sessions=(WAITING,) * 4, wait=wait)
    why = f"the work waits for a quota: first: {wait.reason}, {wait.end(NOW)}"
    report = replace(REPORT, accounts=(account,), why_idle=why, quota_wait=wait)
    lines = overview(replace(VIEW, report=report), Canvas(width=120, height=40, colour=True))
    said = "· Waiting: the work waits for a quota: first: its requests of this minute are used up, continues in 23 s"
    assert lines[2] == said  # no colour: nothing is wrong
    assert "····" in "\n".join(lines)
    assert "Nothing moves" not in "\n".join(lines)


def test_an_account_that_waits_beside_others_says_so_below_it() -> None:
    shared = QuotaWait(Limit.REQUESTS, NOW + 23, shared=True)
    account = replace(FIRST, wait=shared, shares=(Limit.VOLUME, Limit.REQUESTS))
    text = screen(replace(VIEW, report=replace(REPORT, accounts=(account, SECOND))))
    assert "0.1/12 TB  volume, requests  " in text
    assert "  the requests of this minute that its group shares are used up; continues in 23 s\n" in text


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    lines = overview(VIEW, Canvas(width=width, height=40))
    assert max(map(columns, lines)) <= width


def test_colours_change_nothing_but_the_colours() -> None:
    coloured = screen(canvas=Canvas(width=100, height=40, colour=True))
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[\d+m", "", coloured) == screen(canvas=Canvas(width=100, height=40))


def test_an_ascii_terminal_gets_ascii_only() -> None:
    assert screen(canvas=Canvas(ascii_only=True)).isascii()
    assert "  default/first   ##o." in screen(canvas=Canvas(ascii_only=True))


def test_a_stopped_daemon_uses_no_session_and_promises_no_time() -> None:
    stopped = DaemonStatus(DaemonState.STOPPED, 42, NOW - 4200, NOW - 60, "0.1.0")
    text = screen(replace(VIEW, report=replace(REPORT, daemon=stopped)))
    assert text.startswith("○ The daemon is stopped since 2027-01-15T07:59:00Z (1 min ago); start it with `cdsed run`")
    assert "●●" not in text
    assert "ready in" not in text
    assert "the S3 key is unknown\n" in text


def test_a_daemon_that_died_is_shown_with_its_last_heartbeat_and_a_remedy() -> None:
    died = DaemonStatus(DaemonState.DIED, 42, NOW - 4200, None, "0.1.0")
    text = screen(StatusView(Path("/s"), replace(REPORT, daemon=died), last_heard_at=NOW - 120))
    assert text.startswith("✕ The daemon died; pid 42 was last heard of 2027-01-15T07:58:00Z (2 min ago).")
    assert "start it with `cdsed run`" in text


def test_without_a_state_it_says_where_it_looked_and_what_to_do() -> None:
    never = StatusReport(NOW, DaemonStatus(DaemonState.NEVER))
    assert screen(StatusView(Path("/var/lib/cdsed"), never)) == (
        "✕ No state at /var/lib/cdsed: has the daemon ever run? "
        "To begin, start it with `cdsed run` or `systemctl start cdsed`"
    )


def test_a_state_that_is_gone_is_not_taken_for_one_that_never_was() -> None:
    never = StatusReport(NOW, DaemonStatus(DaemonState.NEVER))
    text = screen(StatusView(Path("/var/lib/cdsed"), never, ran_before=True))
    assert text.startswith(
        "✕ The state at /var/lib/cdsed is gone. To have it made again from what is left of it, start"
    )


def test_an_account_that_is_due_waits_for_a_product_not_for_time() -> None:
    account = replace(REPORT.accounts[0], error="the S3 key is unknown", probe_in_s=0.0)
    text = screen(replace(VIEW, report=replace(REPORT, accounts=(account,))))
    assert "the S3 key is unknown; tried again with the next product\n" in text


def test_a_worker_that_crashes_in_a_loop_is_the_first_alarm() -> None:
    for next_start_in_s, then in ((24.0, "next start in 24 s"), (None, "it runs again now, perhaps not for long")):
        report = replace(REPORT, crashing=(replace(CRASHING, next_start_in_s=next_start_in_s),))
        text = screen(replace(VIEW, report=report))
        reported = "✕ resolve crashes in a loop: 7 times, it exited with 70 (an error in cdsed itself) last"
        assert f"\n{reported}; {then}\n    the log says why\n" in text


def test_why_nothing_moves_stands_right_below_the_daemon() -> None:
    text = screen(replace(VIEW, report=replace(REPORT, why_idle="every account rests")))
    assert text.split("\n")[2] == "! Nothing moves: every account rests"


def test_a_long_reason_is_shown_once() -> None:
    reason = "127.0.0.1:8333: the connection broke (Connection refused)"
    report = replace(
        REPORT,
        accounts=(FIRST,),
        open_breakers=(OpenBreaker("service:s3", reason, 164.0),),
        errors=(ErrorGroup("ConnectionLost", State.RETRY_WAIT, 3, NAME, reason, next_in_s=20.0),),
        why_idle=f"service:s3 backs off, next try in 164 s: {reason}",
    )
    text = screen(replace(VIEW, report=report))
    assert text.count(reason) == 1
    for line in (
        "! Nothing moves: service:s3 backs off, next try in 164 s",
        f"! s3: {reason}; tried again in 3 min",
        "      next in 20 s",
    ):
        assert line in text.split("\n")


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize(("width", "height"), [(80, 24), (160, 50), (40, 24), (60, 12), (80, 6)])
def test_every_state_fits_its_terminal(name: str, width: int, height: int) -> None:
    lines = overview(VIEWS[name], Canvas(width, height))
    assert len(lines) <= height - 1
    assert max(map(columns, lines)) <= width
    assert screen(VIEWS[name], Canvas(width, height, ascii_only=True)).isascii()


def test_what_is_in_transfer_is_shown_with_its_share_rate_sessions_and_age() -> None:
    text = screen(VIEWS["busy"])
    assert "IN TRANSFER" in text
    assert f"  {SLC}  71 %    8.0 GB  60.1 MB/s  first ×3  1 min 4 s\n" in text
    assert f"last published 4 s ago: {SLC}" in text
    assert "  week12" not in text.replace("! week12.csv", "")
    assert "412/1 800  13:12Z (requests)  default     5  3 failed" in text
    assert "ready in 5 h 12 min (13:12Z), by the requests of the minute" in text
    assert "RATE  ▁▂▄▅▇█▇▆████  1 min" in text
    assert "IN TRANSFER" not in screen(VIEWS["stopped"])


def test_a_pause_and_a_limit_are_shown_calmly_with_what_ends_them() -> None:
    lines = overview(VIEWS["paused"], Canvas(width=120, height=50, colour=True))
    assert lines[0].startswith("\x1b[2m· cdsed 0.2.0 paused, running for")
    assert "· Nothing moves: everything is paused by a time window of the settings until 2027-01-15T10:00:00Z" in lines
    assert "  not ready before 2027-01-16 (in 1 d 1 h), by a pause  9.8 TB to go" in lines
    rows = [" ".join(line.split()) for line in lines]
    assert "all products paused 10:00Z window 1 h" in rows
    assert "listing brest.txt paused `cdsed resume` you 1 d 1 h" in rows
    assert "machine 50.0 MB/s 09:00Z settings" in rows
    assert "paused" in next(row for row in rows if row.startswith("brest.txt"))


def test_a_stalled_daemon_and_a_full_disk_stand_first() -> None:
    assert screen(VIEWS["stalled"]).startswith("✕ cdsed 0.2.0 stalled for 7 min 10 s, pid 17834")
    assert "✕ sessions are at work, and no byte has arrived for 7 min\n" in screen(VIEWS["stalled"])
    full = screen(VIEWS["disk_full"])
    assert full.index("✕ no space is left on /data/spool") < full.index("LISTING")
    assert "✕ /data/spool  12.0 MB  no space is left\n  /data/other" in full


def test_an_idle_daemon_says_so_without_an_alarm() -> None:
    lines = overview(VIEWS["idle"], Canvas(width=120, height=50, colour=True))
    assert "  Nothing to do: every product asked for is finished; drop a listing into the inbox" in lines
    assert "Nothing moves" not in "".join(lines)


def test_too_many_rows_are_counted() -> None:
    lines = overview(VIEWS["many"], Canvas(80, 24))
    assert [line for line in lines if " more" in line] == ["  and 27 more", "  and 37 more", "  and 8 more"]
    assert "and 2 more" not in screen(VIEWS["many"])


def test_a_sparkline_is_lowest_at_zero_and_highest_at_its_largest_value() -> None:
    assert sparkline([0.0, 1.0, 50.0, 100.0]) == "▁▁▅█"
    assert sparkline([0.0, 0.0]) == "▁▁"
    assert sparkline([]) == ""


def test_a_bar_is_full_only_when_everything_is_finished() -> None:
    assert bar(999, 1000).count("█") == 19
    assert bar(1000, 1000) == "█" * 20
    assert bar(0, 0) == "█" * 20


def test_the_progress_line_has_marks_counts_speed_and_time() -> None:
    progress = ProgressLine()
    progress.lines(REPORT, Canvas())
    later = replace(REPORT, at=NOW + 4, accounts=(replace(FIRST, volume_used_bytes=100_400_000_000), SECOND))
    assert progress.lines(later, Canvas()) == [
        "OK 40  ERR 1  to go 3  100.0 MB/s  ETA 2 min 2 s  first:[●●○·]  second:[✕✕✕✕]"
    ]
    assert progress.lines(later, Canvas(width=80, height=24))[1] == "sessions  first:[●●○·]  second:[✕✕✕✕]"
