"""The time limits of a supervisor."""

from cdsed.frozen import frozen


@frozen
class Limits:
    """Times and counts of supervision; all times in seconds of CLOCK_BOOTTIME.

    Attributes
    ----------
    stop_within_s
        From SIGTERM until a worker that has not left is killed.
    hung_after_s
        From the last heartbeat of a worker until it is killed.
    ready_within_s
        From the start of a worker until it is killed if it has not sent ``ready``.
    well_after_s
        From its last start until a worker that crashed in a loop counts as well again.
    restart_first_s, restart_longest_s
        The back-off before a dead worker is started again: the first pause, doubled with each death in a row, and the
        longest. A worker that ran for a minute starts again at the first pause.
    boot_failures_max
        Number of deaths in a row before ``ready`` after which the supervisor itself gives up.
    """

    stop_within_s: float
    hung_after_s: float
    ready_within_s: float = 300.0  # longer than the minute that a worker waits for a locked state before it leaves
    well_after_s: float = 300.0
    restart_first_s: float = 0.5
    restart_longest_s: float = 30.0
    boot_failures_max: int = 5

    def boot_takes_s(self) -> float:
        """Return the longest time until every worker is ready or the supervisor gives up."""
        return self.boot_failures_max * (self.ready_within_s + self.restart_longest_s)
