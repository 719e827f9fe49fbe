"""Backups of the state: complete copies that are made while other connections write; SQLite checks each first.

The newest backup has the highest number. The time in its name is only for people, because clocks can jump.
"""

import fcntl
import logging
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from cdsed.clock import Clock
from cdsed.dir_handle import sync
from cdsed.errors import StateDamaged, StateDiskError, StateError
from cdsed.frozen import frozen
from cdsed.store.database import FILE_NAME, Database
from cdsed.store.migration import newest_schema
from cdsed.store.soundness import examine

KEPT = 7
_UPGRADES_KEPT = 2
_UNFINISHED = ".being-made"
_NAME = re.compile(r"cdsed-(?P<number>\d{6})-(?P<at>\d{8}T\d{6}Z)(?P<upgrade>-before-upgrade)?\.sqlite")

_log = logging.getLogger(__name__)


@frozen
class Backup:
    """One backup: its path, its running number, when it was made (s UTC), and whether an upgrade was the reason."""

    path: Path
    number: int
    made_at: float
    before_upgrade: bool


def backups(folder: Path) -> list[Backup]:
    """Return the backups in a directory, newest first."""
    if not folder.is_dir():
        return []
    found = [_parsed(path) for path in folder.iterdir()]
    return sorted((backup for backup in found if backup), key=lambda backup: backup.number, reverse=True)


def back_up(db: Database, folder: Path, clock: Clock, *, before_upgrade: bool = False) -> Backup:
    """Write a backup, and delete the oldest beyond the number to keep.

    Parameters
    ----------
    db
        A connection that only the caller uses: the copy blocks it for about 2 s per GB.
    folder
        The directory of the backups; a missing one is made.

    Raises
    ------
    StateDamaged
        The state itself is damaged: a copy of it must not displace a good backup.
    StateDiskError
        There is not enough free space, or the disk fails.
    StateError
        Another process is making a backup there.
    """
    if problems := db.problems():
        raise StateDamaged(f"no backup is made of a damaged state: {'; '.join(problems)}")
    try:
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        with _alone(folder):
            for rest in folder.glob(f"*{_UNFINISHED}*"):
                rest.unlink()
            _expect_room(db, folder)
            number = max((backup.number for backup in backups(folder)), default=0) + 1
            timestamp = datetime.fromtimestamp(clock.utc_s(), UTC)
            name = f"cdsed-{number:06}-{timestamp:%Y%m%dT%H%M%SZ}{'-before-upgrade' * before_upgrade}.sqlite"
            hidden = folder / f".{name}{_UNFINISHED}"
            try:
                hidden.touch(mode=0o640, exist_ok=False)
                db.copy_into(hidden)
                sync(hidden)
                hidden.rename(folder / name)
            finally:
                hidden.unlink(missing_ok=True)
            sync(folder)
            _forget_surplus(folder)
    except OSError as error:
        raise StateDiskError(f"no backup can be written to {folder}: {error.strerror}") from error
    return Backup(folder / name, number, timestamp.timestamp(), before_upgrade)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the ``flock`` of a directory, because who makes a backup deletes what is unfinished of others."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise StateError(f"another backup is being made in {folder}: try again when it is complete") from None
    except OSError:
        pass  # a file server without such locks
    try:
        yield
    finally:
        os.close(descriptor)


def newest_good(folder: Path, workplace: Path) -> Backup | None:
    """Return the newest backup that is sound and not of a newer cdsed; each bad one is logged.

    Parameters
    ----------
    workplace
        A directory for the copy that is examined; a good copy stays there as the file of a state.
    """
    return next((backup for backup in backups(folder) if _copied(backup.path, workplace)), None)


def copy_good(path: Path, workplace: Path) -> None:
    """Copy one backup into a directory as the file of a state, and examine the copy.

    Raises
    ------
    StateError
        It is damaged, not a state of cdsed, or of a newer cdsed.
    """
    target = workplace / FILE_NAME
    try:
        shutil.copyfile(path, target)
        target.chmod(0o640)
    except OSError as error:
        raise StateDiskError(f"the backup {path} cannot be copied to {workplace}: {error.strerror}") from error
    schema = examine(workplace)
    if not 0 < schema <= newest_schema():
        raise StateError(f"the backup {path} has schema {schema}, which this cdsed does not know")


def _copied(path: Path, workplace: Path) -> bool:
    try:
        copy_good(path, workplace)
    except StateDiskError:
        raise
    except StateError as error:
        _log.warning("the backup %s cannot be used: %s", path.name, error)
        return False
    return True


def _parsed(path: Path) -> Backup | None:
    match = _NAME.fullmatch(path.name)
    if match is None:
        return None
    made = datetime.strptime(match["at"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    return Backup(path, int(match["number"]), made.timestamp(), match["upgrade"] is not None)


def _expect_room(db: Database, folder: Path) -> None:
    """Refuse a backup that would leave less free space on its disk than the size of the copy."""
    needed = 2 * int(db.value("PRAGMA page_count")) * int(db.value("PRAGMA page_size"))
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise StateDiskError(
            f"no backup is made: {folder} has {free / 1e6:.0f} MB free, {needed / 1e6:.0f} MB are needed, and half of "
            "that stays free; set backup_dir to another disk"
        )


def _forget_surplus(folder: Path) -> None:
    """Keep the newest backups of each kind: regular ones, and those before an upgrade."""
    present = backups(folder)
    for kind, kept in ((False, KEPT), (True, _UPGRADES_KEPT)):
        for backup in [backup for backup in present if backup.before_upgrade is kind][kept:]:
            backup.path.unlink(missing_ok=True)
