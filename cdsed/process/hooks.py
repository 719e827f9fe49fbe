"""The functions of the program that its supervisor calls."""

from collections.abc import Sequence
from typing import Protocol

from cdsed.errors import ExitCode
from cdsed.process.child import ChildSpec
from cdsed.process.exits import ChildExit


class Hooks(Protocol):
    """Functions that the main loop calls, so each must return quickly; an exception is logged and counted."""

    def on_tick(self) -> Sequence[ChildSpec] | None:
        """Do the periodic work; called once a second.

        Returns
        -------
        sequence of ChildSpec
            The children to keep running from now on, empty while all have to pause; None: no change.
        """

    def on_child_exit(self, name: str, pid: int, end: ChildExit) -> None:
        """Record the end of a child; it is collected, and not yet started again."""

    def on_reload(self) -> Sequence[ChildSpec] | None:
        """Return the children of the new configuration, which replace all others; None changes nothing.

        Raises
        ------
        ConfigError
            The new configuration has errors, and the old one stays in force.
        """

    def status_text(self) -> str:
        """Return in one line what the daemon does."""

    def finished(self) -> ExitCode | None:
        """Return the exit code when nothing is left to do, else None; called after each tick and each event."""

    def fileno(self) -> int:
        """Return the descriptor that is readable at an event after which all may be finished; -1 if there is none."""

    def take_event(self) -> None:
        """Read the event, so that the descriptor is not readable any more."""
