"""Circuit breakers of accounts, the services, disks and the inbox, all with the same rule.

A *breaker* counts failures in a row. At its threshold it opens. The time it stays open doubles with each further
failure. When that time is over, one probe is let through, and a success closes the breaker. No work is ever dropped.
"""

from cdsed.clock import Clock
from cdsed.errors import TransferError
from cdsed.frozen import frozen
from cdsed.store.database import Database
from cdsed.store.queries import Queries

_SQL = Queries("breakers")

SERVICE = "service:s3"
CATALOGUE = "service:catalogue"
ZIPPER = "service:zip"
INBOX = "inbox"
#: Open for a while after each death of a worker: a third death by chance must not fail a product that two died over.
SUSPECTS = "suspects"


def account_breaker(account: str) -> str:
    """Return the name of the breaker of an account."""
    return f"account:{account}"


def disk_breaker(destination: str) -> str:
    """Return the name of the breaker of a destination directory."""
    return f"disk:{destination}"


@frozen
class BreakerPolicy:
    """How a breaker opens: after `threshold` failures, for `first_s`, doubling up to `longest_s`."""

    threshold: int
    first_s: float
    longest_s: float

    def pause_s(self, failures: int) -> float:
        """Return how long to stay open after this many failures in a row, with 10 % of jitter."""
        from random import uniform  # who only reads the state does not need it

        doublings = min(failures - self.threshold, 32)
        return min(self.longest_s, self.first_s * 2.0**doublings) * uniform(0.9, 1.1)


def fail(db: Database, clock: Clock, name: str, policy: BreakerPolicy, error: TransferError) -> float:
    """Count a failure; return for how many seconds the breaker is open now, 0 when it is closed.

    It stays open at least as long as the error asks (``Retry-After``). A request that fails while the breaker is open
    was in flight when it opened, and does not count again.
    """
    with db.write():
        now_s = clock.boot_s()
        before = db.row(_SQL.get, name=name)
        if before is not None and before["open"] and before["until_s"] > now_s:
            until_s = max(before["until_s"], now_s + (error.retry_after_s or 0.0))
            db.rows(_SQL.open, name=name, until_s=until_s)
            return float(until_s - now_s)
        failures = db.value(_SQL.fail, name=name, code=error.code, reason=str(error), at=clock.utc_s())
        if failures < policy.threshold:
            return 0.0
        pause_s = max(error.retry_after_s or 0.0, policy.pause_s(failures))
        db.rows(_SQL.open, name=name, until_s=now_s + pause_s)
        return pause_s


def close(db: Database, clock: Clock, name: str) -> bool:
    """Note a success; return whether that ends a pause.

    A request that succeeds while the breaker is open was in flight when it opened, so it does not close it.
    """
    row = db.row(_SQL.get, name=name)
    if row is None or (row["open"] and row["until_s"] > clock.boot_s()):
        return False
    forget(db, name)
    return bool(row["open"])


def has_any(db: Database) -> bool:
    """Tell whether any breaker counts a failure; if not, a success closes none."""
    return db.value(_SQL.any) is not None


def forget(db: Database, name: str) -> None:
    """Close a breaker whose cause is gone, before its time is over; usually there is nothing to close."""
    if last_failure(db, name) is not None:
        with db.write():
            db.rows(_SQL.close, name=name)


def hasten(db: Database, name: str) -> None:
    """Let a probe through at once."""
    with db.write():
        db.rows(_SQL.hasten, name=name)


def last_failure(db: Database, name: str) -> str | None:
    """Return the code of the last failure since the last success; None without a failure."""
    row = db.row(_SQL.get, name=name)
    return None if row is None else str(row["code"])


def last_reason(db: Database, name: str) -> str | None:
    """Return the text of the last failure since the last success; None without a failure."""
    row = db.row(_SQL.get, name=name)
    return None if row is None else str(row["reason"])


def failures(db: Database, name: str) -> int:
    """Return how many failures there were in a row since the last success."""
    row = db.row(_SQL.get, name=name)
    return 0 if row is None else int(row["failures"])


@frozen
class OpenReason:
    """Why a breaker is open: the code and the text of the last failure."""

    code: str
    reason: str


def why_open(db: Database, clock: Clock, name: str) -> OpenReason | None:
    """Return why a breaker is open; None when it is closed or its time is over."""
    row = db.row(_SQL.get, name=name)
    if row is None or not is_open(db, clock, name):
        return None
    return OpenReason(row["code"], row["reason"])


def open_for_s(db: Database, clock: Clock, name: str) -> float:
    """Return for how many more seconds a breaker is open; 0 when it is closed or its time is over."""
    row = db.row(_SQL.get, name=name)
    return 0.0 if row is None or not row["open"] else max(0.0, float(row["until_s"]) - clock.boot_s())


def is_open(db: Database, clock: Clock, name: str) -> bool:
    """Tell whether a breaker is open and its time is not over."""
    return open_for_s(db, clock, name) > 0
