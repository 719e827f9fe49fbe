"""Remove what killed processes left in the directory of the session locks."""

from pathlib import Path

from cdsed.process.lock import KernelLock


def tidy(sessions_dir: Path) -> None:
    """Remove files that no process uses any more; call it before the workers start.

    These are lock files of workers that died before they entered the state, or after they left it, and the turns of
    limits of bandwidth, which count in seconds since the boot.
    """
    for path in sessions_dir.glob("process.*.lock"):
        lock = KernelLock(path)
        if lock.acquire():
            path.unlink()
            lock.release()
    for path in sessions_dir.glob("bandwidth.*"):
        path.unlink()
