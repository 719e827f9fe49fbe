"""Checking the file of a state, of any schema, before it is used."""

from pathlib import Path

from cdsed.errors import StateDamaged
from cdsed.store.database import FILE_NAME, open_as_it_is
from cdsed.store.migration import APPLICATION_ID, newest_schema


def examine(state_dir: Path) -> int:
    """Check the file of the state without a change; return the number of its schema, 0 without a state.

    Raises
    ------
    StateDamaged
        It is damaged, or not a state of cdsed.
    StateError
        SQLite refuses it for another reason.
    """
    path = state_dir / FILE_NAME
    if not path.exists():
        return 0
    db = open_as_it_is(state_dir)
    try:
        version = int(db.value("PRAGMA user_version"))
        if version == 0 and db.value("PRAGMA schema_version") == 0:
            return 0
        if db.value("PRAGMA application_id") != APPLICATION_ID:
            raise StateDamaged(f"{path} is not a state of cdsed")
        problems = db.problems() if version <= newest_schema() else []  # this cdsed cannot check a newer schema
    finally:
        db.close()
    if problems:
        raise StateDamaged(f"the state {path} is damaged: {'; '.join(problems)}")
    return version
