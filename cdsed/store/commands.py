"""What people commanded: recorded with the command itself, in one transaction, and copied to the daemon's log."""

from cdsed.clock import Clock
from cdsed.store.database import Database
from cdsed.store.queries import Queries

_SQL = Queries("commands")
_KEPT = 1000


def add(db: Database, clock: Clock, owner: str | None, text: str) -> None:
    """Record a command; call it in the transaction that carries it out."""
    with db.write():
        db.rows(_SQL.add, at=clock.utc_s(), owner=owner, text=text)
        db.rows(_SQL.forget_old, kept=_KEPT)


def take_unlogged(db: Database) -> list[str]:
    """Return the commands that are not in the log yet, oldest first, and note that they are."""
    rows = db.rows(_SQL.unlogged)
    if rows:
        with db.write():
            db.rows(_SQL.logged, id=rows[-1]["id"])
    return [f"{row['owner'] or 'a person'} commanded: {row['text']}" for row in rows]
