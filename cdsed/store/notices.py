"""What people should know although nothing has failed, such as a state that was recovered while nobody looked.

Whoever knows it enters it, and withdraws it when it is over; `cdsed status` tells it.
"""

from pathlib import Path

from cdsed.clock import Clock
from cdsed.model.status_report import Notice
from cdsed.store.database import Database
from cdsed.store.queries import Queries

_SQL = Queries("notices")

#: The state was made again.
RECOVERED = "recovered"
#: The state was found damaged, and the daemon has left.
DAMAGED = "damaged"
#: The daemon could not take the settings or accounts it was to reload.
RELOAD = "reload"
#: The kernel does not tell of changes in the inbox.
INBOX = "inbox"

_REPLACED = "replaced:"
_SPOOL = "spool:"
_OTHERS = "others:"
_SHARED = "shared:"
_UNREADABLE = "unreadable:"
_RECOVERED_FOR_S = 14 * 86_400.0  # whoever comes back from a fortnight's leave still reads it


def replaced(folder: Path) -> str:
    """Return the name of the notice of what stood in the place of products and is kept in a folder."""
    return f"{_REPLACED}{folder}"


def replaced_folders(db: Database) -> list[Path]:
    """Return the folders of which such a notice tells."""
    return [Path(row["name"].removeprefix(_REPLACED)) for row in db.rows(_SQL.beginning_with, start=_REPLACED)]


def spool(place: Path) -> str:
    """Return the name of the notice of a spool that cannot be made."""
    return f"{_SPOOL}{place}"


def of_spools(db: Database) -> list[str]:
    """Return the names of such notices."""
    return [row["name"] for row in db.rows(_SQL.beginning_with, start=_SPOOL)]


def others(room: Path) -> str:
    """Return the name of the notice of other states that download to the same place."""
    return f"{_OTHERS}{room}"


def shared(account: str) -> str:
    """Return the name of the notice of an account that another daemon on this machine uses too."""
    return f"{_SHARED}{account}"


def unreadable(listing: Path) -> str:
    """Return the name of the notice of a rejected listing that the daemon may not read."""
    return f"{_UNREADABLE}{listing}"


def unreadable_files(db: Database) -> list[Path]:
    """Return the listings of which such a notice tells."""
    return [Path(row["name"].removeprefix(_UNREADABLE)) for row in db.rows(_SQL.beginning_with, start=_UNREADABLE)]


def note(db: Database, clock: Clock, name: str, text: str | None) -> bool:
    """Enter a notice, or withdraw it (None); return whether that was news. What is known already costs no write."""
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
        Whether the daemon runs: where it does not, nobody looks into the inbox at all, and a reload is past.
    """
    rows = db.rows(_SQL.active, recovered_after=clock.utc_s() - _RECOVERED_FOR_S, running=running)
    return [Notice(**row) for row in rows]
