"""The windows of the settings in the state: what holds now, after restarts, reloads and clock jumps."""

import logging
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from cdsed.config.settings import Settings
from cdsed.logevent import fields_of
from cdsed.store import bandwidth_limits, window_pauses
from cdsed.work.timetable import Timetable
from tests.support.state import StateLab

_LIMITS = {
    "machine": [{"bytes_per_s": "50MB", "from": "08:00", "to": "18:00", "days": "mon-fri"}, {"bytes_per_s": "2GB"}]
}
_NIGHTS_ONLY = {"all": [{"from": "07:00", "to": "22:00"}]}


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Europe/Paris")).timestamp()


def timetable(lab: StateLab, time: str, **settings: object) -> Timetable:
    lab.clock.utc = at(time)
    return Timetable(lab.db, lab.clock, made(**settings))


def made(**settings: object) -> Settings:
    return Settings.model_validate({"time_zone": "Europe/Paris", **settings})


def limits(lab: StateLab) -> dict[str, tuple[int, float | None]]:
    return {f"{each.kind}:{each.name}": (each.bytes_per_s, each.until_at) for each in bandwidth_limits.of_all(lab.db)}


def paused(lab: StateLab) -> dict[str, float | None]:
    return {f"{each.kind}:{each.name}": each.until_at for each in window_pauses.of_all(lab.db)}


def test_the_limit_of_the_hour_is_in_the_state_with_its_end(lab: StateLab) -> None:
    followed = timetable(lab, "2026-11-25T07:59", limits=_LIMITS)
    followed.begin()
    assert limits(lab) == {"machine:": (2_000_000_000, at("2026-11-25T08:00"))}
    lab.clock.pass_s(61)
    followed.follow()
    assert limits(lab) == {"machine:": (50_000_000, at("2026-11-25T18:00"))}


def test_a_limit_that_always_holds_has_no_end_and_one_outside_its_window_no_row(lab: StateLab) -> None:
    rules = {"groups": {"lops": [{"bytes_per_s": "1MB"}]}, "accounts": {"a": [{"bytes_per_s": "1MB", "to": "03:00"}]}}
    followed = timetable(lab, "2026-11-25T02:00", limits=rules)
    followed.begin()
    assert limits(lab) == {"group:lops": (10**6, None), "account:a": (10**6, at("2026-11-25T03:00"))}
    lab.clock.utc = at("2026-11-25T03:00")
    followed.follow()
    assert limits(lab) == {"group:lops": (10**6, None)}


def test_a_window_over_midnight_pauses_and_ends(lab: StateLab) -> None:
    followed = timetable(lab, "2026-11-25T21:59:59", pauses={"groups": {"lops": [{"from": "22:00", "to": "06:00"}]}})
    followed.begin()
    assert paused(lab) == {}
    assert followed.follow() == lab.clock.boot_s() + 1
    lab.clock.pass_s(1)
    assert followed.follow() == lab.clock.boot_s() + 8 * 3600
    assert paused(lab) == {"group:lops": at("2026-11-26T06:00")}
    lab.clock.utc = at("2026-11-26T06:00")
    followed.follow()
    assert paused(lab) == {}


def test_a_start_sets_what_the_settings_say_whatever_a_killed_daemon_left(lab: StateLab) -> None:
    timetable(lab, "2026-11-25T12:00", pauses=_NIGHTS_ONLY, limits=_LIMITS).begin()
    lab.db.rows("INSERT INTO pause VALUES ('group', 'lops', 'person', 1.0, NULL)")
    timetable(lab, "2026-11-25T23:00").begin()
    assert (limits(lab), paused(lab)) == ({}, {})
    assert lab.db.value("SELECT count(*) FROM pause") == 1  # that of the person
    timetable(lab, "2026-11-25T12:00", pauses=_NIGHTS_ONLY).begin()  # a restart inside the window
    assert paused(lab) == {"all:": at("2026-11-25T22:00")}


def test_settings_that_change_inside_a_window_count_from_the_next_second(lab: StateLab) -> None:
    followed = timetable(lab, "2026-11-25T12:00", pauses=_NIGHTS_ONLY, limits=_LIMITS)
    followed.begin()
    followed.use(made(pauses={"all": [{"from": "07:00", "to": "13:00"}]}, limits={"machine": [{"bytes_per_s": "1MB"}]}))
    followed.follow()
    assert paused(lab) == {"all:": at("2026-11-25T13:00")}
    assert limits(lab) == {"machine:": (10**6, None)}
    followed.use(made())
    followed.follow()
    assert (limits(lab), paused(lab)) == ({}, {})


def test_what_a_person_resumes_inside_a_window_stays_resumed_until_the_next_one(lab: StateLab) -> None:
    followed = timetable(lab, "2026-11-25T12:00", pauses=_NIGHTS_ONLY)
    followed.begin()
    lab.db.rows("DELETE FROM pause")
    lab.clock.pass_s(3600)
    followed.follow()
    assert paused(lab) == {}
    lab.clock.utc = at("2026-11-25T22:30")
    followed.follow()
    lab.clock.utc = at("2026-11-26T07:00")
    followed.follow()
    assert paused(lab) == {"all:": at("2026-11-26T22:00")}


@pytest.mark.parametrize("jump_s", [-400 * 86_400.0, -3600.0, 3600.0, 400 * 86_400.0])
def test_a_clock_that_jumps_is_followed(lab: StateLab, jump_s: float) -> None:
    followed = timetable(lab, "2026-11-25T12:00", pauses=_NIGHTS_ONLY, limits=_LIMITS)
    followed.begin()
    lab.clock.utc += jump_s
    followed.follow()
    fresh = Timetable(lab.db, lab.clock, made(pauses=_NIGHTS_ONLY, limits=_LIMITS))
    before = limits(lab), paused(lab)
    fresh.begin()
    assert (limits(lab), paused(lab)) == before


def test_listings_are_paused_by_name_those_that_come_later_too(lab: StateLab) -> None:
    lab.db.rows(
        "INSERT INTO listing (id, sha256, account_group, priority, name, state, path, taken_at) VALUES"
        " (1, 'x', 'default', 0, 'Backlog-1.txt', 'open', '/x', 1.0),"
        " (2, 'y', 'default', 0, 'urgent.txt', 'open', '/y', 1.0)"
    )
    followed = timetable(
        lab, "2026-11-25T12:00", pauses={"listings": {"backlog-*": [{"from": "07:00", "to": "22:00"}]}}
    )
    followed.begin()
    assert paused(lab) == {"listing:1": at("2026-11-25T22:00")}
    lab.db.rows(
        "INSERT INTO listing (id, sha256, account_group, priority, name, state, path, taken_at)"
        " VALUES (3, 'z', 'default', 0, 'backlog-2.txt', 'taking', '/z', 1.0)"
    )
    lab.db.rows("UPDATE listing SET state = 'reported', reported_at = 2.0 WHERE id = 1")
    followed.follow()
    assert paused(lab) == {"listing:3": at("2026-11-25T22:00")}


def test_nothing_is_written_while_nothing_changes(lab: StateLab) -> None:
    followed = timetable(lab, "2026-11-25T12:00", pauses=_NIGHTS_ONLY, limits=_LIMITS)
    followed.begin()
    before = lab.db.value("SELECT total_changes()")
    for _ in range(100):
        lab.clock.pass_s(1)
        followed.follow()
    assert lab.db.value("SELECT total_changes()") == before


def test_changes_are_logged_as_events_with_their_ends(lab: StateLab, caplog: pytest.LogCaptureFixture) -> None:
    followed = timetable(
        lab, "2026-11-25T21:59", pauses=_NIGHTS_ONLY, limits={"accounts": {"a": [{"bytes_per_s": "1MB"}]}}
    )
    with caplog.at_level(logging.INFO):
        followed.begin()
        lab.clock.pass_s(61)
        followed.follow()
    assert [record.getMessage() for record in caplog.records] == [
        "bandwidth of account a: 1 MB/s",
        "all transfers: paused by a window until 2026-11-25T21:00:00Z",
        "all transfers: the window of its pause has ended",
    ]
    assert [dict(fields_of(record))["event"] for record in caplog.records] == [
        "limit_changed",
        "pause_begun",
        "pause_ended",
    ]
    assert dict(fields_of(caplog.records[0]))["account"] == "a"
