"""Wake other processes when one has committed: a file that each opens after its commits, and that others watch.

SQLite itself can only be asked again and again whether another connection has committed. Opening a file for reading
changes nothing on the disk, and inotify(7) reports it.
"""

import logging
import os
from pathlib import Path

from cdsed.inotify import CLOSE_NOWRITE, DELETE, MOVE_SELF, MOVED_FROM, MOVED_TO, Inotify
from cdsed.store.wake import WAKE_NAME

_log = logging.getLogger(__name__)


class CommitWatch:
    """Watches for commits to the state, of this process too; if inotify is refused, nothing is noticed.

    Parameters
    ----------
    state_dir
        The directory of the state.
    files
        Whether to notice, too, that a file of the state is deleted or replaced.
    """

    def __init__(self, state_dir: Path, *, files: bool = False) -> None:
        path = state_dir / WAKE_NAME
        self._inotify: Inotify | None = None
        try:
            os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644))
            self._inotify = Inotify()
            self._inotify.watch(path, CLOSE_NOWRITE)
            if files:
                self._inotify.watch(state_dir, DELETE | MOVED_FROM | MOVED_TO | MOVE_SELF)
        except OSError as error:
            self.close()
            _log.debug("commits of other processes are noticed only from time to time: %s", error)

    def fileno(self) -> int:
        """Return the descriptor that is readable after a commit; -1 if none is noticed."""
        return -1 if self._inotify is None else self._inotify.fileno()

    def read(self) -> bool:
        """Tell whether there was a commit since the last call."""
        return self._inotify is not None and self._inotify.drain()

    def close(self) -> None:
        """End the watch."""
        if self._inotify is not None:
            self._inotify.close()
            self._inotify = None
