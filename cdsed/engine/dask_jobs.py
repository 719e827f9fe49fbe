"""Jobs of a batch system over dask-jobqueue: the only module that imports it.

dask-jobqueue writes the script of a job, submits and cancels it, and has the scheduler in this process. Which jobs
there are is our own list: its cluster keeps one that could not be submitted, and does not try it again.
"""

import asyncio
import logging
import re
import sys
import uuid
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from copy import deepcopy
from itertools import pairwise
from types import TracebackType
from typing import Any, Self

import dask
from dask_jobqueue.htcondor import HTCondorCluster
from dask_jobqueue.local import LocalCluster
from dask_jobqueue.pbs import PBSCluster
from dask_jobqueue.sge import SGECluster
from dask_jobqueue.slurm import SLURMCluster
from distributed import Security

from cdsed.config.job_queue import JobQueueSettings
from cdsed.frozen import frozen

_log = logging.getLogger(__name__)

_JOB_NAME = "cdsed"
_CLOSE_WITHIN_S = 5.0
_FAILED_WITHIN = (OSError, RuntimeError, ValueError)
_CLUSTERS = {
    "slurm": SLURMCluster,
    "pbs": PBSCluster,
    "sge": SGECluster,
    "htcondor": HTCondorCluster,
    "local": LocalCluster,
}
# Without them each worker serves its pages to all who can reach the node, also with --no-dashboard.
_NO_PAGES = "env DASK_DISTRIBUTED__WORKER__HTTP__ROUTES=[]"


@frozen
class SubmittedJob:
    """A job that was submitted: dask-jobqueue's, and what comes of its submission."""

    name: str
    job: Any
    submission: "Future[Any]"
    since_s: float


class DaskJobs:
    """The jobs of this daemon, and the scheduler for their workers. As a context manager it ends all of them.

    Attributes
    ----------
    cluster
        dask-jobqueue's, to which a client connects.
    """

    def __init__(self, settings: JobQueueSettings, security: Security, loop: Any) -> None:
        _forget_settings_of_users()
        self.cluster: Any = _CLUSTERS[settings.system](security=security, loop=loop, **_options(settings))
        self._names = f"{_JOB_NAME}-{uuid.uuid4().hex[:8]}-"
        self._number = 0
        self._jobs: dict[str, SubmittedJob] = {}

    @property
    def jobs(self) -> list[SubmittedJob]:
        """All that were submitted and have not ended."""
        return list(self._jobs.values())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        wait([self.end(name) for name in list(self._jobs)], _CLOSE_WITHIN_S)
        self.cluster.close()

    def has(self, name: str) -> bool:
        """Tell whether a job of this name was submitted and has not ended; it is the name of its worker, too."""
        return name in self._jobs

    def is_foreign(self, name: str) -> bool:
        """Tell whether no job of this daemon has had this name."""
        return not name.startswith(self._names)

    def script(self) -> str:
        """Return the script of a job."""
        return str(self.cluster.job_script())

    def submit(self, now_s: float) -> None:
        """Submit a job; it does not wait for the batch system."""
        self._number += 1
        name = f"{self._names}{self._number}"
        spec = self.cluster.new_spec
        job = spec["cls"](self.cluster.scheduler_address, name=name, **spec["options"])
        self._jobs[name] = SubmittedJob(name, job, self._in_loop(job.start), now_s)
        _log.info("job %s is submitted", name)

    def failed(self) -> dict[str, str]:
        """Forget jobs that could not be submitted; return why, by name."""
        found = {}
        for job in self.jobs:
            if job.submission.done() and (error := job.submission.exception()) is not None:
                del self._jobs[job.name]
                found[job.name] = _in_one_line(str(error))
        return found

    def end(self, name: str) -> "Future[Any]":
        """Cancel a job."""
        job = self._jobs.pop(name)
        _log.info("job %s ends", name)
        return self._in_loop(lambda: _close(job))

    def send_away(self, address: str) -> None:
        """Let a worker end that no job of ours has started."""
        self._in_loop(lambda: self.cluster.scheduler.retire_workers(workers=[address], close_workers=True))

    def _in_loop(self, call: Callable[[], Any]) -> "Future[Any]":
        return asyncio.run_coroutine_threadsafe(call(), self.cluster.loop.asyncio_loop)


async def _close(job: SubmittedJob) -> None:
    with suppress(*_FAILED_WITHIN, asyncio.CancelledError):
        await asyncio.wrap_future(job.submission)  # only then is the number of the job known
    with suppress(*_FAILED_WITHIN):  # it has ended before
        await job.job.close()


def _in_one_line(said: str) -> str:
    """Return what a user needs of an error of dask-jobqueue, which quotes the whole output of a command."""
    lines = [line.strip() for line in said.splitlines()]
    named = dict(pairwise(lines))
    return named.get("stderr:") or named.get("stdout:") or (lines[0] if lines else "unknown")


def _forget_settings_of_users() -> None:
    """Let ``~/.config/dask/jobqueue.yaml`` and the environment change nothing: what is not set here has its default."""
    [defaults] = [each["jobqueue"] for each in dask.config.defaults if "jobqueue" in each]
    dask.config.set({"jobqueue": deepcopy(defaults)})


def _options(settings: JobQueueSettings) -> dict[str, Any]:
    scheduler: dict[str, Any] = {"dashboard": False, "dashboard_address": "127.0.0.1:0"}
    scheduler["port"] = settings.scheduler_port
    if settings.scheduler_host is not None:
        scheduler["host"] = settings.scheduler_host
    options: dict[str, Any] = {
        "cores": settings.cores,
        "processes": 1,
        "memory": f"{settings.memory_bytes}B",
        "nanny": False,  # a job whose worker dies ends, and another one is submitted
        "interface": settings.interface,
        "scheduler_options": scheduler,
        "job_name": _JOB_NAME,
        "python": f"{_NO_PAGES} {settings.python or sys.executable}",
        "job_script_prologue": list(settings.prologue),
        "worker_extra_args": ["--no-dashboard", "--dashboard-address", "127.0.0.1:0"],
        "log_directory": str(settings.log_dir) if settings.log_dir is not None else None,
        "silence_logs": logging.WARNING,
    }
    return options | _of_system(settings)


def _of_system(settings: JobQueueSettings) -> dict[str, Any]:
    minutes, seconds = divmod(settings.walltime, 60)
    walltime = f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}"
    directives = list(settings.directives)
    match settings.system:
        case "htcondor":
            pairs = [line.partition("=") for line in directives]
            return {"disk": "1GB", "job_extra_directives": {key.strip(): value.strip() for key, _, value in pairs}}
        case "local":
            return {}
        case "slurm":
            # The environment of the daemon may have the password of a proxy, and sbatch would copy it into the job.
            unset = [] if any(re.search(r"--export(=|\s|$)", line) for line in directives) else ["--export=NONE"]
            own = {"account": settings.account, "job_extra_directives": unset + directives}
        case "pbs":
            own = {"account": settings.account, "job_extra_directives": directives}
            own["resource_spec"] = settings.resource_spec
        case _:
            own = {"project": settings.account, "job_extra_directives": directives}
            own["resource_spec"] = settings.resource_spec
    return {"queue": settings.queue, "walltime": walltime, **own}
