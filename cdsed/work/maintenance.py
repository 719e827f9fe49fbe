"""Maintenance of the state while the daemon runs: daily backups, reserved disk space, and checks of its file."""

import logging
import threading
from collections.abc import Callable
from contextlib import suppress

from cdsed.clock import Clock
from cdsed.config.settings import Settings
from cdsed.errors import ExitCode, StateDamaged, StateDiskError, StateError
from cdsed.logevent import LogEvent, about
from cdsed.store import backup, notices
from cdsed.store.database import Database, join_state
from cdsed.store.reserve import Reserve

_DAY_S = 86_400.0
_LOOK_EVERY_S = 3_600.0  # SQLite's quick_check reads 1 GB in about 2 s
_AFTER_FAILURE_S = 3_600.0
_TRY_AGAIN_S = 10.0
_SAY_AGAIN_S = 600.0

_log = logging.getLogger(__name__)


class Maintenance:
    """What the daemon does for its state.

    The schedule calls `look`, `look_through_when_due` and `back_up_when_due`. The supervisor's thread calls `pause`
    and `damaged`.

    Parameters
    ----------
    db
        The daemon's own connection.

    Attributes
    ----------
    paused
        Whether the workers are paused.
    """

    def __init__(self, db: Database, settings: Settings, clock: Clock) -> None:
        self._db = db
        self._settings = settings
        self._clock = clock
        self._reserve = Reserve(settings.state_dir)
        self._damage: str | None = None
        self._disk_error: str | None = None
        self.paused = False
        self._try_at_s = 0.0
        self._said: dict[str, tuple[str, float]] = {}
        self._backup_at_s = clock.boot_s() + self._until_due_s()
        self._look_at_s = clock.boot_s() + _LOOK_EVERY_S  # the start has just checked it
        self._backup: threading.Thread | None = None
        self._copying: Database | None = None
        self._ending = False

    @property
    def damaged(self) -> bool:
        """Whether the state is known to be damaged or gone, so that only a new start helps."""
        return self._damage is not None

    def look(self) -> None:
        """Check that the state's file is still where it was opened.

        Raises
        ------
        StateDamaged
            The file was deleted or replaced.
        """
        if not self._db.is_in_place():
            raise StateDamaged(f"the state in {self._settings.state_dir} was deleted or replaced while the daemon ran")

    def take_note(self, what: str, error: BaseException) -> None:
        """Log what the daemon could not do and why; remember it too if the state or its disk is at fault."""
        if isinstance(error, StateDamaged):
            self._damage = str(error)
        elif isinstance(error, StateDiskError):
            self._disk_error = str(error)
        text, said_s = self._said.get(what, ("", 0.0))
        if text != str(error) or self._clock.boot_s() >= said_s + _SAY_AGAIN_S:
            self._said[what] = (str(error), self._clock.boot_s())
            _log.error("the daemon could not %s: %s", what, error)

    def take_note_of_exit(self, name: str, code: int | None) -> None:
        """Remember that a worker exited because of the state or its disk."""
        if code == ExitCode.DAMAGED:
            self._damage = self._damage or f"{name} found the state damaged"
        elif code == ExitCode.STATE_DISK:
            self._disk_error = self._disk_error or f"{name} could not write to the state"

    def pause(self) -> bool | None:
        """Tell whether to pause the workers (True), to let them continue (False), or to change nothing (None)."""
        now_s = self._clock.boot_s()
        if self._disk_error is not None and not self.paused:
            self._reserve.give_up()
            _log.error(
                "%s; the workers pause until the state can be written and 32 MiB are free",
                self._disk_error,
                extra=about(LogEvent.STATE_DISK_FULL, disk=self._settings.state_dir),
            )
            self.paused, self._try_at_s = True, now_s + _TRY_AGAIN_S
            return True
        if now_s < self._try_at_s:
            return None
        self._try_at_s = now_s + _TRY_AGAIN_S
        room = self._reserve.make()
        if self.paused and room:
            extra = about(LogEvent.STATE_DISK_BACK, disk=self._settings.state_dir)
            _log.info("the disk of the state has free space again: the workers continue", extra=extra)
            self.paused, self._disk_error = False, None
            return False
        return None

    def back_up_when_due(self) -> None:
        """Begin the daily backup, in a thread and on a connection of its own: a large one takes a while."""
        if self._idle() and not self.paused and self._clock.boot_s() >= self._backup_at_s:
            self._backup_at_s = self._clock.boot_s() + _AFTER_FAILURE_S  # unless it succeeds
            self._begin(self._back_up, "backup")

    def look_through_when_due(self) -> None:
        """Start a check of the state's whole file: damage in a page that is rarely read would be noticed too late.

        It runs in a thread on a read-only connection of its own, so it blocks no worker.
        """
        if self._idle() and self._clock.boot_s() >= self._look_at_s:
            self._look_at_s = self._clock.boot_s() + _LOOK_EVERY_S
            self._begin(self._look_through, "look through")

    def end(self) -> None:
        """Stop a backup that is being made. If the state was deleted, save it from the file that is still open."""
        self._ending = True
        copying = self._copying
        if copying is not None:
            copying.interrupt()
        if self._backup is not None:
            self._backup.join()
        if self._damage is not None and self._db.is_in_place():
            with suppress(StateError):  # perhaps the state cannot be written
                notices.note(self._db, self._clock, notices.DAMAGED, f"{self._damage}; the next start recovers it")
        if self._damage is not None and not self._db.is_in_place():
            with suppress(StateError):
                saved = backup.back_up(self._db, self._settings.backups_dir, self._clock)
                _log.info("the deleted state, which the daemon still had open, is saved in %s", saved.path)

    def _idle(self) -> bool:
        """Tell whether neither a backup nor a check reads the state now."""
        if self._backup is not None and not self._backup.is_alive():
            self._backup = None
        return self._backup is None

    def _begin(self, what: Callable[[], None], name: str) -> None:
        self._backup = threading.Thread(target=what, name=name)
        self._backup.start()

    def _look_through(self) -> None:
        try:
            self._copying = join_state(self._settings.state_dir)
            try:
                problems = self._copying.problems()
            finally:
                copying, self._copying = self._copying, None
                copying.close()
        except StateDamaged as error:
            problems = [str(error)]
        except StateError as error:
            problems = []
            if not self._ending:
                _log.warning("the state could not be checked for damage; the next check is in an hour: %s", error)
        if problems:
            found = StateDamaged(f"the state was found damaged: {'; '.join(problems)}")
            self.take_note("look through the state", found)

    def _until_due_s(self) -> float:
        made = backup.backups(self._settings.backups_dir)
        age_s = self._clock.utc_s() - made[0].made_at if made else _DAY_S
        return _DAY_S - age_s if 0 <= age_s < _DAY_S else 0.0  # a backup from the future: the clock was set back

    def _back_up(self) -> None:
        try:
            self._copying = join_state(self._settings.state_dir)
            try:
                made = backup.back_up(self._copying, self._settings.backups_dir, self._clock)
            finally:
                copying, self._copying = self._copying, None
                copying.close()
        except StateDamaged as error:
            self.take_note("back up the state", error)
        except StateError as error:  # backups may be on another disk than the state: the workers need not pause
            if not self._ending:
                _log.warning("the daily backup failed; it is retried in an hour: %s", error)
        else:
            self._backup_at_s = self._clock.boot_s() + _DAY_S
            _log.info("the state is backed up: %s", made.path)
