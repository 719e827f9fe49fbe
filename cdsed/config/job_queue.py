"""The settings of jobs in a batch system, which the daemon submits so that workers run there."""

import re
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from cdsed.config.section import Section
from cdsed.config.values import AbsolutePath, Seconds, Size

#: No job may end before its pilot has left, however short it is.
_LEAVE_BEFORE_MIN_S = 10
_WALLTIME_MAX_S = 10**8
_WALLTIME = re.compile(r"(?P<hours>\d{1,5}):(?P<minutes>[0-5]\d):(?P<seconds>[0-5]\d)")
_NO_LINE = r"^[^\s'\"\\$;&|<>()`]+$"


def parse_walltime_s(value: object) -> object:
    """Return hours, minutes and seconds as seconds; ValueError if it is something else."""
    # YAML reads 24:00:00 without quotes as a number of base 60, which is the same time in seconds.
    match = _WALLTIME.fullmatch(value) if isinstance(value, str) else None
    if match is not None:
        return int(match["hours"]) * 3600 + int(match["minutes"]) * 60 + int(match["seconds"])
    if isinstance(value, int) and not isinstance(value, bool) and value <= _WALLTIME_MAX_S:
        return value
    raise ValueError("should be a time such as 04:00:00")


def _one_line(value: object) -> object:
    """Refuse what would become several lines of a job script."""
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise ValueError("should be one line of text")
    return value


_WALLTIME_SCHEMA = {
    "anyOf": [{"type": "string", "pattern": r"^\d{1,5}:[0-5]\d:[0-5]\d$"}, {"type": "integer", "minimum": 60}]
}
Walltime = Annotated[int, BeforeValidator(parse_walltime_s), Field(ge=60), WithJsonSchema(_WALLTIME_SCHEMA)]
Line = Annotated[str, BeforeValidator(_one_line)]
# It becomes an argument in a script, where dask-jobqueue quotes nothing.
Word = Annotated[str, Field(strict=True, pattern=_NO_LINE, max_length=200)]
BatchSystem = Literal["slurm", "pbs", "sge", "htcondor", "local"]


class JobQueueSettings(Section):
    """Jobs that the daemon submits while there is something to fetch. On each runs one worker."""

    system: BatchSystem = Field(description="batch system; local: processes of this machine, to try it")
    queue: Word | None = Field(default=None, description="queue or partition; null: the one of the system")
    account: Word | None = Field(default=None, description="account or project that the jobs are charged to")
    jobs_max: int = Field(default=4, strict=True, ge=1, le=1000, description="number of jobs at most")
    cores: int = Field(default=2, strict=True, ge=1, le=1000, description="cores of each job")
    memory_bytes: Size = Field(default=4 * 10**9, ge=10**8, description="memory of each job")
    walltime: Walltime = Field(
        default=4 * 3600, description="time after which the batch system ends a job, in hours, minutes and seconds"
    )
    leave_before_s: int = Field(
        default=180, strict=True, ge=_LEAVE_BEFORE_MIN_S, description="seconds before that in which a worker leaves"
    )
    idle_s: Seconds = Field(default=300, description="seconds after which jobs that are not needed end")
    pending_max_s: Seconds = Field(
        default=86400, description="seconds after which a job is submitted again if its worker has not come"
    )
    directives: tuple[Line, ...] = Field(
        default=(), description="further lines for the batch system, such as --qos=low, without #SBATCH, #PBS or #$"
    )
    resource_spec: Line | None = Field(
        default=None, description="PBS and SGE: what follows -l; null: PBS gets it from cores and memory, SGE has none"
    )
    prologue: tuple[Line, ...] = Field(
        default=(), description="lines of shell before the worker starts, such as module load python"
    )
    python: AbsolutePath | None = Field(
        default=None, description="interpreter on the nodes that has cdsed[dask]; null: the daemon's own"
    )
    interface: Word | None = Field(
        default=None, description="network interface by which the nodes and the daemon reach each other, such as ib0"
    )
    scheduler_host: Word | None = Field(
        default=None, description="address of the daemon's machine as the nodes know it; null: that of the interface"
    )
    scheduler_port: int = Field(
        default=0, strict=True, ge=0, le=65535, description="port of the daemon for the nodes; 0: any free one"
    )
    log_dir: AbsolutePath | None = Field(
        default=None, description="directory for the output of jobs, on a file system that the nodes share"
    )

    @property
    def lives_s(self) -> int:
        """How long a worker stays: less than its job, so that it leaves in order."""
        return self.walltime - self.leave_before_s

    @model_validator(mode="after")
    def _the_system_knows_it(self) -> Self:
        if self.lives_s < self.leave_before_s:
            raise ValueError(f"walltime: should be at least twice leave_before_s ({self.leave_before_s} s)")
        if self.system != "local" and self.log_dir is None:
            raise ValueError("log_dir: a batch system needs it; name a directory that all nodes can write to")
        for path in (self.python, self.log_dir):
            if path is not None and re.fullmatch(_NO_LINE, str(path)) is None:
                raise ValueError(f"{path}: should have no blanks, quotes or other signs of a shell")
        unknown = {
            "queue": self.queue is not None and self.system == "htcondor",
            "account": self.account is not None and self.system == "htcondor",
            "resource_spec": self.resource_spec is not None and self.system not in ("pbs", "sge"),
            "prologue": bool(self.prologue) and self.system == "local",
            "directives": bool(self.directives) and self.system == "local",
        }
        for name, given in unknown.items():
            if given:
                raise ValueError(f"{name}: {self.system} has none; see directives, or leave it out")
        if self.system == "htcondor" and not all("=" in line for line in self.directives):
            raise ValueError("directives: should be lines such as 'accounting_group = lab' for htcondor")
        return self
