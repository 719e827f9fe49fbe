"""The file by which a process wakes those that wait for its commits, see `cdsed.store.commit_watch`."""

import os
from contextlib import suppress
from pathlib import Path

WAKE_NAME = "wake"
"""The file in the state directory. It is always empty."""


def announce(path: Path) -> None:
    """Wake the processes that watch this file; it may be missing, if none ever did."""
    with suppress(OSError):  # they also look from time to time
        os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK))
