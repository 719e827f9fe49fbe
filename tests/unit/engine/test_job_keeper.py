"""Which jobs are kept: one whose holders may get no session is let go, and never replaced without end."""

from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from cdsed._version import __version__
from cdsed.config.engine_settings import EngineSettings
from cdsed.config.job_queue import JobQueueSettings
from cdsed.engine.known_machines import KnownMachines
from cdsed.engine.known_pilots import KnownPilots
from cdsed.engine.lasting_link import LastingLink
from cdsed.engine.probes import answer
from cdsed.engine.seat import Seat
from cdsed.engine.seats import Seats
from cdsed.engine.wire import Leave, LookFor, MarkerSeen, PilotHere, Probed, Want, decode, encode
from tests.support.daemon import wait_until
from tests.support.state import SetClock

pytest.importorskip("dask_jobqueue", reason="cdsed[dask] is not installed")

from cdsed.engine.dask_jobs import DaskJobs, SubmittedJob
from cdsed.engine.dask_link import DaskLink, PilotTask
from cdsed.engine.job_keeper import JobKeeper

_IDLE_S = 300


class _Jobs(DaskJobs):
    """A batch system that takes each job."""

    def __init__(self) -> None:
        self._jobs = {}
        self.submitted = 0

    def submit(self, now_s: float) -> None:
        self.submitted += 1
        name = f"job{self.submitted}"
        self._jobs[name] = SubmittedJob(name, None, Future(), now_s)

    def end(self, name: str) -> "Future[Any]":
        del self._jobs[name]
        return Future()


class _Link(DaskLink):
    """Workers whose pilots leave as asked; those on blind machines do not see the files."""

    def __init__(self, clock: SetClock) -> None:
        self.jobs = self.queue = _Jobs()
        self._clock = clock
        self._pilots: dict[str, PilotTask] = {}
        self.blind: set[str] = set()
        self.nodes: dict[str, str] = {}
        self.probed: list[str] = []
        self.stuck = False  # so that none leaves

    def tend(self) -> None: ...

    def close(self) -> None: ...

    def receive(self, timeout_s: float) -> Sequence[str]:  # noqa: ARG002
        lines, self.probed = self.probed, []
        return lines

    def begin(self, job: str, node: str) -> str:
        """Start the worker of a job, and its pilot; return the pilot's name."""
        self._pilots[job] = PilotTask(None, job, job, self._clock.boot_s())
        self.nodes[f"{job}-x"] = node
        return f"{job}-x"

    def send(self, pilot: str, lines: Sequence[str]) -> None:
        for message in map(decode, lines):
            if isinstance(message, LookFor) and (node := self.nodes.get(pilot)) is not None:
                unseen = tuple(MarkerSeen(None, "") for _ in message.markers)
                probed = Probed(pilot, message.name, unseen) if node in self.blind else answer(message)
                self.probed.append(encode(probed))
            elif isinstance(message, Leave) and pilot in self.nodes and not self.stuck:
                job = pilot.partition("-")[0]
                del self._pilots[job], self.nodes[pilot]
                self.queue.end(job)


class _Cluster:
    """The keeper of one job with two holders, and what it looks after."""

    def __init__(self, place: Path) -> None:
        self.clock = clock = SetClock()
        queue = JobQueueSettings(system="local", jobs_max=1, idle_s=_IDLE_S)
        engine = EngineSettings(holders_per_worker=2).model_copy(update={"jobqueue": queue})
        self.link = _Link(clock)
        self.jobs = self.link.queue
        self.drained: set[str] = set()
        pilots = KnownPilots(60.0, clock.boot_s())
        lasting = LastingLink(lambda: self.link)
        lasting.tend()
        machines = KnownMachines(lasting, engine, pilots, lambda _: frozenset(self.drained), [place])
        self.seats = Seats(lasting, engine, clock, lambda: None, machines)
        self.keeper = JobKeeper(self.link, self.seats, pilots, clock, engine, lambda: 2)

    def look(self, seconds: float = 1.0) -> str | None:
        """Let time pass; return what a user should know."""
        self.clock.pass_s(seconds)
        here = [encode(PilotHere(pilot, node, __version__)) for pilot, node in self.link.nodes.items()]
        self.seats.hear(*here, *self.link.receive(0))
        self.seats.machines.look([], self.clock.boot_s())
        return self.keeper.look(None)

    def begin(self, node: str) -> str:
        """Let the batch system begin the job that waits; return its pilot when its files were looked for."""
        [job] = self.jobs.jobs
        pilot = self.link.begin(job.name, node)
        self.seats.hear(encode(PilotHere(pilot, node, __version__)))

        def measured() -> bool:
            self.seats.hear(*self.link.receive(0))
            self.seats.machines.look([], self.clock.boot_s())
            return self.seats.machines.sees_files(pilot) or self.seats.machines.why_unused(pilot) is not None

        wait_until("it is measured", measured)
        return pilot

    def work(self, pilot: str) -> Seat:
        """Let a holder of a pilot be taken."""
        self.seats.hear(encode(Want(f"{pilot}.1", int(self.clock.boot_s()), 0)))
        seat = self.seats.take()
        assert seat is not None
        return seat

    def submits_after(self, longest_s: int) -> int:
        """Return how many seconds later the next job is submitted."""
        before = self.jobs.submitted
        for seconds in range(1, longest_s):
            self.look()
            if self.jobs.submitted > before:
                return seconds
        raise AssertionError(f"none was submitted in {longest_s} s")


@pytest.fixture
def cluster(tmp_path: Path) -> _Cluster:
    cluster = _Cluster(tmp_path)
    cluster.look()
    assert cluster.jobs.submitted == 1
    return cluster


def test_a_job_on_a_drained_machine_ends_after_its_leases_and_another_takes_its_place(cluster):
    pilot = cluster.begin("node7")
    assert cluster.look() is None
    seat = cluster.work(pilot)
    cluster.drained.add("node7")
    for _ in range(5):
        cluster.look()
    assert (len(cluster.jobs.jobs), cluster.jobs.submitted) == (1, 1)
    seat.taken = False
    assert cluster.submits_after(5) <= 3
    cluster.begin("node8")
    assert cluster.look() is None


def test_a_drained_machine_that_gets_each_new_job_does_so_more_and_more_rarely(cluster):
    cluster.begin("node7")
    cluster.look()
    cluster.drained.add("node7")
    cluster.submits_after(5)
    waited_s = []
    for _ in range(8):
        cluster.begin("node7")
        said = cluster.look()
        assert said is not None
        assert "node7 is drained; tell the batch system, too" in said
        waited_s.append(cluster.submits_after(700))
    assert waited_s == [10, 20, 40, 80, 160, 320, 600, 600]
    cluster.begin("node8")
    assert cluster.look() is None


def test_a_job_that_does_not_see_the_files_is_let_go_after_a_while_and_replaced_more_and_more_rarely(cluster):
    cluster.link.blind.add("node7")
    waited_s = []
    for _ in range(3):
        cluster.begin("node7")
        cluster.look()
        cluster.look(_IDLE_S - 2)
        assert len(cluster.jobs.jobs) == 1
        said = cluster.look(2)
        assert said is not None
        assert "node7 does not see what the daemon writes" in said
        waited_s.append(cluster.submits_after(700))
    assert waited_s == [10, 20, 40]


def test_a_server_that_hangs_for_a_while_costs_no_job(cluster):
    cluster.link.blind.add("node7")
    pilot = cluster.begin("node7")
    cluster.look(100)
    cluster.link.blind.clear()

    def sees() -> bool:
        cluster.look()
        return cluster.seats.machines.sees_files(pilot)

    wait_until("it is asked again", sees)
    cluster.look(_IDLE_S)
    assert (len(cluster.jobs.jobs), cluster.jobs.submitted) == (1, 1)


def test_a_job_whose_worker_cannot_leave_is_cancelled(cluster):
    cluster.begin("node7")
    cluster.look()
    cluster.link.stuck = True
    cluster.drained.add("node7")
    assert 110 < cluster.submits_after(200) < 130


def test_a_job_whose_pilot_is_silent_for_minutes_is_cancelled_and_one_that_speaks_again_is_kept(cluster):
    pilot = cluster.begin("node7")
    cluster.look()
    node = cluster.link.nodes.pop(pilot)
    for _ in range(150):
        cluster.look()
    cluster.link.nodes[pilot] = node
    cluster.look()
    assert (len(cluster.jobs.jobs), cluster.jobs.submitted) == (1, 1)
    cluster.link.nodes.clear()
    assert 180 < cluster.submits_after(250) < 220
    assert cluster.look() == "the worker of job job1 is silent"
