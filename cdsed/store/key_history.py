"""The history of each account's S3 key, so that a refusal can be explained; the key itself is not stored."""

from cdsed.clock import Clock
from cdsed.frozen import frozen
from cdsed.store.database import Database
from cdsed.store.queries import Queries

_SQL = Queries("key_history")

_EVERY_S = 60.0  # a success is noted at most this often, because each note is a commit


@frozen
class KeyHistory:
    """The history of a key; times in seconds UTC.

    Attributes
    ----------
    mark
        A digest that distinguishes it from the next key of the account.
    since_at
        When it was first used.
    worked_at
        When S3 last accepted it, to the minute; None: never.
    expires_at
        When it expires by the accounts file, if the file says so.
    """

    mark: str
    since_at: float
    worked_at: float | None
    expires_at: float | None


def of_account(db: Database, account: str) -> KeyHistory | None:
    """Return the history of the key that an account uses now; None before its first use."""
    row = db.row(_SQL.get, account=account)
    return None if row is None else KeyHistory(**row)


def enter(db: Database, clock: Clock, account: str, mark: str) -> None:
    """Note that an account uses this key; a new key starts a new history."""
    known = of_account(db, account)
    if known is None or known.mark != mark:
        with db.write():
            db.rows(_SQL.enter, account=account, mark=mark, at=clock.utc_s())


def worked(db: Database, clock: Clock, account: str) -> None:
    """Note that S3 has just accepted the key of an account."""
    known = of_account(db, account)
    now = clock.utc_s()
    if known is not None and (known.worked_at is None or abs(now - known.worked_at) >= _EVERY_S):
        with db.write():
            db.rows(_SQL.worked, account=account, at=now)
