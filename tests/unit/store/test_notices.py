from pathlib import Path

from cdsed.model.status_report import Notice
from cdsed.store import notices, snapshot
from cdsed.store.notices import INBOX, RECOVERED
from tests.support.state import StateLab

DAY_S = 86_400.0


def reported(lab: StateLab, *, running: bool = True) -> list[Notice]:
    return list(snapshot.report(lab.db, lab.clock, running=running).notices)


def test_a_notice_is_shown_with_its_time_until_withdrawn(lab: StateLab) -> None:
    since, name = lab.clock.utc_s(), notices.replaced(Path("/spool/.cdsed/replaced"))
    notices.note(lab.db, lab.clock, name, "one thing")
    lab.clock.pass_s(100 * DAY_S)
    assert reported(lab) == [Notice(name, "one thing", since)]
    notices.note(lab.db, lab.clock, name, "two things")
    assert reported(lab) == [Notice(name, "two things", lab.clock.utc_s())]
    notices.note(lab.db, lab.clock, name, None)
    assert reported(lab) == []


def test_what_is_known_already_costs_no_write_and_keeps_its_time(lab: StateLab) -> None:
    since = lab.clock.utc_s()
    notices.note(lab.db, lab.clock, INBOX, "refused")
    lab.clock.pass_s(60)
    lab.db.rows("PRAGMA query_only = ON")  # a write would fail
    notices.note(lab.db, lab.clock, INBOX, "refused")
    notices.note(lab.db, lab.clock, RECOVERED, None)
    assert reported(lab) == [Notice(INBOX, "refused", since)]


def test_a_recovery_is_shown_for_a_fortnight(lab: StateLab) -> None:
    notices.note(lab.db, lab.clock, RECOVERED, "made again")
    lab.clock.pass_s(14 * DAY_S - 1)
    assert [notice.text for notice in reported(lab, running=False)] == ["made again"]
    lab.clock.pass_s(1)
    assert reported(lab) == []


def test_how_the_inbox_is_watched_is_shown_only_while_it_is_watched(lab: StateLab) -> None:
    notices.note(lab.db, lab.clock, INBOX, "refused")
    assert reported(lab, running=False) == []
    assert [notice.name for notice in reported(lab)] == [INBOX]
