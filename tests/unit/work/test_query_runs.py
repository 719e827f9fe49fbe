"""Standing queries with a state and an inbox, and a catalogue whose responses the test gives."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cdsed.config.settings import Settings
from cdsed.config.standing_queries import QueryConditions, StandingQuery
from cdsed.errors import ServiceError
from cdsed.inbox.directory import prepare
from cdsed.model.catalogue_change import ChangedProduct, Changes, DeletedProduct
from cdsed.model.product_state import State
from cdsed.sandbox.names import realistic_safenames
from cdsed.schedule.query_times import next_run_at
from cdsed.store import snapshot, standing
from cdsed.work import query_runs
from cdsed.work.query_runs import QueryRuns
from tests.support.state import StateLab

HOUR_S, DAY_S = 3600.0, 86_400.0
OLD = "S2A_MSIL2A_20240912T112541_N0511_R137_T28PHQ_20240912T133420.SAFE"
NEWER = "S2A_MSIL2A_20240912T112541_N0512_R137_T28PHQ_20250112T133420.SAFE"


class Catalogue:
    """Gives the rows that the test has put in, from the mark on."""

    def __init__(self) -> None:
        self.products: list[ChangedProduct] = []
        self.deleted: list[DeletedProduct] = []
        self.error: ServiceError | None = None
        self.unknown: list[str] = []
        self.asked: list[float] = []

    def changes(self, query: StandingQuery, mark_at: float, deleted_at: float, _now_at: float) -> Changes:
        self.asked.append(mark_at)
        if self.error:
            raise self.error
        found = [each for each in self.products if each.changed_at >= mark_at - query.overlap_s]
        gone = [each for each in self.deleted if each.deleted_at >= deleted_at - query.overlap_s]
        if len(found) <= query.products_max:
            return Changes(tuple(found), None, tuple(gone))
        some = sorted(found, key=lambda each: each.changed_at)[: query.products_max]
        return Changes(tuple(some), some[-1].changed_at + 1, tuple(gone))

    def unknown_words(self, _conditions: QueryConditions) -> list[str]:
        return self.unknown


class QueryLab:
    """A state, an inbox and one query that runs each hour."""

    def __init__(self, lab: StateLab, root: Path, **query: Any) -> None:
        self.lab = lab
        self.inbox = root / "inbox"
        self.inbox.mkdir()
        prepare(self.inbox, used=False)
        values = {"name": "s2", "search": {"collection": "SENTINEL-2"}, "every_s": HOUR_S, **query}
        self.settings = Settings.model_validate(
            {"state_dir": str(root / "state"), "inbox": {"path": str(self.inbox)}, "queries": [values]}
        )
        self.catalogue = Catalogue()
        self.start()

    def start(self) -> None:
        """Begin as a new process does."""
        self.runs = QueryRuns(self.lab.db, self.lab.clock, self.settings, {"default"}, self.catalogue, next_run_at)

    def publish(self, safename: str, *, late_s: float = 0.0, md5: str = "a", number: str = "") -> None:
        now_at = self.lab.clock.utc_s()
        self.catalogue.products = [each for each in self.catalogue.products if each.safename != safename]
        self.catalogue.products.append(
            ChangedProduct(number or f"id {safename}", safename, None, md5, True, now_at - late_s, now_at, now_at)
        )

    def look_after(self, seconds: float = HOUR_S) -> None:
        self.lab.clock.pass_s(seconds)
        self.runs.look()

    def state(self) -> standing.QueryState:
        state = standing.get(self.lab.db, "s2")
        assert state is not None
        return state

    def listings(self) -> list[list[str]]:
        """Return the names in each listing in the inbox, oldest first."""
        files = sorted(self.inbox.glob("query-s2-*.csv"))
        return [
            [line.split(",")[1] for line in file.read_text("utf-8").splitlines() if line.startswith("id ")]
            for file in files
        ]

    def reports(self) -> list[dict[str, Any]]:
        files = sorted((self.inbox / ".accepted").glob("*.query.json"))
        return [json.loads(file.read_text("utf-8")) for file in files]

    def notices(self) -> list[str]:
        return [notice.text for notice in snapshot.report(self.lab.db, self.lab.clock, running=True).notices]


@pytest.fixture
def queries(lab: StateLab, tmp_path: Path) -> QueryLab:
    found = QueryLab(lab, tmp_path)
    found.runs.look()
    return found


def test_each_product_is_listed_once_and_nothing_makes_no_listing(queries: QueryLab) -> None:
    first, second = realistic_safenames("S2_L2A", 2, seed=1)
    queries.publish(first)
    queries.look_after()
    queries.look_after()
    queries.publish(second)
    queries.look_after()
    assert queries.listings() == [[first], [second]]
    assert (queries.state().found, queries.state().found_last) == (2, 1)
    assert len(queries.reports()) == 2


def test_an_outage_keeps_the_mark_and_is_repeated_with_back_off(queries: QueryLab) -> None:
    [name] = realistic_safenames("S2_L2A", 1, seed=1)
    mark_at = queries.state().mark_at
    queries.catalogue.error = ServiceError("the catalogue answered 503", code="ServerError")
    queries.publish(name)
    for seconds in (HOUR_S, 10.0, 30.0, 30.0, 60.0):
        queries.look_after(seconds)
    assert len(queries.catalogue.asked) == 4  # the first look, then after 0, 30 and 60 s
    assert queries.state().mark_at == mark_at
    assert queries.notices() == ["query s2 fails and is run again: the catalogue answered 503"]
    queries.catalogue.error = None
    queries.look_after(HOUR_S)
    assert queries.listings() == [[name]]
    assert queries.notices() == []


def test_missed_runs_are_one_and_a_clock_that_is_set_delays_no_more_than_one_interval(queries: QueryLab) -> None:
    queries.look_after(100 * HOUR_S)
    assert len(queries.catalogue.asked) == 2
    queries.lab.clock.utc -= 365 * DAY_S
    queries.look_after(1)
    assert len(queries.catalogue.asked) == 2
    queries.look_after(HOUR_S)
    assert len(queries.catalogue.asked) == 3
    queries.lab.clock.utc += 365 * DAY_S
    queries.look_after(1)
    queries.look_after(1)
    assert len(queries.catalogue.asked) == 4


def test_the_mark_is_the_clock_of_the_catalogue_and_a_clock_ahead_of_it_loses_nothing(queries: QueryLab) -> None:
    [name] = realistic_safenames("S2_L2A", 1, seed=1)
    queries.lab.clock.utc -= 30 * DAY_S  # it was ahead when the daemon first read the query
    queries.publish(name)
    queries.look_after(1)
    queries.look_after(HOUR_S)
    assert queries.listings() == [[name]]
    assert queries.state().mark_at == queries.catalogue.products[0].changed_at


def test_a_pause_holds_and_a_run_can_be_requested(queries: QueryLab) -> None:
    [name] = realistic_safenames("S2_L2A", 1, seed=1)
    assert standing.pause(queries.lab.db, "s2", paused=True)
    queries.publish(name)
    queries.start()
    queries.look_after(5 * HOUR_S)
    assert queries.listings() == []
    assert standing.pause(queries.lab.db, "s2", paused=False)
    standing.request(queries.lab.db, "s2")
    queries.look_after(1)
    assert queries.listings() == [[name]]


def test_a_backlog_is_listed_run_after_run_and_does_not_wait_for_the_schedule(lab: StateLab, tmp_path: Path) -> None:
    queries = QueryLab(lab, tmp_path, products_max=2, overlap_s=0, cron="0 6 * * *", every_s=None)
    queries.runs.look()
    names = realistic_safenames("S2_L2A", 5, seed=2)
    for name in names:
        queries.lab.clock.pass_s(10)
        queries.publish(name)
    queries.look_after(25 * HOUR_S)
    assert [len(each) for each in queries.listings()] == [2]
    assert standing.pause(lab.db, "s2", paused=True)
    queries.look_after(1)
    assert len(queries.listings()) == 1, "a pause holds in a backlog, too"
    assert standing.pause(lab.db, "s2", paused=False)
    for _ in range(5):
        queries.look_after(1)
    assert [len(each) for each in queries.listings()] == [2, 2, 1]
    assert sorted(name for each in queries.listings() for name in each) == sorted(names)


def test_other_versions_late_and_deleted_products_are_reported_and_kept(queries: QueryLab) -> None:
    [late] = realistic_safenames("S2_L1C", 1, seed=1)
    number = queries.lab.queued(OLD)
    queries.lab.finish(number, State.DONE)
    queries.publish(OLD, number="old")
    queries.look_after()
    assert queries.listings() == []
    queries.publish(OLD, number="old", md5="another")
    queries.publish(NEWER)
    queries.publish(late, late_s=30 * DAY_S)
    at = queries.lab.clock.utc_s()
    queries.catalogue.deleted = [
        DeletedProduct("old", OLD, at, "Corrupted product"),
        DeletedProduct("foreign", "S2A_NEVER_SEEN", at, ""),
    ]
    queries.look_after()
    queries.look_after()
    [report] = queries.reports()
    kinds = {(each["kind"], each["safename"], each["listed"]) for each in report["changes"]}
    assert kinds == {
        ("corrected", OLD, False),
        ("corrected", NEWER, True),
        ("late", late, True),
        ("deleted", OLD, False),
    }
    assert sorted(queries.listings()[0]) == sorted([NEWER, late])
    assert f"replaces {OLD}, which was kept" in json.dumps(report)
    assert "the catalogue has 2 corrected, 1 deleted; see its report" in queries.notices()[0]
    [text] = [path.read_text("utf-8") for path in (queries.inbox / ".accepted").glob("*.query.txt")]
    assert "Deleted:\n  " + OLD + "  Corrupted product, " in text
    queries.look_after(15 * DAY_S)
    assert queries.notices() == []


def test_a_group_that_is_gone_and_a_word_that_is_unknown_are_shown(lab: StateLab, tmp_path: Path) -> None:
    queries = QueryLab(lab, tmp_path, group="gone")
    queries.runs.look()
    assert queries.notices() == ["query s2 fails and is run again: the accounts file has no group gone; it has default"]


def test_a_misspelt_word_is_shown_before_anything_was_found(lab: StateLab, tmp_path: Path) -> None:
    queries = QueryLab(lab, tmp_path)
    queries.catalogue.unknown = ["the catalogue has no collection 'SENTINEL-2'"]
    queries.runs.look()
    assert queries.state().error == "the catalogue has no collection 'SENTINEL-2'"


def test_a_listing_waits_for_an_inbox_that_is_away(queries: QueryLab, tmp_path: Path) -> None:
    [name] = realistic_safenames("S2_L2A", 1, seed=1)
    queries.publish(name)
    away = queries.inbox.rename(tmp_path / "away")
    queries.inbox.mkdir()  # the mount point
    queries.look_after()
    assert list(queries.inbox.iterdir()) == []
    assert "waits for the inbox: its disk is not mounted" in queries.notices()[0]
    queries.inbox.rmdir()
    away.rename(queries.inbox)
    queries.start()
    queries.look_after(1)
    assert queries.listings() == [[name]]
    assert queries.notices() == []


class Killed(BaseException):
    """The process ends here."""


def _steps() -> Iterator[tuple[str, bool]]:
    for step in ("standing.add_run", "DurableFileBatch", "put", "standing.written"):
        yield step, False
        yield step, True


@pytest.mark.parametrize(("step", "after"), list(_steps()))
def test_a_kill_at_any_step_loses_nothing_and_lists_nothing_twice(
    queries: QueryLab, monkeypatch: pytest.MonkeyPatch, step: str, after: bool
) -> None:
    first, second = realistic_safenames("S2_L2A", 2, seed=1)
    queries.publish(first)
    name, _, attribute = step.rpartition(".")
    owner = getattr(query_runs, name) if name else query_runs
    real = getattr(owner, attribute)

    def dying(*arguments: Any, **named: Any) -> Any:
        if after:
            real(*arguments, **named)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(owner, attribute, dying)
        with pytest.raises(Killed):
            queries.look_after()
    queries.start()
    queries.look_after(1)
    queries.publish(second)
    queries.look_after()
    assert sorted(queries.listings()) == sorted([[first], [second]])
    assert len(queries.reports()) == 2
