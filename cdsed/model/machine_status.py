"""What the status says of the machines on which workers of Dask run."""

from enum import StrEnum

from cdsed.frozen import frozen


class GrantLoss(StrEnum):
    """Why a connection was not closed in order."""

    HOLDER_DIED = "holder_died"  # its process was killed or crashed
    NO_ANSWER = "no_answer"  # its process did not answer, and was killed
    SILENT = "silent"  # neither its process nor its worker was heard until its time was over
    HEAD_DIED = "head_died"  # the daemon's download process ended without closing it


@frozen
class LostGrants:
    """How many connections of a machine were lost for one reason, and when the last was, in seconds UTC."""

    why: GrantLoss
    grants: int
    last_at: float


@frozen
class MachineNow:
    """What the daemon hears of a machine.

    Attributes
    ----------
    workers
        Workers of Dask that run there.
    idle, at_work
        Their processes (holders) without a connection, and with one.
    worker_sees_s, daemon_sees_s
        So many seconds after it was written, the worker sees a file of the daemon, and the daemon one of the worker:
        the longest of all directories. None: not measured yet.
    refused
        Why it gets no connection, in one sentence; None if it may.
    """

    name: str
    workers: int = 0
    idle: int = 0
    at_work: int = 0
    worker_sees_s: float | None = None
    daemon_sees_s: float | None = None
    refused: str | None = None


@frozen
class MachineStatus:
    """One machine.

    Attributes
    ----------
    now
        What the daemon hears of it.
    heard_at
        When one of its workers was last heard, seconds UTC.
    rate_bytes_per_s, received_bytes
        Mean of the last minute, and all since the machine is known.
    drain_at, drained_at
        When a person drained it, and since when nothing is at work there; None: not.
    lost
        The connections that were lost, by reason, the most frequent first.
    kept_sessions, kept_until_at
        How many sessions wait because a lost connection may still be open, and until when at the latest.
    """

    now: MachineNow
    heard_at: float
    rate_bytes_per_s: float = 0.0
    received_bytes: int = 0
    drain_at: float | None = None
    drained_at: float | None = None
    lost: tuple[LostGrants, ...] = ()
    kept_sessions: int = 0
    kept_until_at: float | None = None

    @property
    def usable(self) -> bool:
        """Whether it gets new connections."""
        return self.now.workers > 0 and self.now.refused is None and self.drain_at is None
