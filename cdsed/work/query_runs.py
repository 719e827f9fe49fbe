"""Run standing queries when they are due: search, enter the run into the state, then write its listing and report."""

import csv
import io
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from cdsed.catalogue.changes import ChangeSearch
from cdsed.catalogue.client import connect
from cdsed.clock import Clock
from cdsed.config.settings import Settings
from cdsed.config.standing_queries import QueryConditions, StandingQuery
from cdsed.errors import InboxError, ServiceError
from cdsed.inbox.directory import ACCEPTED, REJECTED, TAKING, put
from cdsed.inbox.durable_files import DurableFileBatch
from cdsed.inbox.receipt import QUERY_REPORT_FILES
from cdsed.model.catalogue_change import Changes
from cdsed.model.listing import ListingOptions
from cdsed.process.worker_control import HeartbeatClock
from cdsed.store import listings, notices, standing
from cdsed.store.database import Database
from cdsed.store.standing import FoundByRun, QueryRun, QueryState
from cdsed.work.query_report import ChangeKind, RunFindings, as_json, as_text, judge
from cdsed.work.retrying import doubled_s
from cdsed.work.role_context import RoleContext

_log = logging.getLogger(__name__)

_FIRST_RETRY_S, _LONGEST_RETRY_S = 30.0, 3600.0
_WRITING = "query-"  # begins the directory, in that of the state, in which a listing is written
_NOTICED = (ChangeKind.CORRECTED, ChangeKind.DELETED)
_NOTICE_FOR_S = 14 * 86_400.0  # a user who was away for two weeks must still see it


class ChangeSource(Protocol):
    """Where changes come from: `cdsed.catalogue.changes.ChangeSearch`."""

    def changes(self, query: StandingQuery, mark_at: float, deleted_at: float, now_at: float) -> Changes:
        """Return what has changed since the marks."""

    def unknown_words(self, conditions: QueryConditions) -> list[str]:
        """Return a sentence for each word that the catalogue does not have."""


def run_queries(worker: RoleContext, next_run_at: Callable[[StandingQuery, float], float]) -> None:
    """Run the standing queries of a daemon until the worker has to stop."""
    stop, clock = worker.control.stop, HeartbeatClock(worker.heartbeat)
    with connect(worker.settings, clock=clock, stop=stop) as service:
        source = ChangeSearch(service, worker.heartbeat)
        runs = QueryRuns(worker.db, worker.clock, worker.settings, worker.accounts.groups, source, next_run_at)
        worker.control.ready()
        while not stop.wait(1.0):
            worker.heartbeat()
            runs.look()


class QueryRuns:
    """The standing queries of one daemon.

    Parameters
    ----------
    groups
        The account groups that exist.
    source
        The catalogue.
    next_run_at
        Gives the next time of a query's schedule after its anchor.
    """

    def __init__(
        self,
        db: Database,
        clock: Clock,
        settings: Settings,
        groups: Collection[str],
        source: ChangeSource,
        next_run_at: Callable[[StandingQuery, float], float],
    ) -> None:
        self._db = db
        self._clock = clock
        self._settings = settings
        self._groups = groups
        self._source = source
        self._next_run_at = next_run_at
        self._retry_s: dict[str, float] = {}
        for left in settings.state_dir.glob(f"{_WRITING}*"):  # by a process that was killed
            shutil.rmtree(left, ignore_errors=True)

    def look(self) -> None:
        """Write what a run before has left unwritten, then run each query that is due."""
        if not self._write_files():
            return
        for query in self._settings.queries:
            state = standing.begin_as_configured(self._db, self._clock, query)
            if self._is_due(query, state):
                self._run(query, state)
            self._forget_old_notice(query)

    def _is_due(self, query: StandingQuery, state: QueryState) -> bool:
        if state.paused:
            return False
        if state.requested:
            return True
        if self._clock.boot_s() < self._retry_s.get(query.name, 0.0):
            return False
        now_at = self._clock.utc_s()
        if state.anchor_at > now_at + 1.0:  # the clock was set back
            standing.anchor(self._db, query.name, now_at)
            return False
        return self._next_run_at(query, state.anchor_at) <= now_at

    def _run(self, query: StandingQuery, state: QueryState) -> None:
        try:
            self._check(query)
            now_at = self._clock.utc_s()
            mark_at = min(state.mark_at, now_at) if state.mark_assumed else state.mark_at
            changes = self._source.changes(query, mark_at, min(state.deleted_at, now_at), now_at)
            unknown = self._source.unknown_words(query.search) if _finds_nothing(state, changes) else []
        except (ServiceError, ValueError, OSError) as error:
            self._failed(query, str(error))
            return
        if unknown:
            self._failed(query, "; ".join(unknown))
            return
        self._retry_s.pop(query.name, None)
        self._enter(query, changes)
        notices.note(self._db, self._clock, notices.query_error(query.name), None)
        self._write_files()

    def _check(self, query: StandingQuery) -> None:
        if query.group is not None and query.group not in self._groups:
            raise ValueError(f"the accounts file has no group {query.group}; it has {', '.join(sorted(self._groups))}")

    def _failed(self, query: StandingQuery, why: str) -> None:
        failures = standing.fail(self._db, query.name, why)
        pause_s = doubled_s(failures, _FIRST_RETRY_S, _LONGEST_RETRY_S)
        self._retry_s[query.name] = self._clock.boot_s() + pause_s
        _log.warning("query %s: %s; it is run again in %.0f s, and nothing is lost", query.name, why, pause_s)
        text = f"query {query.name} fails and is run again: {why}"
        notices.note(self._db, self._clock, notices.query_error(query.name), text)

    def _enter(self, query: StandingQuery, changes: Changes) -> None:
        """Enter a run into the state, with the new mark."""
        now_at = self._clock.utc_s()
        found = judge(self._db, query, changes)
        listing = f"query-{query.name}-{_compact(now_at)}.csv"
        if found.changes:
            self._say(query, found)
        marks = [min(each.changed_at, now_at) for each in changes.products]
        if changes.complete_until_at is not None:
            marks = [changes.complete_until_at]
        run = FoundByRun(
            query=query.name,
            listing=listing,
            report=as_json(query, listing, now_at, found, changes) if found.changes else "",
            listed=tuple(found.listed),
            seen=tuple(found.seen),
            deleted=tuple(found.deleted),
            mark_at=max(marks, default=None),
            deleted_at=max((min(each.deleted_at, now_at) for each in changes.deleted or ()), default=None),
            is_complete=changes.complete_until_at is None,
        )
        standing.add_run(self._db, self._clock, run)

    def _say(self, query: StandingQuery, found: RunFindings) -> None:
        _log.info("query %s found %s", query.name, found.counts(ChangeKind))
        kept = [each for each in found.changes if each.kind in _NOTICED]
        for each in kept[:20]:
            _log.warning("query %s: %s %s: %s", query.name, each.safename, each.kind, each.about)
        if kept:
            where = self._settings.inbox.path / ACCEPTED
            text = f"query {query.name}: the catalogue has {found.counts(_NOTICED)}; see its report in {where}"
            notices.note(self._db, self._clock, notices.query_changes(query.name), text)

    def _forget_old_notice(self, query: StandingQuery) -> None:
        name = notices.query_changes(query.name)
        since_at = notices.since(self._db, name)
        if since_at is not None and self._clock.utc_s() - since_at > _NOTICE_FOR_S:
            notices.note(self._db, self._clock, name, None)

    def _write_files(self) -> bool:
        """Write the listings and reports of all runs in the state; return whether the inbox took them."""
        for run in standing.unwritten(self._db):
            try:
                self._write(run)
            except (InboxError, OSError) as error:
                text = f"the listing of query {run.query} waits for the inbox: {error}"
                if notices.note(self._db, self._clock, notices.query_error(run.query), text):
                    _log.error("%s", text)
                return False
            notices.note(self._db, self._clock, notices.query_error(run.query), None)
        return True

    def _write(self, run: QueryRun) -> None:
        """Write the report, then the listing, unless it was put there before this process started."""
        inbox = self._settings.inbox.path
        accepted = inbox / ACCEPTED
        if not accepted.is_dir():
            raise InboxError(f"its disk is not mounted, or it was never used: {accepted} is missing")
        document = json.loads(run.report)
        texts = (json.dumps(document, ensure_ascii=False, indent=1) + "\n", as_text(document))
        with DurableFileBatch() as batch:
            for suffix, text in zip(QUERY_REPORT_FILES, texts, strict=True):
                with batch.text(accepted / f"{run.listing}{suffix}") as file:
                    file.write(text)
        rows = standing.to_list(self._db, run.id)
        if rows and not self._is_there(run.listing):
            query = next((each for each in self._settings.queries if each.name == run.query), None)
            with tempfile.TemporaryDirectory(prefix=_WRITING, dir=self._settings.state_dir) as folder:
                source = Path(folder, run.listing)
                content = io.StringIO()
                writer = csv.writer(content, lineterminator="\n")
                writer.writerow(("id", "safename", "S3Path"))
                writer.writerows((row["product_id"], row["safename"], row["s3_path"] or "") for row in rows)
                source.write_text(content.getvalue(), encoding="utf-8")
                put(source, inbox, None, ListingOptions(query.priority, query.group) if query else None)
        standing.written(self._db, run.id)

    def _is_there(self, listing: str) -> bool:
        inbox = self._settings.inbox.path
        folders = (inbox, inbox / TAKING, inbox / ACCEPTED, inbox / REJECTED)
        return any(os.path.lexists(folder / listing) for folder in folders) or bool(listings.find(self._db, listing))


def _finds_nothing(state: QueryState, changes: Changes) -> bool:
    """Tell whether a query has never found anything: a word of it may be misspelt."""
    return state.mark_assumed and not changes.products


def _compact(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y%m%dT%H%M%S%fZ")
