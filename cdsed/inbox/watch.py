"""Notice at once what changes in the inbox; only the scan decides what is taken, because events can be lost."""

import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from cdsed.inotify import CLOSE_WRITE, CREATE, IS_DIR, MOVED_TO, Inotify

_log = logging.getLogger(__name__)

_EVENTS = CREATE | CLOSE_WRITE | MOVED_TO  # reading by cdsed itself causes none of them


@dataclass(frozen=True, slots=True)
class InboxChanges:
    """What has changed: whether anything did, and for each file whether it was moved in (else it was written)."""

    any: bool = False
    moved_in: Mapping[Path, bool] = field(default_factory=dict)


class InboxWatch:
    """Watches the inbox and its sub-directories, those made later included, while the context lasts.

    If inotify is refused (its limits are per user and small), this is logged once. The periodic scan finds the files
    a little later. It also finds those that another machine writes to a network disk: the kernel does not report them.

    Parameters
    ----------
    root
        The inbox; it must exist.

    Attributes
    ----------
    refusal
        Why changes are not noticed; None while they are.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._inotify: Inotify | None = None
        self._directories: dict[int, Path] = {}
        self.refusal: str | None = None

    def fileno(self) -> int:
        """Return the descriptor that is readable when something has changed; -1 while changes are not noticed."""
        return -1 if self._inotify is None else self._inotify.fileno()

    def read(self) -> InboxChanges:
        """Return what has changed since the last call; changes of hidden names do not count."""
        moved_in: dict[Path, bool] = {}
        found = False
        for event in self._inotify.read() if self._inotify is not None else []:
            directory = self._directories.get(event.watch)
            if directory is None or event.name.startswith("."):
                continue
            found = True
            path = directory / event.name
            if event.mask & IS_DIR:
                if directory == self._root:
                    with suppress(OSError):  # the limit is reached: the scan finds what is in it
                        self._watch(path)
            else:
                moved_in[path] = bool(event.mask & MOVED_TO)
        return InboxChanges(found, moved_in)

    def __enter__(self) -> Self:
        try:
            self._inotify = Inotify()
            self._directories[self._inotify.watch(self._root, _EVENTS)] = self._root
            for path in self._root.iterdir():
                if path.is_dir() and not path.name.startswith("."):
                    self._watch(path)
        except OSError as error:
            self.refusal = f"changes in {self._root} are not noticed at once ({error}): it is scanned from time to time"
            _log.warning("%s", self.refusal)
            if not self._directories:
                self.__exit__()
        return self

    def __exit__(self, *_: object) -> None:
        if self._inotify is not None:
            self._inotify.close()
            self._inotify = None

    def _watch(self, directory: Path) -> None:
        """Watch a sub-directory; the scan that follows finds what is in it already."""
        assert self._inotify is not None, "the root is watched"
        with suppress(FileNotFoundError, NotADirectoryError, PermissionError):  # it is gone, or not ours to read
            self._directories[self._inotify.watch(directory, _EVENTS)] = directory
