"""File systems: free space, and whether two places share one."""

import os
from pathlib import Path


def free_bytes(path: Path) -> int:
    """Return how many bytes an ordinary user may still write where `path` is or would be."""
    status = os.statvfs(_existing(path))
    return status.f_bavail * status.f_frsize


def same_filesystem(one: Path, other: Path) -> bool:
    """Tell whether a rename from one place to the other is possible; neither need exist yet."""
    return _existing(one).stat().st_dev == _existing(other).stat().st_dev


def _existing(path: Path) -> Path:
    """Return the nearest parent that exists, or the path itself."""
    return next(place for place in (path.absolute(), *path.absolute().parents) if place.exists())
