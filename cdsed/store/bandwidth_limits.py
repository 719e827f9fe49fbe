"""The bandwidth that the settings allow now, for the machine, a group or an account."""

from collections.abc import Collection

from cdsed.model.operation import BandwidthLimit
from cdsed.store.database import Database
from cdsed.store.queries import Queries

_SQL = Queries("bandwidth_limits")


def of_all(db: Database) -> list[BandwidthLimit]:
    """Return the limits that hold now: that of the machine first, then those of groups."""
    return [BandwidthLimit(**row) for row in db.rows(_SQL.of_all)]


def replace(db: Database, limits: Collection[BandwidthLimit]) -> None:
    """Enter the limits that hold from now on, in place of all others."""
    with db.write():
        for former in of_all(db):
            if not any((each.kind, each.name) == (former.kind, former.name) for each in limits):
                db.rows(_SQL.remove, kind=former.kind, name=former.name)
        for each in limits:
            db.rows(_SQL.enter, kind=each.kind, name=each.name, bytes_per_s=each.bytes_per_s, until_at=each.until_at)
