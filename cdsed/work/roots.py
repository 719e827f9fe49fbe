"""Report directories of products that are away, or that cannot be made."""

import logging
from pathlib import Path

from cdsed.clock import Clock
from cdsed.config.settings import Settings
from cdsed.local.making import why_not_made
from cdsed.local.presence import Presence
from cdsed.store import notices
from cdsed.store.database import Database

_log = logging.getLogger(__name__)


def tell_missing(on_disk: Presence, before: frozenset[Path]) -> frozenset[Path]:
    """Log spools and archives that have gone or come back since `before`; return those that are away now."""
    now = frozenset(on_disk.missing_roots())
    for root in now - before:
        _log.warning("%s is missing or empty: is it mounted? Products in it would be fetched again", root)
    for root in before - now:
        _log.info("%s is there again", root)
    return now


def note_spools(db: Database, clock: Clock, settings: Settings) -> None:
    """Write a notice of spools that cannot be made, before a product waits for one of them."""
    message = {notices.spool(spool): why_not_made(spool) for spool in settings.spools}
    for name in [*message, *notices.of_spools(db)]:
        if notices.note(db, clock, name, message.get(name)) and message.get(name):
            _log.error("%s", message[name])
