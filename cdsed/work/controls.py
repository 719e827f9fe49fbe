"""What the daemon does for the commands of people: it logs them, ends pauses, and notes when a drain is done."""

import logging
from collections.abc import Iterable
from pathlib import Path

from cdsed.clock import Clock
from cdsed.store import commands, drains, pauses
from cdsed.store.database import Database

_log = logging.getLogger(__name__)


def look(db: Database, clock: Clock, spools: Iterable[Path]) -> None:
    """Do all of it once; call it about every second."""
    for text in commands.take_unlogged(db):
        _log.info("%s", text)
    for pause in pauses.end_over(db, clock):
        _log.info("the pause of %s %s is over", pause.kind, pause.name)
    pauses.follow_spools(db, clock, map(str, spools))
    for account in drains.note_done(db, clock):
        _log.info("%s is drained: nothing is in transfer", f"account {account}" if account else "the daemon")
