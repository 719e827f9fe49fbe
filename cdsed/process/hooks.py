"""What a supervisor asks of, and tells, the program it belongs to."""

from collections.abc import Sequence
from typing import Protocol

from cdsed.errors import ExitCode
from cdsed.process.child import ChildSpec
from cdsed.process.exits import ChildExit


class Hooks(Protocol):
    """Functions the main loop calls, so each returns quickly; what one raises is logged and counted."""

    def on_tick(self) -> Sequence[ChildSpec] | None:
        """Do the periodic work; called once a second.

        Returns
        -------
        sequence of ChildSpec
            The children that shall be there from now on, none of them while they have to rest; None: no change.
        """

    def on_child_exit(self, name: str, pid: int, end: ChildExit) -> None:
        """Learn that a child has ended; it is collected, and not yet started again."""

    def on_reload(self) -> Sequence[ChildSpec] | None:
        """Return the children of the new configuration, all to be replaced; None keeps everything as it is.

        Raises
        ------
        ConfigError
            The new configuration is bad, and the old one stays.
        """

    def status_text(self) -> str:
        """Return in one line of words what the daemon is doing."""

    def finished(self) -> ExitCode | None:
        """Return the exit code to leave with when there is nothing left to do; asked after each tick."""
