"""Keeps as many jobs of a batch system as the work needs, and lets those that are not needed end in order."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cdsed.clock import Clock
from cdsed.config.engine_settings import EngineSettings
from cdsed.engine.dask_link import DaskLink
from cdsed.engine.job_rules import JobRules, JobView
from cdsed.engine.known_pilots import NO_PILOT, KnownPilots
from cdsed.engine.seats import Seats
from cdsed.engine.wire import Leave, encode

_log = logging.getLogger(__name__)

_NOT_NEEDED = "its job is not needed any more"
_PENDING_SAID_S = 60.0
_LEAVES_WITHIN_S = 120.0  # a directory that hangs may keep a pilot from its end
_WHOLE_LIFE = 0.25  # a job that has ended after a smaller part of its life has failed


@dataclass(slots=True)
class _Life:
    """Of a job: since when its pilot is there, gets no connection, should end; whether it could ever have one."""

    since_s: float | None = None
    unused_s: float | None = None
    ends_s: float | None = None
    was_useful: bool = False


class JobKeeper:
    """Submits and ends jobs.

    Parameters
    ----------
    wanted
        Returns how many sessions could be leased for the work that there is, besides those that are leased.
    """

    def __init__(
        self,
        link: DaskLink,
        seats: Seats,
        pilots: KnownPilots,
        clock: Clock,
        engine: EngineSettings,
        wanted: Callable[[], int],
    ) -> None:
        assert link.jobs is not None, "only a link that has jobs needs a keeper"
        assert engine.jobqueue is not None, "the link has jobs because of it"
        self.link, self._seats, self._pilots, self._clock = link, seats, pilots, clock
        self._jobs = link.jobs
        self._settings = queue = engine.jobqueue
        self._wanted = wanted
        self._rules = JobRules(engine.holders_per_worker, queue.jobs_max, queue.idle_s)
        self._failure: str | None = None
        self._lives: dict[str, _Life] = {}  # by the name of the job
        self._leaving: set[str] = set()  # jobs

    def look(self, problem: str | None) -> str | None:
        """Follow the work: call it every second or so, in the thread of the seats.

        Parameters
        ----------
        problem
            What a user should know of the pilots.

        Returns
        -------
        str or None
            What a user should know.
        """
        now_s = self._clock.boot_s()
        pilots = self._pilot_of_jobs()
        self._note_failures(now_s)
        self._note_lives(pilots, now_s)
        self._let_go_useless(pilots, now_s)
        taken = self._seats.taken()
        views = [
            JobView(
                name,
                runs=name in pilots,
                taken=taken[pilots.get(name, "")],
                leaving=name in self._leaving,
            )
            for name in self._lives
        ]
        steps = self._rules.look(now_s, self._wanted() + taken.total(), views)
        for _ in range(steps.submit):
            self._jobs.submit(now_s)
        for name in steps.end:
            if name in pilots:
                self._let_go(name, pilots[name])
            else:
                self._end(name)
        for name in list(self._lives):
            pilot = pilots.get(name)
            if pilot is not None and name in self._leaving and not taken[pilot]:
                self.link.send(pilot, [encode(Leave(pilot, _NOT_NEEDED))])
                self._end_late(name, now_s)
            elif pilot is None and self._lives[name].since_s is not None:
                self._end_late(name, now_s)
            else:
                self._lives[name].ends_s = None
        return self._problem(pilots, problem, now_s)

    def _pilot_of_jobs(self) -> dict[str, str]:
        """Return the pilot of each job that has one."""
        workers = {each.mark: each.worker for each in self.link.pilots}
        found = {}
        for pilot in self._pilots.nodes:
            worker = workers.get(pilot.partition("-")[0])
            if worker is None:  # its task has ended
                self._pilots.let_leave(pilot)
            elif self._jobs.has(worker):
                found[worker] = pilot
        return found

    def _note_failures(self, now_s: float) -> None:
        for name, why in self._jobs.failed().items():
            self._lives.pop(name, None)
            self._fail(f"a job could not be submitted: {why}", now_s)

    def _note_lives(self, pilots: dict[str, str], now_s: float) -> None:
        """Note which jobs have begun, and which have ended: too early, that is a failure."""
        jobs = {job.name: job.since_s for job in self._jobs.jobs}
        for name, life in list(self._lives.items()):
            if name not in jobs:
                del self._lives[name]
                early = life.since_s is None or now_s - life.since_s < _WHOLE_LIFE * self._settings.lives_s
                if early and name not in self._leaving:
                    self._fail(f"the worker of job {name} has ended early; see its log", now_s)
                self._leaving.discard(name)
        for name, submitted_s in jobs.items():
            life = self._lives.setdefault(name, _Life())
            if life.since_s is None and name in pilots:
                life.since_s = now_s
            elif life.since_s is None and now_s - submitted_s > self._settings.pending_max_s:
                _log.warning("the worker of job %s has not come in %.0f s", name, self._settings.pending_max_s)
                self._end(name)

    def _let_go_useless(self, pilots: Mapping[str, str], now_s: float) -> None:
        """Let go of jobs whose holders get no session, for these keep others from being submitted.

        A drained machine is free for the batch system as soon as its job has ended, and may get the next one: a job
        that was never of use has failed. Files that a machine does not see may be seen soon, after a server has hung.
        """
        machines = self._seats.machines
        for name in pilots.keys() & (self._lives.keys() - self._leaving):
            life, pilot = self._lives[name], pilots[name]
            why = machines.why_unused(pilot)
            if why is None:
                life.unused_s = None
                if not life.was_useful and machines.sees_files(pilot):
                    life.was_useful, self._failure = True, None
                    self._rules.worked()
                continue
            life.unused_s = now_s if life.unused_s is None else life.unused_s
            if machines.is_drained(machines.nodes[pilot]) or now_s - life.unused_s >= self._settings.idle_s:
                self._let_go(name, pilot)
                if life.was_useful:
                    _log.warning("job %s is not used any more: %s", name, why)
                else:
                    self._fail(f"job {name} is of no use: {why}", now_s)

    def _let_go(self, name: str, pilot: str) -> None:
        """Give its holders no further lease; it ends after those that they have."""
        self._leaving.add(name)
        self._pilots.let_leave(pilot)

    def _fail(self, why: str, now_s: float) -> None:
        delay_s = self._rules.failed(now_s)
        _log.error("%s; the next one is submitted in %.0f s", why, delay_s)
        self._failure = why

    def _end_late(self, name: str, now_s: float) -> None:
        """End a job whose pilot is silent, or has not left within a while."""
        life = self._lives[name]
        life.ends_s = now_s if life.ends_s is None else life.ends_s
        if now_s - life.ends_s <= _LEAVES_WITHIN_S:
            return
        if name in self._leaving:
            _log.warning("the worker of job %s does not leave", name)
        else:
            self._fail(f"the worker of job {name} is silent", now_s)
        self._end(name)

    def _end(self, name: str) -> None:
        self._lives.pop(name, None)
        self._leaving.discard(name)
        self._jobs.end(name)

    def _problem(self, pilots: dict[str, str], problem: str | None, now_s: float) -> str | None:
        if self._failure is not None:
            return self._failure
        if problem != NO_PILOT:
            return problem
        waiting = [job for job in self._jobs.jobs if job.name not in pilots]
        if not waiting or now_s - min(job.since_s for job in waiting) < _PENDING_SAID_S:
            return None
        return f"{len(waiting)} jobs were submitted to {self._settings.system}, and no worker has come yet"
