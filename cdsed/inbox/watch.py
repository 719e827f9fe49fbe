"""Notice at once what changes in the inbox; only the scan decides what is taken, because events can be lost."""

import logging
import os
import threading
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Self

from watchdog.events import (
    DirCreatedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers.inotify import InotifyObserver

from cdsed.frozen import frozen

_log = logging.getLogger(__name__)

# Without "opened" and similar events: reading by cdsed itself must not wake the scan.
_EVENTS: list[type[FileSystemEvent]] = [
    DirCreatedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileMovedEvent,
]


@frozen
class InboxChanges:
    """What has changed: whether anything did, and for each file whether it was moved in (else it was written)."""

    any: bool = False
    moved_in: Mapping[Path, bool] = field(default_factory=dict)


class InboxWatch(FileSystemEventHandler):
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
        self._observer: InotifyObserver | None = None
        self._readable_fd = -1
        self._lock = threading.Lock()
        self._changes = InboxChanges()
        self.refusal: str | None = None

    def fileno(self) -> int:
        """Return the descriptor that is readable when something has changed; -1 while changes are not noticed."""
        return self._readable_fd

    def read(self) -> InboxChanges:
        """Return what has changed since the last call; changes of hidden names do not count."""
        with self._lock:
            changes, self._changes = self._changes, InboxChanges()
            if changes.any:
                os.eventfd_read(self._readable_fd)
        return changes

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Note what the observer saw, in its thread."""
        moved = isinstance(event, FileMovedEvent | DirMovedEvent)
        path = Path(os.fsdecode(event.dest_path if moved else event.src_path))
        if path == Path() or self._is_hidden(path):  # it left the inbox, or only cdsed writes there
            return
        with self._lock:
            if not self._changes.any:
                os.eventfd_write(self._readable_fd, 1)
            files = {} if event.is_directory else {path: moved}
            self._changes = InboxChanges(True, {**self._changes.moved_in, **files})

    def __enter__(self) -> Self:
        try:
            self._readable_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
            # "full": a file that comes from elsewhere was moved, not created. Both may already be refused.
            self._observer = InotifyObserver(generate_full_events=True)
            self._observer.schedule(self, str(self._root), recursive=True, event_filter=_EVENTS)
            self._observer.start()
        except OSError as error:
            self.refusal = f"changes in {self._root} are not noticed at once ({error}): it is scanned from time to time"
            _log.warning("%s", self.refusal)
            self.__exit__()
        return self

    def __exit__(self, *_: object) -> None:
        if self._observer is not None:
            self._observer.stop()
            if self._observer.is_alive():
                self._observer.join()
            self._observer = None
        if self._readable_fd >= 0:
            os.close(self._readable_fd)
            self._readable_fd = -1

    def _is_hidden(self, path: Path) -> bool:
        inside = path.is_relative_to(self._root)
        return inside and any(part.startswith(".") for part in path.relative_to(self._root).parts)
