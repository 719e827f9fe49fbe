"""What a full, read-only or failing disk of the state does to the workers, for `cdsed status`."""

import os
from pathlib import Path

#: The file of `cdsed.store.reserve.Reserve` in the state directory, and its size.
RESERVE_NAME = "reserve"
SIZE_BYTES = 16 * 2**20


def shortage(state_dir: Path, *, settled: bool) -> str | None:
    """Return why the disk of the state stops the workers; None if it does not.

    Parameters
    ----------
    settled
        Whether the daemon runs for so long that it has made its reserve, if it could.
    """
    status = os.statvfs(state_dir)
    if status.f_flag & os.ST_RDONLY:
        return f"the disk of the state {state_dir} is read-only; the workers pause until it can be written"
    free_bytes = status.f_bavail * status.f_frsize
    if (state_dir / RESERVE_NAME).exists():
        return None
    if free_bytes >= 2 * SIZE_BYTES:  # a failed write makes the daemon give it up, until one works
        message = "the workers pause until it can: see the log, dmesg and smartctl"
        failing = f"the disk of the state {state_dir} cannot be written, or a quota on it is used up; {message}"
        return failing if settled else None
    message = f"{free_bytes / 1e6:.0f} MB free; the workers pause until there are {2 * SIZE_BYTES / 1e6:.0f} MB"
    return f"the disk of the state {state_dir} is full: {message}"
