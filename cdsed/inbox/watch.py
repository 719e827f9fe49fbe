"""Wake the inbox scan when the inbox changes; only the scan decides what is taken, because events can be lost."""

import logging
from collections.abc import Callable
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
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

_log = logging.getLogger(__name__)

# Without "opened" and similar events: reading by cdsed itself must not wake the scan.
_EVENTS: list[type[FileSystemEvent]] = [
    DirCreatedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileMovedEvent,
]


class _Handler(FileSystemEventHandler):
    """Calls `wake` for events outside hidden directories; only cdsed writes in those."""

    def __init__(self, root: Path, wake: Callable[[], None]) -> None:
        self._root = root
        self._wake = wake

    def on_any_event(self, event: FileSystemEvent) -> None:
        paths = [Path(str(path)) for path in (event.src_path, event.dest_path) if path]
        if not all(self._is_hidden(path) for path in paths):
            self._wake()

    def _is_hidden(self, path: Path) -> bool:
        inside = path.is_relative_to(self._root)
        return inside and any(part.startswith(".") for part in path.relative_to(self._root).parts)


class InboxWatch:
    """Watches the inbox and its sub-directories, those created later included, while the context lasts.

    If inotify is refused (its limits are per user and small), this is logged once. The periodic scan finds the files
    a little later.

    Parameters
    ----------
    root
        The inbox; it must exist.
    wake
        Called from another thread, often more than once for one file.

    Attributes
    ----------
    refusal
        Why changes are not noticed; None while they are.
    """

    def __init__(self, root: Path, wake: Callable[[], None]) -> None:
        self._root = root
        self._wake = wake
        self._observer: BaseObserver | None = None
        self.refusal: str | None = None

    def __enter__(self) -> Self:
        try:
            self._observer = Observer()  # this may already be refused
            self._observer.schedule(
                _Handler(self._root, self._wake), str(self._root), recursive=True, event_filter=_EVENTS
            )
            self._observer.start()
        except OSError as error:
            self.refusal = f"changes in {self._root} are not noticed at once ({error}): it is scanned from time to time"
            _log.warning("%s", self.refusal)
        return self

    def __exit__(self, *_: object) -> None:
        if self._observer is not None and self._observer.is_alive():
            self._observer.stop()
            self._observer.join()
