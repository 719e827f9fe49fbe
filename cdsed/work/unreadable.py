"""Listings that were rejected because the daemon may not read them, for `cdsed status`.

Such files come from ``umask 077``, or from a move out of a home directory. The daemon, another user, sees only the
name. Their owners see it in a receipt, but only if they look for that.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from cdsed.clock import Clock
from cdsed.inbox.scan import shown
from cdsed.store import notices
from cdsed.store.database import Database


def notify(db: Database, clock: Clock, rejected: Iterable[Path]) -> None:
    """Note those of the rejected listings that cannot be read."""
    for path in rejected:
        if _is_unreadable(path):
            message = f"{shown(path)} was rejected: the daemon may not read it"
            remedy = "its owner may let the group read it (chmod g+r), and drop it again"
            notices.note(db, clock, notices.unreadable(path), f"{message}; {remedy}")


def look_again(db: Database, clock: Clock) -> None:
    """Withdraw the notices of files that are gone, or can be read now."""
    for path in notices.unreadable_files(db):
        if not _is_unreadable(path):
            notices.note(db, clock, notices.unreadable(path), None)


def _is_unreadable(path: Path) -> bool:
    return os.path.lexists(path) and not os.access(path, os.R_OK, effective_ids=True)
