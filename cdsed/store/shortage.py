"""What a full or read-only disk of the state does to the workers, for `cdsed status`."""

import os
from pathlib import Path

#: The file of `cdsed.store.reserve.Reserve` in the state directory, and its size.
RESERVE_NAME = "reserve"
SIZE_BYTES = 16 * 2**20


def shortage(state_dir: Path) -> str | None:
    """Return why the disk of the state stops the workers; None if it does not."""
    status = os.statvfs(state_dir)
    if status.f_flag & os.ST_RDONLY:
        return f"the disk of the state {state_dir} is read-only; the workers pause until it can be written"
    free_bytes = status.f_bavail * status.f_frsize
    if free_bytes >= 2 * SIZE_BYTES or (state_dir / RESERVE_NAME).exists():
        return None
    message = f"{free_bytes / 1e6:.0f} MB free; the workers pause until there are {2 * SIZE_BYTES / 1e6:.0f} MB"
    return f"the disk of the state {state_dir} is full: {message}"
