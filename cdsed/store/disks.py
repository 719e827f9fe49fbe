"""Which disk each directory of products was on when cdsed first wrote there."""

from pathlib import Path

from cdsed.clock import Clock
from cdsed.model.disk import DirectoryIdentity
from cdsed.store.database import Database
from cdsed.store.queries import Queries

_SQL = Queries("disks")


def get(db: Database, place: Path) -> DirectoryIdentity | None:
    """Return what is remembered of a directory; None when nothing was ever written there."""
    row = db.row(_SQL.get, place=str(place))
    return None if row is None else DirectoryIdentity(**row)


def remember(db: Database, clock: Clock, place: Path, identity: DirectoryIdentity) -> None:
    """Note what a directory is from now on."""
    with db.write():
        db.rows(_SQL.remember, place=str(place), at=clock.utc_s(), **identity.as_dict())


def places(db: Database) -> list[Path]:
    """Return every directory that products were ever written to."""
    return [Path(row["place"]) for row in db.rows(_SQL.places)]
