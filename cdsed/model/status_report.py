"""The values that ``cdsed status`` shows, before they are rendered."""

from dataclasses import field
from enum import StrEnum

from cdsed.frozen import frozen
from cdsed.model.machine_status import MachineStatus
from cdsed.model.operation import BandwidthLimit, DiskStatus, Drain, Eta, Pause, ProductAt, Transfer
from cdsed.model.product_state import SUCCEEDED, TERMINAL, State
from cdsed.model.quota import Limit, QuotaFreeAt, QuotaWait, ThrottleReason


class DaemonState(StrEnum):
    """Whether a daemon runs on this state, by a lock of the kernel and not by a clock."""

    RUNNING = "running"
    STOPPED = "stopped"
    DIED = "died"
    NEVER = "never started"


@frozen
class DaemonStatus:
    """The daemon; times in seconds UTC."""

    state: DaemonState
    pid: int | None = None
    started_at: float | None = None
    stopped_at: float | None = None
    version: str | None = None


class SessionMark(StrEnum):
    """What one session does now."""

    BUSY = "busy"
    FREE = "free"
    RESTING = "resting"
    WITHHELD = "withheld"  # not used while the account is throttled
    WAITING = "waiting"  # for a quota


@frozen
class AccountStatus:
    """One account.

    Attributes
    ----------
    error
        Why it may not be used now, in one sentence; None if it may, or only waits for a quota.
    probe_in_s
        Seconds until it is tried again, if it backs off.
    volume_used_bytes, volume_bytes, volume_left_bytes
        Transferred in the last 30 days, the limit, and the difference.
    quota_free_at
        When volume is free again, if it is spent.
    requests_last_minute
        In the last 60 to 61 s.
    sessions_usable
        How many of `sessions` may be held now.
    throttle_reason, grows_in_s
        Why they are fewer than all, and seconds until there is one more (None: after the next delivery).
    error_code
        The code of the failure for which it backs off, e.g. ``KeyRevoked``; None if it does not.
    wait
        The quota for which no further session of it can be used now.
    session_waits
        For each of `sessions`, the quota that it waits for, or that holds it back.
    shares
        The quotas whose limits and usage are those of its whole group.
    requests_per_minute, bandwidth_bytes_per_s
        Its other limits in the accounts file; bytes per second are for each connection (None: no limit).
    """

    name: str
    group: str
    sessions: tuple[SessionMark, ...]
    error: str | None
    probe_in_s: float | None
    volume_used_bytes: int
    volume_bytes: int
    volume_left_bytes: int
    requests_last_minute: int
    key_expires_at: float | None
    sessions_usable: int
    throttle_reason: ThrottleReason | None = None
    grows_in_s: float | None = None
    quota_free_at: QuotaFreeAt | None = None
    error_code: str | None = None
    wait: QuotaWait | None = None
    session_waits: tuple[QuotaWait | None, ...] = ()
    shares: tuple[Limit, ...] = ()
    requests_per_minute: int = 0
    bandwidth_bytes_per_s: int | None = None


@frozen
class PoolStatus:
    """The quotas that the accounts of one group share; None for a quota that each has for itself.

    Attributes
    ----------
    sessions, sessions_held
        Connections that they may hold together, and those held or closed just now.
    requests_per_minute, requests_last_minute
        Requests that they may send together, and have sent in the last 60 to 61 s.
    volume_bytes, volume_used_bytes
        What they may transfer together in 30 days, and have transferred.
    """

    group: str
    sessions: int | None
    sessions_held: int | None
    requests_per_minute: int | None
    requests_last_minute: int | None
    volume_bytes: int | None
    volume_used_bytes: int | None
    quota_free_at: QuotaFreeAt | None = None


@frozen
class Tally:
    """Products of one state."""

    products: int = 0
    size_bytes: int = 0


@frozen
class ListingStatus:
    """One listing's progress."""

    id: int
    name: str
    group: str
    priority: int
    state: str
    taken_at: float
    lines: int
    by_state: dict[State, int]
    eta: Eta | None = None

    @property
    def products(self) -> int:
        """All products that it names."""
        return sum(self.by_state.values())

    @property
    def finished(self) -> int:
        """Its finished products; all of them if it is reported, even if a later listing asks for one again."""
        if self.state == "reported":
            return self.products
        return sum(count for state, count in self.by_state.items() if state in TERMINAL)

    @property
    def failed_products(self) -> int:
        """Its products that ended as unavailable, corrupt, failed or cancelled."""
        return sum(count for state, count in self.by_state.items() if state in TERMINAL - SUCCEEDED)


@frozen
class Rates:
    """Mean bytes per second over the last minutes."""

    over_1_min: float = 0.0
    over_10_min: float = 0.0
    over_60_min: float = 0.0


@frozen
class ErrorGroup:
    """Waiting or failed products with one cause, e.g. ``NotInCatalogue``, and when the first is tried again."""

    code: str
    state: State
    products: int
    example: str
    cause: str
    next_in_s: float | None = None


@frozen
class OpenBreaker:
    """An open breaker that is not of an account: of the service, the catalogue, a disk or the inbox."""

    name: str
    reason: str
    probe_in_s: float

    @property
    def title(self) -> str:
        """The name to show: ``disk:unknown`` is for products that fit on no spool."""
        return "every spool" if self.name == "disk:unknown" else self.name


@frozen
class Notice:
    """What you should know although nothing has failed; `since_at` in seconds UTC."""

    name: str
    text: str
    since_at: float


@frozen
class CrashingWorker:
    """A worker that crashes in a loop.

    Attributes
    ----------
    crashes
        How often, since it last ran well.
    ending, code
        How it last exited, in words, and its exit code: None for a signal or a command that cannot be started.
    next_start_in_s
        Seconds until it is started again; None while it runs.
    """

    name: str
    crashes: int
    ending: str
    code: int | None
    next_start_in_s: float | None


@frozen
class StatusReport:
    """All that ``cdsed status`` shows.

    Attributes
    ----------
    at
        When it was read, seconds UTC.
    to_go_bytes
        An estimate of the bytes still to fetch; None if no size is known.
    why_idle
        One sentence on why no transfer runs, if there is work but no transfer runs.
    quota_wait
        The quota that the work waits for, if no transfer runs for that reason alone: it needs no person.
    needs_account
        Whether the work waits for a person to mend an account.
    pools
        The groups whose accounts share quotas.
    eta
        When the known work is done, with what decides it; None if unknown.
    transfers
        The products in transfer, oldest first.
    rate_steps
        Mean bytes per second in each of the last twelve periods of 5 min, oldest first.
    stalled_for_s
        Seconds for which sessions have been at work without receiving a byte, if that is too long; else None.
    stalled_because
        The last failure of S3 since something arrived, if it is stalled and there was one.
    last_published, oldest_waiting
        The product published last, and the one that has waited longest since it was listed.
    disks, pauses, bandwidth_limits
        The directories that products are written to, what is paused, and the limits of bandwidth now.
    drains
        What begins no new product.
    machines
        Those on which workers of Dask have connections.
    """

    at: float
    daemon: DaemonStatus
    products: dict[State, Tally] = field(default_factory=dict)
    listings: tuple[ListingStatus, ...] = ()
    accounts: tuple[AccountStatus, ...] = ()
    rates: Rates = field(default_factory=Rates)
    to_go_bytes: float | None = None
    open_breakers: tuple[OpenBreaker, ...] = ()
    errors: tuple[ErrorGroup, ...] = ()
    why_idle: str | None = None
    notices: tuple[Notice, ...] = ()
    crashing: tuple[CrashingWorker, ...] = ()
    quota_wait: QuotaWait | None = None
    needs_account: bool = False
    pools: tuple[PoolStatus, ...] = ()
    eta: Eta | None = None
    transfers: tuple[Transfer, ...] = ()
    rate_steps: tuple[float, ...] = ()
    stalled_for_s: float | None = None
    stalled_because: str | None = None
    last_published: ProductAt | None = None
    oldest_waiting: ProductAt | None = None
    disks: tuple[DiskStatus, ...] = ()
    pauses: tuple[Pause, ...] = ()
    bandwidth_limits: tuple[BandwidthLimit, ...] = ()
    drains: tuple[Drain, ...] = ()
    machines: tuple[MachineStatus, ...] = ()

    @property
    def rate_bytes_per_s(self) -> float:
        """Bytes per second of all transfers together, over the last minute."""
        return self.rates.over_1_min

    @property
    def used_bytes(self) -> int:
        """Bytes that all accounts have transferred in 30 days; a shared volume counts once."""
        own = sum(each.volume_used_bytes for each in self.accounts if Limit.VOLUME not in each.shares)
        return own + sum(pool.volume_used_bytes or 0 for pool in self.pools)

    @property
    def moving(self) -> bool:
        """Whether any session is at work."""
        return any(SessionMark.BUSY in account.sessions for account in self.accounts)


@frozen
class Event:
    """One change of the state of a product."""

    at: float
    origin: State | None
    target: State
    attempts: int
    cause: str | None


@frozen
class ObjectProgress:
    """How much of one product is fetched, in bytes."""

    objects: int
    done_bytes: int
    size_bytes: int
