"""The outbox of hooks: the events that each hook has still to be given.

The triggers of the schema enter events of products and listings in the transaction that moves these. Alarms are entered
here, in the transaction that notes them. An event leaves the outbox when its hook has accepted it, or when it is given
up. So an event arrives at least once, and after a kill perhaps twice, with the same id.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from cdsed.clock import Clock
from cdsed.config.event_hooks import EventHook
from cdsed.frozen import frozen
from cdsed.store.database import Database
from cdsed.store.queries import Queries

_SQL = Queries("outbox")
_GIVEN_UP_FOR_S = 30 * 86_400.0
#: Ends the name of an alarm in an event that only says that it became more urgent.
_WORSE = "\n"
_SPLIT_AT = 3  # attempts after which a batch is given event by event: one of them may be what is refused


@frozen
class HookState:
    """How far a hook has come; `waiting` and `given_up` count events."""

    name: str
    delivered: int
    delivered_at: float | None
    failures: int
    error: str | None
    retries_requested: int
    waiting: int
    given_up: int


@frozen
class OutboxEvent:
    """One event: its number, kind, time (s UTC) and facts."""

    id: int
    kind: str
    at: float
    facts: Mapping[str, Any]


@frozen
class TriedBatch:
    """Events that were given together without success, and how often."""

    number: int
    attempts: int


@frozen
class PresentAlarm:
    """An alarm that there is now; `step`, from 0 to 9, grows as it becomes more urgent."""

    step: int
    facts: Mapping[str, Any]

    def key(self, alarm: str) -> str:
        """Return the key under which it is noted."""
        return f"{alarm} {self.step}"

    def as_json(self) -> str:
        """Return its facts as they are noted."""
        return json.dumps(self.facts, ensure_ascii=False)


def sync(db: Database, hooks: Iterable[EventHook]) -> None:
    """Note which hooks the settings have now; events for others are forgotten. Without a change nothing is written."""
    given = list(hooks)
    names = json.dumps([hook.name for hook in given])
    if not given and not of_all(db):
        return
    with db.write():
        for hook in given:
            db.rows(
                _SQL.keep_hook,
                name=hook.name,
                products="product_published" in hook.events,
                listings="listing_finished" in hook.events,
                alarms="person_needed" in hook.events,
                groups=json.dumps(hook.groups) if hook.groups else None,
                patterns=json.dumps(hook.listings) if hook.listings else None,
            )
        db.rows(_SQL.forget_hooks, names=names)
        db.rows(_SQL.forget_events, names=names)
        db.rows(_SQL.forget_alarms)


def of_all(db: Database) -> list[HookState]:
    """Return the state of each hook, by name."""
    return [HookState(**row) for row in db.rows(_SQL.state)]


def tried_batches(db: Database, hook: str) -> list[TriedBatch]:
    """Return the batches that were tried without success, those with the fewest attempts first."""
    return [TriedBatch(row["batch"], row["attempts"]) for row in db.rows(_SQL.batches, hook=hook)]


def untried(db: Database, clock: Clock, hook: EventHook, most: int) -> int:
    """Return how many events, up to `most`, were not tried yet, without the alarms that are still too young."""
    return int(db.value(_SQL.untried, hook=hook.name, most=most, **_young(clock, hook)))


def form_batch(db: Database, clock: Clock, hook: EventHook, most: int) -> int | None:
    """Make a batch of the oldest untried events; return its number, which it keeps at every attempt."""
    young = _young(clock, hook)
    with db.write():
        row = db.row(_SQL.untried, hook=hook.name, most=most, **young)
        if row is None or row["first"] is None:
            return None
        db.rows(_SQL.form, hook=hook.name, batch=row["first"], most=most, **young)
        return int(row["first"])


def _young(clock: Clock, hook: EventHook) -> dict[str, float]:
    """Return when an alarm came that may still end; not in the future: then the clock was set back since."""
    now_at = clock.utc_s()
    return {"young_since": now_at - hook.alarm_after_s, "now_at": now_at}


def events_of(db: Database, hook: str, batch: int) -> list[OutboxEvent]:
    """Return the events of a batch, oldest first."""
    return [
        OutboxEvent(row["id"], row["kind"], row["at"], json.loads(row["facts"]))
        for row in db.rows(_SQL.of_batch, hook=hook, batch=batch)
    ]


def delivered(db: Database, clock: Clock, hook: str, batch: int, events: int) -> None:
    """Note that a hook has accepted a batch."""
    with db.write():
        db.rows(_SQL.delivered, hook=hook, batch=batch)
        db.rows(_SQL.note_delivery, hook=hook, events=events, at=clock.utc_s())


def failed(db: Database, hook: str, batch: TriedBatch, error: str) -> int:
    """Note that a hook has not accepted a batch; return how many calls of the hook failed in a row."""
    with db.write():
        db.rows(_SQL.attempted, hook=hook, batch=batch.number)
        if batch.attempts + 1 == _SPLIT_AT:
            db.rows(_SQL.split, hook=hook, batch=batch.number)
        return int(db.value(_SQL.note_failure, hook=hook, error=error) or 0)


def give_up(db: Database, clock: Clock, hook: EventHook) -> int:
    """Give up the events that were tried too long, too often, or that are too many; return how many."""
    now_at = clock.utc_s()
    with db.write():
        rows = db.rows(
            _SQL.give_up,
            hook=hook.name,
            at=now_at,
            before=now_at - hook.give_up_after_s,
            attempts_max=hook.attempts_max,
            pending_max=hook.pending_max,
        )
        db.rows(_SQL.forget_given_up, hook=hook.name, before=now_at - _GIVEN_UP_FOR_S, pending_max=hook.pending_max)
    return len(rows)


def request_retry(db: Database, hook: str) -> int | None:
    """Let a hook be tried at once, with the events that were given up; return how many these are.

    Returns
    -------
    int or None
        None if the daemon knows no such hook.
    """
    with db.write():
        if db.row(_SQL.request_retry, hook=hook) is None:
            return None
        return len(db.rows(_SQL.revive, hook=hook))


def retries_requested(db: Database, hook: str) -> int:
    """Return a number that grows when a person wants a retry now."""
    return int(db.value(_SQL.retries_requested, hook=hook) or 0)


def add_test(db: Database, clock: Clock, hook: str) -> int:
    """Enter an event of the kind ``test`` for one hook; return its number."""
    with db.write():
        return int(db.value(_SQL.test, hook=hook, at=clock.utc_s()))


def attempts_of(db: Database, event: int) -> int | None:
    """Return how often an event was tried; None if it was delivered."""
    attempts: int | None = db.value(_SQL.attempts_of, event=event)
    return attempts


def follow_alarms(db: Database, clock: Clock, present: Mapping[str, PresentAlarm]) -> None:
    """Compare the alarms that there are now with those noted, and enter an event for each that came, grew or went.

    One that becomes less urgent is still there, and needs no event.

    Parameters
    ----------
    present
        Each alarm by its name and subject.
    """
    known = {_alarm_of(row["key"]): row for row in db.rows(_SQL.alarms)}
    came, went = present.keys() - known.keys(), known.keys() - present.keys()
    worse = {alarm for alarm in present.keys() & known.keys() if present[alarm].key(alarm) > known[alarm]["key"]}
    if not came and not went and not worse:
        return
    at = clock.utc_s()
    with db.write():
        for alarm in sorted(came):
            db.rows(_SQL.raise_alarm, key=present[alarm].key(alarm), facts=present[alarm].as_json(), at=at)
            db.rows(_SQL.alarm_came, alarm=alarm, facts=present[alarm].as_json(), at=at)
            db.rows(_SQL.withdraw_end, alarm=alarm)
        for alarm in sorted(worse):
            facts, names = present[alarm].as_json(), {"alarm": alarm, "worse": alarm + _WORSE}
            db.rows(_SQL.make_worse, key=present[alarm].key(alarm), before=known[alarm]["key"], facts=facts)
            db.rows(_SQL.say_worse, **names, facts=facts)
            db.rows(_SQL.alarm_worse, **names, facts=facts, at=at)
        for alarm in sorted(went):
            db.rows(_SQL.end_alarm, key=known[alarm]["key"])
            db.rows(_SQL.alarm_went, alarm=alarm, facts=known[alarm]["facts"], at=at)
            db.rows(_SQL.withdraw, alarm=alarm, worse=alarm + _WORSE)


def _alarm_of(key: str) -> str:
    return key.rpartition(" ")[0]
