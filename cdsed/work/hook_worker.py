"""The worker of hooks: a thread for each hook, so that one that hangs delays neither another one nor any transfer."""

import logging
import threading
import time
import traceback
from dataclasses import asdict
from typing import Self

from cdsed.clock import Clock
from cdsed.config.event_hooks import EventHook
from cdsed.config.settings import Settings
from cdsed.errors import HookError, StateError
from cdsed.model.alarm import Alarm, Severity, alarms
from cdsed.model.status_report import StatusReport
from cdsed.store import notices, outbox, snapshot
from cdsed.store.database import Database
from cdsed.store.outbox import PresentAlarm, TriedBatch
from cdsed.store.state_id import state_id
from cdsed.work.hook_payload import delivery_of
from cdsed.work.hook_targets import give
from cdsed.work.retrying import doubled_s
from cdsed.work.role_context import RoleContext

_log = logging.getLogger(__name__)

_POLL_S = 0.5
_ALARMS_EVERY_S = 10.0  # at most: sooner for a hook with a shorter alarm_after_s
_GIVE_UP_EVERY_S = 60.0
_FIRST_RETRY_S, _LONGEST_RETRY_S = 5.0, 900.0
_AT_THE_END_S = 5.0  # for the last call of a hook when the daemon stops
_NOTED_AFTER = 3  # failures in a row
_MAIL_EVENTS_MAX = 10_000
_KEY_DAYS = (3, 1)


def run_hooks(worker: RoleContext) -> None:
    """Give events to hooks until the worker has to stop."""
    with HookWorker(worker.db, worker.clock, worker.settings, worker.control.stop) as hooks:
        worker.control.ready()
        while not worker.control.stop.wait(1.0):
            worker.heartbeat()
            hooks.look()


class HookWorker:
    """The threads of all hooks, and the alarms that become events."""

    def __init__(self, db: Database, clock: Clock, settings: Settings, stop: threading.Event) -> None:
        self._db = db
        self._clock = clock
        self._stop = stop
        wanting = [hook.alarm_after_s for hook in settings.hooks if "person_needed" in hook.events]
        self._alarms_every_s = min([_ALARMS_EVERY_S, *wanting]) if wanting else None
        self._alarms_s = 0.0
        state = state_id(settings.state_dir)
        self._threads = [HookThread(db, clock, settings, hook, state, stop) for hook in settings.hooks]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        until_s = time.monotonic() + 2 * _AT_THE_END_S
        for thread in self._threads:  # daemon threads: those that hang do not keep the process
            thread.join(max(0.0, until_s - time.monotonic()))

    def look(self) -> None:
        """Enter alarms that came or went, and raise the error that ended a thread."""
        for thread in self._threads:
            if not thread.is_alive() and not self._stop.is_set():
                raise thread.failure or RuntimeError(f"the thread of hook {thread.hook.name} ended")
        if self._alarms_every_s is not None and self._clock.boot_s() >= self._alarms_s:
            self._alarms_s = self._clock.boot_s() + self._alarms_every_s
            follow_alarms(self._db, self._clock)


def follow_alarms(db: Database, clock: Clock) -> None:
    """Enter an event for each alarm that came, became more urgent or went since the last call."""
    report = snapshot.report(db, clock, running=True)
    present = {
        f"{alarm.name} {alarm.subject}": PresentAlarm(_step(alarm, report), asdict(alarm)) for alarm in alarms(report)
    }
    outbox.follow_alarms(db, clock, present)


def _step(alarm: Alarm, report: StatusReport) -> int:
    """Return how urgent an alarm is: by its severity, and for a key by how many days it is still valid."""
    if alarm.name == "key_expires":
        expires_at = next((each.key_expires_at for each in report.accounts if each.name == alarm.subject), None)
        left_days = (expires_at - report.at) / 86_400 if expires_at is not None else 0.0
        return sum(left_days <= days for days in _KEY_DAYS)
    return int(alarm.severity is Severity.CRITICAL)


class HookThread(threading.Thread):
    """Gives events to one hook.

    Attributes
    ----------
    failure
        The error of the state that ended it.
    """

    def __init__(
        self, db: Database, clock: Clock, settings: Settings, hook: EventHook, state: str, stop: threading.Event
    ) -> None:
        super().__init__(name=f"hook {hook.name}", daemon=True)
        self.hook = hook
        self.failure: StateError | None = None
        self._db = db
        self._clock = clock
        self._settings = settings
        self._state = state
        self._stop_event = stop
        self._most = _MAIL_EVENTS_MAX if hook.mail else hook.batch_max
        self._new_since_s: float | None = None
        self._due_s = self._give_up_s = 0.0
        self._batch_due_s: dict[int, float] = {}
        self._retries = outbox.retries_requested(db, hook.name)
        self._wait_for_next_mail()

    def run(self) -> None:
        """Give events until the worker stops; then give the last ones once, without waiting for more."""
        try:
            while not self._stop_event.is_set():
                while self.step() and not self._stop_event.is_set():
                    pass
                self._stop_event.wait(_POLL_S)
            self.step(final=True)
        except StateError as error:
            self.failure = error

    def step(self, *, final: bool = False) -> bool:
        """Give one batch, if one is due; return whether the hook accepted it."""
        self._heed_person()
        self._give_up_when_due()
        now_s = self._clock.boot_s()
        if now_s < self._due_s and not (final and self._is_well()):
            return False
        batch = self._next_batch(now_s, final=final)
        if batch is None:
            return False
        events = outbox.events_of(self._db, self.hook.name, batch.number)
        if not events:
            return False
        delivery = delivery_of(self._state, self.hook.name, batch.number, self._clock.utc_s(), events)
        limit_s = min(self.hook.time_limit_s, _AT_THE_END_S) if final else self.hook.time_limit_s
        try:
            give(self.hook, delivery, self._settings, self._clock, limit_s)
        except HookError as error:
            if not final:
                self._failed(batch, str(error))
            return False
        except Exception as error:  # noqa: BLE001 - it must not end the worker, which gives the events of all hooks
            last = traceback.extract_tb(error.__traceback__)[-1]
            kind = f"{type(error).__name__} in {last.name} of {last.filename}, line {last.lineno}"  # no text: secrets
            if not final:
                self._failed(batch, f"an error in cdsed itself, please report it: {kind}")
            return False
        self._accepted(batch, len(events))
        return True

    def _is_well(self) -> bool:
        return self._due_s == 0.0

    def _heed_person(self) -> None:
        """Forget all waits after ``cdsed hooks retry``."""
        retries = outbox.retries_requested(self._db, self.hook.name)
        if retries != self._retries:
            self._retries, self._due_s = retries, 0.0
            self._batch_due_s.clear()

    def _next_batch(self, now_s: float, *, final: bool) -> TriedBatch | None:
        """Return new events as a batch when they were collected long enough, else a batch whose back-off is over."""
        new = outbox.untried(self._db, self._clock, self.hook, self._most)
        if new and self._new_since_s is None:
            self._new_since_s = now_s
        waited = self._new_since_s is not None and now_s - self._new_since_s >= self.hook.batch_s
        if new and (final or waited or new >= self._most):
            self._new_since_s = None
            number = outbox.form_batch(self._db, self._clock, self.hook, self._most)
            return None if number is None else TriedBatch(number, 0)
        if not new:
            self._new_since_s = None
        tried = outbox.tried_batches(self._db, self.hook.name)
        return next((each for each in tried if now_s >= self._batch_due_s.get(each.number, 0.0)), None)

    def _accepted(self, batch: TriedBatch, events: int) -> None:
        outbox.delivered(self._db, self._clock, self.hook.name, batch.number, events)
        notices.note(self._db, self._clock, notices.hook_error(self.hook.name), None)
        self._batch_due_s.pop(batch.number, None)
        self._due_s = self._clock.boot_s() + self.hook.mail.every_s if self.hook.mail else 0.0
        _log.info("hook %s accepted %d events", self.hook.name, events)

    def _failed(self, batch: TriedBatch, why: str) -> None:
        failures = outbox.failed(self._db, self.hook.name, batch, why)
        now_s = self._clock.boot_s()
        pause_s = doubled_s(failures, _FIRST_RETRY_S, _LONGEST_RETRY_S)
        self._due_s = now_s + pause_s
        self._batch_due_s[batch.number] = now_s + doubled_s(batch.attempts + 1, _FIRST_RETRY_S, _LONGEST_RETRY_S)
        if failures & (failures - 1) == 0:  # 1, 2, 4, 8, …
            _log.warning(
                "hook %s: %s; failure %d in a row, tried again in %.0f s", self.hook.name, why, failures, pause_s
            )
        if failures >= _NOTED_AFTER:
            text = f"hook {self.hook.name} does not accept its events, which are tried again: {why}"
            notices.note(self._db, self._clock, notices.hook_error(self.hook.name), text)

    def _give_up_when_due(self) -> None:
        if self._clock.boot_s() < self._give_up_s:
            return
        self._give_up_s = self._clock.boot_s() + _GIVE_UP_EVERY_S
        name = self.hook.name
        if count := outbox.give_up(self._db, self._clock, self.hook):
            _log.error("hook %s: %d events are given up; `cdsed hooks retry %s` tries them again", name, count, name)
        lost = next((each.given_up for each in outbox.of_all(self._db) if each.name == name), 0)
        text = f"hook {name} was not given {lost} events; `cdsed hooks retry {name}` tries them again"
        notices.note(self._db, self._clock, notices.hook_given_up(name), text if lost else None)

    def _wait_for_next_mail(self) -> None:
        """After a restart, keep the pause between two mails."""
        if self.hook.mail is None:
            return
        at = next((each.delivered_at for each in outbox.of_all(self._db) if each.name == self.hook.name), None)
        past_s = self._clock.utc_s() - at if at is not None else self.hook.mail.every_s
        if 0 <= past_s < self.hook.mail.every_s:
            self._due_s = self._clock.boot_s() + self.hook.mail.every_s - past_s
