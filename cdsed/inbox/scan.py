"""Scan the inbox for files that are completely written."""

import errno
import fcntl
import logging
import math
import os
import pwd
import re
import signal
from collections.abc import Collection, Iterator, Mapping
from fnmatch import translate
from functools import cache
from pathlib import Path

from cdsed.clock import Clock
from cdsed.frozen import frozen

_log = logging.getLogger(__name__)

_OVERFLOW_UID = 65534  # user_namespaces(7)
_NAMED_MAX = 20  # unexpected entries that are logged by name in one scan
# How programs name files that they have not finished, locks and backups: transfer programs, browsers, editors, Office.
# fmt: off
_UNFINISHED = (
    ".*", "*~", "~$*", "#*#",
    "*.tmp", "*.temp", "*.part", "*.partial",
    "*.filepart", "*.crdownload", "*.download", "*.opdownload", "*.aria2", "*.!ut",
    "*.upload", "*.uploading", "*.incomplete", "*.unfinished", "*._copying_",
    "*.swp", "*.swo", "*.swx", "*.bak",
)
# fmt: on


@frozen
class DroppedFile:
    """A complete file in the inbox.

    Attributes
    ----------
    group
        The account group whose sub-directory it is in, or None.
    user
        Name of the owner of the file; None if this machine has no name for the owner.
    """

    path: Path
    group: str | None
    size_bytes: int
    user: str | None


@frozen
class _Sight:
    """A file as one scan saw it; it is stable while all fields but the time of the first scan stay the same."""

    inode: int
    size_bytes: int
    mtime_ns: int
    since_boot_s: float

    def same_as(self, other: "_Sight") -> bool:
        return (self.inode, self.size_bytes, self.mtime_ns) == (other.inode, other.size_bytes, other.mtime_ns)


class InboxScan:
    """Finds complete listings in the inbox and in its sub-directories named like account groups.

    A file is complete when no process has it open for writing and it has been stable for `stable_for_s`. A file that
    was seen to be moved in is complete at once, unless a process writes to it. One whose times say that it was renamed,
    or that was old when first seen, is complete at once if the kernel confirms that no process writes to it. Names of
    unfinished files, such as ``.*``, ``*~`` and ``*.part``, are ignored, see `is_ignored`.

    Parameters
    ----------
    root
        The inbox.
    groups
        Names of account groups.
    stable_for_s
        How long size and modification time must not change.
    ignored_names
        Patterns of further names that are ignored.
    """

    def __init__(
        self,
        root: Path,
        groups: Collection[str],
        stable_for_s: float,
        clock: Clock,
        ignored_names: Collection[str] = (),
    ) -> None:
        self._root = root
        self._groups = frozenset(groups)
        self._stable_for_s = stable_for_s
        self._clock = clock
        self._ignored_names = ignored_names
        self._sights: dict[Path, _Sight] = {}
        self._moved_in: set[Path] = set()
        self._pending = 0
        self._rested_s = math.inf
        self._unexpected: dict[Path, None] = {}
        self._users: dict[int, str | None] = {}

    def note(self, moved_in: Mapping[Path, bool]) -> None:
        """Note what was seen to happen to files: whether each was moved in, or else written in place."""
        for path, moved in moved_in.items():
            (self._moved_in.add if moved else self._moved_in.discard)(path)

    def complete(self) -> list[DroppedFile]:
        """Scan, and return the complete files, oldest first; it returns them again until they are moved away."""
        sights: dict[Path, _Sight] = {}
        found: list[tuple[int, DroppedFile]] = []
        unexpected: list[Path] = []
        self._users.clear()
        self._rested_s = math.inf
        for path, group in self._visible(unexpected):
            try:
                status = path.lstat()
            except FileNotFoundError:
                continue
            sights[path] = self._sight(path, status)
            if self._is_complete(path, status, sights[path]):
                dropped = DroppedFile(path, group, status.st_size, self._user(status.st_uid))
                found.append((status.st_mtime_ns, dropped))
        self._sights = sights
        self._moved_in &= sights.keys()
        self._pending = len(sights) - len(found)
        self._note(unexpected)
        return [dropped for _, dropped in sorted(found, key=lambda each: (each[0], each[1].path))]

    def pending(self) -> int:
        """Return how many listings the last scan saw that were not yet complete."""
        return self._pending

    def rested_s(self) -> float:
        """Return the boot-clock second at which the next pending file may be complete; infinity if no file rests."""
        return self._rested_s

    def unexpected(self) -> list[Path]:
        """Return what the last scan saw that cannot be a listing: other sub-directories, links, sockets."""
        return list(self._unexpected)

    def _visible(self, unexpected: list[Path]) -> Iterator[tuple[Path, str | None]]:
        """Yield files that may be listings; collect what is neither one nor a group's directory."""
        for entry in _entries(self._root, self._ignored_names):
            path = Path(entry.path)
            if entry.is_dir(follow_symlinks=False) and entry.name in self._groups:
                yield from self._group_files(path, unexpected)
            elif entry.is_file(follow_symlinks=False):
                yield path, None
            else:
                unexpected.append(path)

    def _group_files(self, directory: Path, unexpected: list[Path]) -> Iterator[tuple[Path, str | None]]:
        try:
            entries = _entries(directory, self._ignored_names)
        except FileNotFoundError:
            return  # its owner has just removed it
        except PermissionError:
            unexpected.append(directory)
            return
        for entry in entries:
            if entry.is_file(follow_symlinks=False):
                yield Path(entry.path), directory.name
            else:
                unexpected.append(Path(entry.path))

    def _sight(self, path: Path, status: os.stat_result) -> _Sight:
        sight = _Sight(status.st_ino, status.st_size, status.st_mtime_ns, self._clock.boot_s())
        before = self._sights.get(path)
        return before if before and before.same_as(sight) else sight

    def _is_complete(self, path: Path, status: os.stat_result, sight: _Sight) -> bool:
        rested = self._clock.boot_s() - sight.since_boot_s >= self._stable_for_s
        moved_in = path in self._moved_in and status.st_size > 0
        # Writing sets both times to the same instant; renaming, or `cp -p` at its end, only ctime. It may not show: the
        # clock of files ticks only every few milliseconds.
        renamed = status.st_ctime_ns > status.st_mtime_ns and status.st_size > 0
        old = self._clock.utc_s() - status.st_mtime > self._stable_for_s
        if not rested:
            self._rested_s = min(self._rested_s, sight.since_boot_s + self._stable_for_s)
        if not (rested or moved_in or renamed or old):
            return False
        written = _is_being_written(path)
        return written is False or ((rested or moved_in) and written is None)

    def _user(self, uid: int) -> str | None:
        if uid not in self._users:  # for 100 000 files, the look-up takes longer than the rest of the scan
            self._users[uid] = user_name(uid)
        return self._users[uid]

    def _note(self, unexpected: list[Path]) -> None:
        new = [path for path in unexpected if path not in self._unexpected]
        for path in new[:_NAMED_MAX]:
            _log.warning(
                "%s is ignored: it is not a file, and not a readable directory of an account group (%s)",
                shown(path),
                ", ".join(sorted(self._groups)) or "there are none",
            )
        if len(new) > _NAMED_MAX:
            _log.warning("%d more in %s are ignored for the same reason", len(new) - _NAMED_MAX, self._root)
        self._unexpected = dict.fromkeys(unexpected)


def is_ignored(name: str, more: Collection[str] = ()) -> bool:
    """Tell whether files of this name are never taken: hidden and unfinished ones, whatever the case of the letters.

    Parameters
    ----------
    more
        Patterns of further names, from the settings.
    """
    return _pattern(tuple(more)).match(name) is not None


@cache
def _pattern(more: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(map(translate, (*_UNFINISHED, *more))), re.IGNORECASE)


def _entries(directory: Path, ignored_names: Collection[str]) -> list[os.DirEntry[str]]:
    """List the entries whose names are not ignored."""
    with os.scandir(directory) as entries:
        return [entry for entry in entries if not is_ignored(entry.name, ignored_names)]


def _is_being_written(path: Path) -> bool | None:
    """Ask the kernel whether a process has a file open for writing; None if it cannot tell.

    A read lease (fcntl(2), F_SETLEASE) is granted only if no process has. Only the owner of the file may ask, and
    network file systems refuse.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        # If the file is opened for writing meanwhile, the kernel sends a signal: choose one that is ignored by default.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return True if error.errno == errno.EAGAIN else None
    else:
        return False
    finally:
        os.close(descriptor)


def shown(path: Path) -> str:
    """Return a path in a form that is safe in a log line, whatever characters its name has."""
    return ascii(str(path))[1:-1]


def user_name(uid: int) -> str | None:
    """Return the name of a user; None if this machine has no name for the uid."""
    if uid == _OVERFLOW_UID:  # an owner that PrivateUsers= of systemd hides
        return None
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return None
