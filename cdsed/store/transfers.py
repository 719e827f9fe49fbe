"""What is in transfer now, whether bytes arrive, and the products published last and waiting longest."""

import json

from cdsed.clock import Clock
from cdsed.model.operation import ProductAt, Transfer
from cdsed.store.database import Database
from cdsed.store.queries import Queries
from cdsed.store.quota_usage import MINUTE_STEPS, STEP_S, step_of
from cdsed.store.rates import RecentTraffic

_SQL = Queries("transfers")

_JUST_BEGUN_S = 2.0
_OLDEST_LOOKED_AT = 100
# Bytes are counted when they are safe on the disk, and in steps.
_COUNTED_WITHIN_S = 10.0


def under_way(db: Database, clock: Clock) -> tuple[Transfer, ...]:
    """Return the products in transfer, oldest first."""
    transfers = []
    for row in db.rows(_SQL.transfers, step=step_of(clock), steps=MINUTE_STEPS):
        age_s = max(0.0, clock.utc_s() - row["changed_at"])
        size_bytes = row["size_bytes"] or row["received_bytes"]
        done_bytes = size_bytes - row["open_bytes"] if row["planned"] else min(size_bytes, row["received_bytes"])
        for_s = min(age_s, MINUTE_STEPS * STEP_S + clock.boot_s() % STEP_S)
        transfers.append(
            Transfer(
                safename=row["safename"],
                group=row["account_group"],
                done_bytes=done_bytes,
                size_bytes=size_bytes,
                rate_bytes_per_s=None if age_s < _JUST_BEGUN_S else row["bytes"] / for_s,
                accounts=tuple(sorted(json.loads(row["accounts"]))),
                sessions=row["sessions"],
                since_at=row["changed_at"],
            )
        )
    return tuple(transfers)


def stalled_for_s(db: Database, clock: Clock, recent: RecentTraffic) -> float | None:
    """Return for how long sessions have been at work without one byte; None if it is not too long.

    A connection that is silent is cut after a time of the settings, and its request is sent again. Only what lasts
    longer counts. Sessions that wait for a quota are not at work, and products that are verified need no session.
    """
    since_s = db.value(_SQL.working_since)
    if since_s is None:
        return None
    silent_s = clock.boot_s() - since_s
    if recent.silent_s is not None:
        silent_s = min(silent_s, recent.silent_s)
    allowed_s = float(db.value(_SQL.stalled_after) or 0.0) + _COUNTED_WITHIN_S
    return silent_s if silent_s > allowed_s else None


def last_published(db: Database) -> ProductAt | None:
    """Return the product published last."""
    row = db.row(_SQL.last_published)
    return None if row is None else ProductAt(**row)


def oldest_waiting(db: Database) -> ProductAt | None:
    """Return an unfinished product of the listing that has waited longest, and when that was taken.

    If no open listing wants unfinished products, it is one of them and when it changed last.
    """
    listing = db.row(_SQL.oldest_listing)
    if listing is None:
        row = db.row(_SQL.waiting_in_no_listing, most=_OLDEST_LOOKED_AT)
        return None if row is None else ProductAt(**row)
    safename = db.value(_SQL.waiting_in_listing, listing=listing["id"], most=_OLDEST_LOOKED_AT)
    return None if safename is None else ProductAt(safename, listing["taken_at"])
