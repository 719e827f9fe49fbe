"""Virtual environments with pinned versions of other programs, made once and kept in ``build``."""

import fcntl
import hashlib
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

_BUILD = Path(__file__).resolve().parents[2] / "build"


def kept_environment(name: str, requirements: Path, make: Callable[[Path], bool]) -> Path | None:
    """Return the directory of an environment; make it first if these versions are not there yet.

    Parameters
    ----------
    name
        How the directory begins; a digest of the requirements and of the version of Python follows.
    requirements
        The file with the versions.
    make
        Makes the environment in a directory that does not exist, and returns whether that worked.

    Returns
    -------
    Path
        None if it could not be made.
    """
    wanted = f"{sys.version} {requirements.read_text('utf-8')}"
    place = _BUILD / f"{name}-{hashlib.sha256(wanted.encode()).hexdigest()[:12]}"
    place.parent.mkdir(exist_ok=True)
    with place.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "complete").exists():
            shutil.rmtree(place, ignore_errors=True)
            if not make(place):
                return None
            (place / "complete").touch()
    return place
