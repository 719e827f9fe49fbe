"""How many jobs there should be: rules without I/O. A job is the worker of a batch system, with a number of holders."""

import math
from collections.abc import Sequence

from cdsed.frozen import frozen

_FIRST_DELAY_S, _LONGEST_DELAY_S = 10.0, 600.0


@frozen
class JobView:
    """A job as the rules see it.

    Attributes
    ----------
    runs
        Whether its worker has come; else it waits in the queue of the batch system.
    taken
        How many of its holders have a lease.
    leaving
        Whether its holders get no further lease.
    """

    name: str
    runs: bool
    taken: int = 0
    leaving: bool = False


@frozen
class JobSteps:
    """What to do: submit so many jobs, and let these end."""

    submit: int = 0
    end: tuple[str, ...] = ()


class JobRules:
    """Decides how many jobs to submit, and which to end.

    Parameters
    ----------
    holders
        Of each job.
    jobs_max
        So many jobs at most, those that are leaving included.
    idle_s
        How long more jobs than needed are kept.
    """

    def __init__(self, holders: int, jobs_max: int, idle_s: float) -> None:
        self._holders = holders
        self._jobs_max = jobs_max
        self._idle_s = idle_s
        self._surplus_since_s: float | None = None
        self._failures = 0
        self._not_before_s = 0.0

    def failed(self, now_s: float) -> float:
        """Note that a job could not be submitted, or ended before its worker was of use; return the delay.

        Jobs that were submitted together fail together: that counts as one failure.
        """
        if now_s < self._not_before_s:
            return self._not_before_s - now_s
        delay_s = float(min(_FIRST_DELAY_S * 2**self._failures, _LONGEST_DELAY_S))
        self._failures += 1
        self._not_before_s = now_s + delay_s
        return delay_s

    def worked(self) -> None:
        """Note that a worker can be used: the next failure is the first one."""
        self._failures = 0

    def look(self, now_s: float, sessions: int, jobs: Sequence[JobView]) -> JobSteps:
        """Return what to do.

        Parameters
        ----------
        sessions
            How many have work: those that are leased, and those that could be.
        """
        needed = min(math.ceil(sessions / self._holders), self._jobs_max)
        staying = [job for job in jobs if not job.leaving]
        if len(staying) <= needed:
            self._surplus_since_s = None
            more = min(needed - len(staying), self._jobs_max - len(jobs))
            return JobSteps(submit=max(0, more) if now_s >= self._not_before_s else 0)
        if self._surplus_since_s is None:
            self._surplus_since_s = now_s
        if now_s - self._surplus_since_s < self._idle_s:
            return JobSteps()
        # Those that wait in the queue first, then those with the least work.
        staying.sort(key=lambda job: (job.runs, job.taken, job.name))
        return JobSteps(end=tuple(job.name for job in staying[: len(staying) - needed]))
