"""Open the state of the daemon, with a backup before an upgrade; one that is damaged or gone is made again."""

import logging
from pathlib import Path

from cdsed.clock import Clock
from cdsed.config.settings import Settings
from cdsed.errors import StateDamaged, StateDiskError
from cdsed.inbox import reread
from cdsed.logevent import LogEvent, about
from cdsed.store import backup, files
from cdsed.store.database import FILE_NAME, Database, open_as_it_is, open_state
from cdsed.store.filesystem import refuse_network_filesystem
from cdsed.store.migration import newest_schema
from cdsed.store.soundness import examine
from cdsed.work.forgotten import put_in_order

_log = logging.getLogger(__name__)


def open_for_daemon(settings: Settings, clock: Clock) -> Database:
    """Open the state for the daemon that holds its lock; recover it first if it is damaged or gone.

    Raises
    ------
    StateError
        It cannot be used or recovered; the text says why.
    """
    state_dir = settings.state_dir
    refuse_network_filesystem(state_dir)
    files.finish_interrupted(state_dir, clock)
    why = _damage(settings, clock)
    if why is not None:
        from cdsed.work.remake import Source, remake  # hardly ever needed, and large

        _log.error("%s", why)
        made, aside = remake(settings, clock, why, Source(newest=True))
        for line in made.lines()[1:]:
            _log.error("%s", line)
        _log.error("what was there before is in %s", aside, extra=about(LogEvent.STATE_RECOVERED))
    db = open_state(state_dir)
    try:
        put_in_order(db, settings.inbox.path)
    except OSError as error:  # the disk of the inbox is away: downloads continue, and intake logs it
        message = f"{error.filename or settings.inbox.path}: {error.strerror}"
        _log.error("accepted listings cannot be read (%s); intake reads them when they can be", message)
    return db


def _damage(settings: Settings, clock: Clock) -> str | None:
    """Return what is wrong with the state, or None; make a backup before an upgrade of a good one."""
    state_dir = settings.state_dir
    try:
        schema = examine(state_dir)
    except StateDamaged as error:
        return str(error)
    if 0 < schema < newest_schema():
        db = open_as_it_is(state_dir)
        try:
            made = backup.back_up(db, settings.backups_dir, clock, before_upgrade=True)
        finally:
            db.close()
        _log.info("before the upgrade to schema %d the state was backed up to %s", newest_schema(), made.path)
    known = files.lost_its_file(state_dir) or backup.backups(settings.backups_dir)
    if schema == 0 and (known or _any_accepted(settings.inbox.path)):
        return f"the state {state_dir / FILE_NAME} is gone"
    return None


def _any_accepted(inbox: Path) -> bool:
    try:
        return any(reread.accepted(inbox))
    except OSError as error:  # an empty new state would not know them
        place = error.filename or inbox
        raise StateDiskError(
            f"there is no state, and accepted listings cannot be looked for ({place}: {error.strerror}); "
            "let the daemon's user read it"
        ) from error
