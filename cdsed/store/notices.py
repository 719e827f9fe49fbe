"""Notices: what you should know although nothing has failed, such as a state that was recovered at night.

The process that notices it enters it, and withdraws it when it is over. `cdsed status` shows it.
"""

from pathlib import Path

from cdsed.clock import Clock
from cdsed.model.status_report import Notice
from cdsed.store.database import Database
from cdsed.store.queries import Queries

_SQL = Queries("notices")

#: The state was recovered.
RECOVERED = "recovered"
#: The state was found damaged, and the daemon has left.
DAMAGED = "damaged"
#: The daemon refused the settings or accounts of a reload.
RELOAD = "reload"
#: The kernel does not report changes in the inbox (inotify).
INBOX = "inbox"
#: The page cannot be served.
WEB = "web"

#: No worker of Dask has connections, or some may not.
ENGINE = "engine"

_REPLACED = "replaced:"
_SPOOL = "spool:"
_OTHERS = "others:"
_SHARED = "shared:"
_UNREADABLE = "unreadable:"
_UNWRITTEN = "unwritten:"
_RECOVERED_FOR_S = 14 * 86_400.0  # a user who was away for two weeks must still see it


def replaced(folder: Path) -> str:
    """Return the name of the notice about files that were in the place of products and are kept in a folder."""
    return f"{_REPLACED}{folder}"


def replaced_folders(db: Database) -> list[Path]:
    """Return the folders that have such a notice."""
    return [Path(row["name"].removeprefix(_REPLACED)) for row in db.rows(_SQL.beginning_with, start=_REPLACED)]


def spool(place: Path) -> str:
    """Return the name of the notice about a spool that cannot be made."""
    return f"{_SPOOL}{place}"


def of_spools(db: Database) -> list[str]:
    """Return the names of such notices."""
    return [row["name"] for row in db.rows(_SQL.beginning_with, start=_SPOOL)]


def others(room: Path) -> str:
    """Return the name of the notice about other states that download to the same place."""
    return f"{_OTHERS}{room}"


def shared(account: str) -> str:
    """Return the name of the notice about an account that another daemon on this machine also uses."""
    return f"{_SHARED}{account}"


def unreadable(listing: Path) -> str:
    """Return the name of the notice about a rejected listing that the daemon may not read."""
    return f"{_UNREADABLE}{listing}"


def unreadable_files(db: Database) -> list[Path]:
    """Return the listings that have such a notice."""
    return [Path(row["name"].removeprefix(_UNREADABLE)) for row in db.rows(_SQL.beginning_with, start=_UNREADABLE)]


def unwritten(folder: Path) -> str:
    """Return the name of the notice about receipts or reports that cannot be written in a folder."""
    return f"{_UNWRITTEN}{folder}"


def of_unwritten(db: Database) -> list[str]:
    """Return the names of such notices."""
    return [row["name"] for row in db.rows(_SQL.beginning_with, start=_UNWRITTEN)]


def query_error(query: str) -> str:
    """Return the name of the notice about a standing query that fails, or whose listing waits for the inbox."""
    return f"query:{query}"


def query_changes(query: str) -> str:
    """Return the name of the notice about products that a standing query found corrected or deleted."""
    return f"changes:{query}"


def since(db: Database, name: str) -> float | None:
    """Return since when (s UTC) a notice is there; None if it is not."""
    at: float | None = db.value(_SQL.since, name=name)
    return at


def hook_error(hook: str) -> str:
    """Return the name of the notice about a hook that cannot deliver."""
    return f"hook:{hook}"


def hook_given_up(hook: str) -> str:
    """Return the name of the notice about events that a hook was not given."""
    return f"given_up:{hook}"


def note(db: Database, clock: Clock, name: str, text: str | None) -> bool:
    """Enter a notice, or withdraw it (None); return whether that was a change. Without one nothing is written."""
    if db.value(_SQL.text, name=name) == text:
        return False
    with db.write():
        if text is None:
            db.rows(_SQL.withdraw, name=name)
        else:
            db.rows(_SQL.enter, name=name, text=text, at=clock.utc_s())
    return True


def active(db: Database, clock: Clock, *, running: bool) -> list[Notice]:
    """Return the notices that matter now, newest first.

    Parameters
    ----------
    running
        Whether the daemon runs. If not, notices about a running daemon (inbox, reload, spools, sharing) are left out.
    """
    rows = db.rows(_SQL.active, recovered_after=clock.utc_s() - _RECOVERED_FOR_S, running=running)
    return [Notice(**row) for row in rows]
