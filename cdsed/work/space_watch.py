"""Ask the disks of products how much space is free, each in a thread of its own: one that hangs stops no other."""

import logging
from pathlib import Path

from cdsed.config.settings import Settings
from cdsed.errors import StateError
from cdsed.local.space import free_bytes
from cdsed.store import breakers, free_space
from cdsed.work.context import WorkerContext

_log = logging.getLogger(__name__)

_LOOK_EVERY_S = 3.0


def places(settings: Settings) -> list[Path]:
    """Return the directories of the settings that products are written to."""
    return [*settings.spools, *([settings.pre_spool] if settings.pre_spool else [])]


def watch_place(context: WorkerContext, place: Path) -> None:
    """Note the free space of a place again and again, until the process must leave.

    A place whose disk is paused is not asked: the call could hang.
    """
    db, clock = context.store.db, context.store.clock
    while not context.stop.is_set():
        paused = breakers.is_open(db, clock, breakers.disk_breaker(str(place)))
        if not paused and free_space.is_due(db, clock, place):
            try:
                _ask(context, place)
            except StateError as error:  # the next try is soon, and what needs the state says so too
                _log.debug("the free space of %s was not noted: %s", place, error)
        context.stop.wait(_LOOK_EVERY_S)


def _ask(context: WorkerContext, place: Path) -> None:
    try:
        with context.disks.watch.at(str(place)):
            free = free_bytes(place)
    except OSError as error:
        free_space.note(context.store.db, context.store.clock, place, None, error.strerror or str(error))
    else:
        free_space.note(context.store.db, context.store.clock, place, free)
