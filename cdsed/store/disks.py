"""The disk on which each directory of products was when cdsed first wrote there."""

from pathlib import Path

from cdsed.clock import Clock
from cdsed.model.disk import DirectoryIdentity
from cdsed.store.database import Database
from cdsed.store.queries import Queries

_SQL = Queries("disks")


def get(db: Database, place: Path) -> DirectoryIdentity | None:
    """Return the known identity of a directory; None when cdsed has never written there."""
    row = db.row(_SQL.get, place=str(place))
    return None if row is None else DirectoryIdentity(**row)


def remember(db: Database, clock: Clock, place: Path, identity: DirectoryIdentity) -> None:
    """Store the identity of a directory."""
    with db.write():
        db.rows(_SQL.remember, place=str(place), at=clock.utc_s(), **identity.as_dict())


def places(db: Database) -> list[Path]:
    """Return every directory to which products were ever written."""
    return [Path(row["place"]) for row in db.rows(_SQL.places)]


def reserved_bytes(db: Database, destination: str, product: int, *, everywhere: bool) -> int:
    """Return how many bytes the products under way, except `product`, will still write to the disk of a destination.

    Parameters
    ----------
    everywhere
        Count the products of every destination, because all are put together in the same pre-spool.
    """
    return int(db.value(_SQL.reserved_bytes, destination=destination, id=product, everywhere=everywhere))
