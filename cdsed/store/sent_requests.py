"""When the requests of the minute become free again."""

from cdsed.clock import Clock
from cdsed.store.database import Database
from cdsed.store.queries import Queries
from cdsed.store.quota_usage import COUNTS_FOR_S, MINUTE_STEPS, STEP_S, step_of

_SQL = Queries("sent_requests")


def returns(db: Database, clock: Clock, account: str | None = None) -> dict[str, list[tuple[float, int]]]:
    """Return what each account may send again, or only `account`: seconds from now, and how many requests then.

    The first to come is first. Of a quota that accounts share, each has the requests of all.
    """
    now_s, step = clock.boot_s(), step_of(clock)
    found: dict[str, list[tuple[float, int]]] = {}
    for row in db.rows(_SQL.sent, account=account, oldest_step=step - MINUTE_STEPS, step=step):
        before = 0
        for second in range(STEP_S):
            until = row["requests"] if second == STEP_S - 1 else row[f"within_{second + 1}_s"]
            in_s = row["step"] * STEP_S + second + COUNTS_FOR_S - now_s
            if until > before and in_s > 0:
                found.setdefault(row["account"], []).append((in_s, until - before))
            before = until
    return found
