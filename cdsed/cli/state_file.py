"""Opening the state for a command that changes it, whether the daemon runs or not."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cdsed.errors import UsageError

if TYPE_CHECKING:
    from cdsed.store.database import Database


@contextmanager
def open_for_command(state_dir: Path) -> "Iterator[Database]":
    """Open the state for writing.

    Raises
    ------
    UsageError
        There is no state yet.
    PermissionError
        This user may not write to it.
    StateError
        Another version of cdsed has made it, or it cannot be used.
    """
    from cdsed.store.database import FILE_NAME, join_state
    from cdsed.view.read import open_status

    with open_status(state_dir) as (_, there):  # refuses what another version of cdsed has made
        if there is None:
            raise UsageError(f"there is no state at {state_dir}: start the daemon once")
    if not os.access(state_dir / FILE_NAME, os.W_OK):
        raise PermissionError(errno.EACCES, "permission denied", str(state_dir / FILE_NAME))
    db = join_state(state_dir)
    try:
        yield db
    finally:
        db.close()
