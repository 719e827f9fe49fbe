from pathlib import Path

from cdsed.model.status_report import Notice
from cdsed.store import notices, snapshot
from cdsed.store.notices import INBOX, RECOVERED
from tests.support.state import StateLab

DAY_S = 86_400.0


def told(lab: StateLab, *, running: bool = True) -> list[Notice]:
    return list(snapshot.report(lab.db, lab.clock, running=running).notices)


def test_a_notice_is_told_with_its_time_until_it_is_withdrawn(lab: StateLab) -> None:
    since, name = lab.clock.utc_s(), notices.replaced(Path("/spool/.cdsed/replaced"))
    notices.note(lab.db, lab.clock, name, "one thing")
    lab.clock.pass_s(100 * DAY_S)
    assert told(lab) == [Notice(name, "one thing", since)]
    notices.note(lab.db, lab.clock, name, "two things")
    assert told(lab) == [Notice(name, "two things", lab.clock.utc_s())]
    notices.note(lab.db, lab.clock, name, None)
    assert told(lab) == []


def test_what_is_known_already_costs_no_write_and_keeps_its_time(lab: StateLab) -> None:
    since = lab.clock.utc_s()
    notices.note(lab.db, lab.clock, INBOX, "refused")
    lab.clock.pass_s(60)
    lab.db.rows("PRAGMA query_only = ON")  # a write would fail
    notices.note(lab.db, lab.clock, INBOX, "refused")
    notices.note(lab.db, lab.clock, RECOVERED, None)
    assert told(lab) == [Notice(INBOX, "refused", since)]


def test_a_recovery_is_told_for_a_fortnight(lab: StateLab) -> None:
    notices.note(lab.db, lab.clock, RECOVERED, "made again")
    lab.clock.pass_s(14 * DAY_S - 1)
    assert [notice.text for notice in told(lab, running=False)] == ["made again"]
    lab.clock.pass_s(1)
    assert told(lab) == []


def test_how_the_inbox_is_watched_is_told_only_while_somebody_looks_into_it(lab: StateLab) -> None:
    notices.note(lab.db, lab.clock, INBOX, "refused")
    assert told(lab, running=False) == []
    assert [notice.name for notice in told(lab)] == [INBOX]
