"""The files of a state as a whole: set them aside, and put a new state in their place.

A state that was in use is set aside, not deleted; only some of many are kept. A new state is made in a separate
directory. A kill at any time leaves the former state, or no state and a complete new one that the next start puts in
place.
"""

import logging
import re
import shutil
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from cdsed.clock import Clock
from cdsed.dir_handle import sync
from cdsed.store.database import FILE_NAME

ASIDE = "aside"
WHY_NAME = "why.txt"
_MAKING, _MADE = "making", "made"
_STAMPED = re.compile(r"(\d{8}T\d{6}Z)(?:-(\d{4}))?")
_NEWEST_KEPT = 3  # including the one that is about to be set aside
_SUFFIXES = ("", "-wal", "-shm", "-journal")  # the database moves first: a log without it is a state that is gone

_log = logging.getLogger(__name__)


def workplace(state_dir: Path) -> Path:
    """Return an empty directory in which a new state is made; `put_in_place` removes it."""
    place = state_dir / _MAKING
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(mode=0o750, parents=True)
    return place


def put_in_place(state_dir: Path, why: str, clock: Clock) -> Path:
    """Replace the present state with the finished, closed state in `workplace`.

    Returns
    -------
    Path
        The directory with the files of the former state, if there were any, and with `why` in a file beside them.
    """
    making, made = state_dir / _MAKING, state_dir / _MADE
    sync(making / FILE_NAME)
    sync(making)
    shutil.rmtree(made, ignore_errors=True)
    making.rename(made)
    sync(state_dir)
    aside = _set_aside(state_dir, why, clock)
    _move_in(state_dir)
    return aside


def finish_interrupted(state_dir: Path, clock: Clock) -> None:
    """After a kill: put a complete new state in place if the former one is already set aside, and clean up."""
    if not (state_dir / FILE_NAME).exists() and (state_dir / _MADE / FILE_NAME).exists():
        if lost_its_file(state_dir):
            _set_aside(state_dir, "the log of a state whose replacement was interrupted", clock)
        _move_in(state_dir)
    for left in (_MAKING, _MADE):
        shutil.rmtree(state_dir / left, ignore_errors=True)


def lost_its_file(state_dir: Path) -> bool:
    """Tell whether a log is there without its database."""
    return any((state_dir / f"{FILE_NAME}{suffix}").exists() for suffix in _SUFFIXES[1:])


def set_aside_before(state_dir: Path) -> list[Path]:
    """Return the directories of former states that were set aside, oldest first."""
    return sorted(path for path in (state_dir / ASIDE).glob("*") if path.is_dir())


def forget_surplus(state_dir: Path) -> None:
    """Delete old states before one more is set aside: a disk that keeps failing must not fill up with them.

    The oldest stays, because it has everything from before the first failure. Of the others the newest stay, as long as
    they take no more space than is free. A directory that you have renamed is ignored.
    """
    former = [path for path in set_aside_before(state_dir) if _STAMPED.fullmatch(path.name)]
    free_bytes, taken_bytes = shutil.disk_usage(state_dir).free, 0
    for number, path in enumerate(reversed(former[1:]), start=2):
        with suppress(OSError):  # this disk may be the one that fails, and the new state is more important
            taken_bytes += sum(file.stat().st_blocks * 512 for file in path.iterdir())
            if number > _NEWEST_KEPT or taken_bytes > free_bytes:
                _log.warning("%s is removed: of former states the oldest and a few of the newest are kept", path)
                shutil.rmtree(path)


def _set_aside(state_dir: Path, why: str, clock: Clock) -> Path:
    present = [path for suffix in _SUFFIXES if (path := state_dir / f"{FILE_NAME}{suffix}").exists()]
    stamp = f"{datetime.fromtimestamp(clock.utc_s(), UTC):%Y%m%dT%H%M%SZ}"
    former = [match for path in set_aside_before(state_dir) if (match := _STAMPED.fullmatch(path.name))]
    if former and former[-1][1] >= stamp:  # the clock was set back: the names must still sort by age
        stamp = f"{former[-1][1]}-{int(former[-1][2] or 1) + 1:04d}"
    place = state_dir / ASIDE / stamp
    place.mkdir(mode=0o750, parents=True)
    (place / WHY_NAME).write_text(f"{why}\n", encoding="utf-8")
    sync(place / WHY_NAME)
    sync(place.parent)
    for path in present:
        path.rename(place / path.name)
    sync(place)
    sync(state_dir)
    return place


def _move_in(state_dir: Path) -> None:
    (state_dir / _MADE / FILE_NAME).rename(state_dir / FILE_NAME)
    sync(state_dir)
    shutil.rmtree(state_dir / _MADE)
