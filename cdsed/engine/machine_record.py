"""Writes what the head hears of machines into the state, every few seconds if it has changed, and follows drains."""

import logging
from collections import defaultdict, deque

from cdsed.clock import Clock
from cdsed.engine.known_machines import HeadNews
from cdsed.model.machine_status import GrantLoss, MachineNow
from cdsed.store import machines, notices
from cdsed.store.database import Database
from cdsed.store.machines import MachineNote

_log = logging.getLogger(__name__)

_WRITE_EVERY_S = 5.0
_RATE_OVER_S = 60.0


class MachineRecord:
    """What is written of the machines; the time between two writes makes a rate one of about the last minute."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self._written: dict[str, MachineNote] = {}
        self._received: dict[str, int] = {}
        self._lost: dict[tuple[str, GrantLoss], int] = {}
        # How much had come from a machine, and when (seconds since boot); the oldest is about a minute old.
        self._samples: dict[str, deque[tuple[float, int]]] = defaultdict(deque)
        self._write_s = 0.0
        self._drains: frozenset[str] = frozenset()
        machines.begin(db, used=True)

    def take(self, news: HeadNews) -> frozenset[str]:
        """Take what the head hears, every second or so; return the machines that get no new connection."""
        notices.note(self._db, self._clock, notices.ENGINE, news.problem)
        now_s = self._clock.boot_s()
        before, drains = self._drains, machines.drains(self._db)
        self._drains = frozenset(drains)
        at_work = {each.name for each in news.machines if each.at_work}
        # Only those that got no connection when the news was made.
        drained = [name for name in before if name in drains and not drains[name] and name not in at_work]
        if drained or now_s >= self._write_s:
            self._write_s = now_s + _WRITE_EVERY_S
            self._write(news, now_s)
        for name in drained:
            machines.note_drained(self._db, self._clock, name)
            _log.info("machine %s is drained: nothing is at work there", name)
        return self._drains

    def end(self, news: HeadNews) -> None:
        """Write that no worker is used any more."""
        self._write(HeadNews(None, (), news.received_bytes, news.lost), self._clock.boot_s())

    def _write(self, news: HeadNews, now_s: float) -> None:
        found = {each.name: each for each in news.machines}
        changed = []
        for name in {*found, *self._written, *news.received_bytes}:
            note = self._note(found.get(name, MachineNow(name)), news, now_s)
            before = self._written.get(name)
            if note.received_bytes or note.lost or before is None or _shown(note) != _shown(before):
                changed.append(note)
            self._written[name] = note
        if changed:
            machines.note(self._db, self._clock, changed)

    def _note(self, now: MachineNow, news: HeadNews, now_s: float) -> MachineNote:
        name = now.name
        total = max(news.received_bytes.get(name, 0), self._received.get(name, 0))  # a lease ends just now
        samples = self._samples[name]
        samples.append((now_s, total))
        while len(samples) > 2 and samples[1][0] <= now_s - _RATE_OVER_S:
            samples.popleft()
        since_s, before = samples[0]
        new_bytes, self._received[name] = total - self._received.get(name, 0), total
        lost = {}
        for (machine, why), count in news.lost.items():
            if machine == name and count > self._lost.get((machine, why), 0):
                lost[why] = count - self._lost.get((machine, why), 0)
                self._lost[machine, why] = count
        rate = (total - before) / (now_s - since_s) if now_s > since_s else 0.0
        return MachineNote(now, rate if now.workers else 0.0, new_bytes, lost)


def _shown(note: MachineNote) -> tuple[MachineNow, int]:
    return note.now, round(note.rate_bytes_per_s)
