"""How patient a supervisor is."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Times and counts of supervision; all times in seconds of CLOCK_BOOTTIME.

    Attributes
    ----------
    stop_within_s
        From TERM until a worker that has not left is killed.
    hung_after_s
        From a worker's last beat until it is killed.
    ready_within_s
        From the start of a worker until it is killed if it has not said ``ready``.
    well_after_s
        From its last start until a worker that crashed in a loop counts as well again.
    restart_first_s, restart_longest_s
        The pause before a dead worker is started again: the first one, doubled with each death in a row, and
        the longest. A worker that lived for a minute begins again.
    boot_failures_max
        Deaths in a row before ``ready`` after which the supervisor itself gives up.
    """

    stop_within_s: float
    hung_after_s: float
    ready_within_s: float = 300.0  # a worker waits a minute for a locked state, and then leaves by itself
    well_after_s: float = 300.0
    restart_first_s: float = 0.5
    restart_longest_s: float = 30.0
    boot_failures_max: int = 5

    def boot_takes_s(self) -> float:
        """Return how long it may take until every worker is ready, or the supervisor gives up."""
        return self.boot_failures_max * (self.ready_within_s + self.restart_longest_s)
