"""The pauses that the windows of the settings make, in the table of all pauses."""

from collections.abc import Mapping

from cdsed.clock import Clock
from cdsed.model.operation import Pause
from cdsed.store.database import Database
from cdsed.store.pauses import Target
from cdsed.store.queries import Queries

_SQL = Queries("window_pauses")


def of_all(db: Database) -> list[Pause]:
    """Return the pauses of windows."""
    return [Pause(**row) for row in db.rows(_SQL.of_all)]


def replace(db: Database, clock: Clock, until: Mapping[Target, float | None]) -> None:
    """Enter the pauses of all windows that hold now, with their ends in seconds UTC, in place of all others."""
    with db.write():
        db.rows(_SQL.remove_all)
        for (kind, name), until_at in until.items():
            db.rows(_SQL.enter, kind=kind, name=name, at=clock.utc_s(), until_at=until_at)


def change(
    db: Database, clock: Clock, former: Mapping[Target, float | None], until: Mapping[Target, float | None]
) -> None:
    """Enter what begins, remove what ends, and correct the ends of the others.

    A pause that holds before and after is not entered again: perhaps a person has resumed what it paused.
    """
    with db.write():
        for kind, name in former.keys() - until.keys():
            db.rows(_SQL.remove, kind=kind, name=name)
        for (kind, name), until_at in until.items():
            if (kind, name) not in former:
                db.rows(_SQL.enter, kind=kind, name=name, at=clock.utc_s(), until_at=until_at)
            elif former[kind, name] != until_at:
                db.rows(_SQL.extend, kind=kind, name=name, until_at=until_at)


def open_listings(db: Database) -> dict[str, str]:
    """Return the names of the listings that have no report yet, by their ids as texts."""
    return {str(row["id"]): row["name"] for row in db.rows(_SQL.open_listings)}
