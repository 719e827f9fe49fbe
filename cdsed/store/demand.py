"""How many more sessions could be at work: what is asked before workers are started for them."""

import json

from cdsed.clock import Clock
from cdsed.store import leases, products
from cdsed.store.database import Database
from cdsed.store.queries import Queries

_SQL = Queries("demand")


def sessions_wanted(db: Database, clock: Clock) -> int:
    """Return how many free sessions there is work for: products that are not planned, and pieces to fetch."""
    groups = products.groups_at_work(db, clock)
    free = len(leases.free_sessions(db, clock, groups)) if groups else 0
    if not free:
        return 0
    parts = db.value(_SQL.parts, groups=json.dumps(groups), now_s=clock.boot_s(), most=free)
    return min(free, int(parts or 0))
