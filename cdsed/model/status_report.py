"""What ``cdsed status`` tells: the answer as values, before anybody renders it."""

from dataclasses import dataclass, field
from enum import StrEnum

from cdsed.model.product_state import SUCCEEDED, TERMINAL, State
from cdsed.model.quota import QuotaFreeAt, ThrottleReason


class DaemonState(StrEnum):
    """Whether a daemon is at work on this state; the kernel's word, not a clock's."""

    RUNNING = "running"
    STOPPED = "stopped"
    DIED = "died"
    NEVER = "never started"


@dataclass(frozen=True, slots=True)
class DaemonStatus:
    """The daemon; times in seconds UTC."""

    state: DaemonState
    pid: int | None = None
    started_at: float | None = None
    stopped_at: float | None = None
    version: str | None = None


class SessionMark(StrEnum):
    """What one session does just now."""

    BUSY = "busy"
    FREE = "free"
    RESTING = "resting"
    WITHHELD = "withheld"  # not to be used while the account is restrained


@dataclass(frozen=True, slots=True)
class AccountStatus:
    """One account.

    Attributes
    ----------
    trouble
        Why it may not be used now, in one sentence; None when it may.
    probe_in_s
        Seconds until it is tried again, when it backs off.
    volume_used_bytes, volume_bytes, volume_left_bytes
        Transferred in the last 30 days, the limit, and the difference.
    room
        When volume is free again, once it is spent.
    requests_last_minute
        In the last 60 to 65 s.
    sessions_usable
        How many of `sessions` may be held now.
    restraint, grows_in_s
        Why they are fewer than all, and seconds until there is one more (None: once something is delivered).
    trouble_code
        The code of the failure it backs off for, e.g. ``KeyRevoked``; None when it does not.
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


@dataclass(frozen=True, slots=True)
class Tally:
    """Products of one state."""

    products: int = 0
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
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

    @property
    def products(self) -> int:
        """All products it wants."""
        return sum(self.by_state.values())

    @property
    def finished(self) -> int:
        """Those nothing will happen to any more; in a listing that is reported, whatever others ask of them later."""
        if self.state == "reported":
            return self.products
        return sum(count for state, count in self.by_state.items() if state in TERMINAL)

    @property
    def failed_products(self) -> int:
        """Those finished otherwise than its owner wished."""
        return sum(count for state, count in self.by_state.items() if state in TERMINAL - SUCCEEDED)


@dataclass(frozen=True, slots=True)
class Rates:
    """Mean bytes per second over so many of the last minutes."""

    over_1_min: float = 0.0
    over_10_min: float = 0.0
    over_60_min: float = 0.0


@dataclass(frozen=True, slots=True)
class ErrorGroup:
    """Unsettled or unsuccessful products with one cause, e.g. ``NotInCatalogue``; when the first is tried again."""

    code: str
    state: State
    products: int
    example: str
    cause: str
    next_in_s: float | None = None


@dataclass(frozen=True, slots=True)
class OpenBreaker:
    """Something other than an account that backs off: the service, a disk, the inbox."""

    name: str
    reason: str
    probe_in_s: float

    @property
    def title(self) -> str:
        """What people are shown: ``disk:unknown`` is for products that found room nowhere."""
        return "every spool" if self.name == "disk:unknown" else self.name


@dataclass(frozen=True, slots=True)
class Notice:
    """What people should know although nothing has failed; since when, in seconds UTC."""

    name: str
    text: str
    since_at: float


@dataclass(frozen=True, slots=True)
class CrashingWorker:
    """A worker that crashes in a loop.

    Attributes
    ----------
    crashes
        How often, since it was well.
    ending, code
        How it ended last, in words; its exit code, None for a signal and for a command that cannot be started.
    next_start_in_s
        None while it runs.
    """

    name: str
    crashes: int
    ending: str
    code: int | None
    next_start_in_s: float | None


@dataclass(frozen=True, slots=True)
class StatusReport:
    """The whole answer.

    Attributes
    ----------
    at
        When it was taken, seconds UTC.
    to_go_bytes
        An estimate of what is still to come; None when no size is known.
    eta_s
        Seconds until the known work is done, at the rate of the last minute and within the accounts' volumes; None when
        unknown.
    eta_by_volume
        Whether it would be done sooner without the accounts' 30-day volumes.
    why_idle
        One sentence on why nothing moves, when there is work and nothing moves.
    """

    at: float
    daemon: DaemonStatus
    products: dict[State, Tally] = field(default_factory=dict)
    listings: tuple[ListingStatus, ...] = ()
    accounts: tuple[AccountStatus, ...] = ()
    rates: Rates = field(default_factory=Rates)
    to_go_bytes: float | None = None
    eta_s: float | None = None
    eta_by_volume: bool = False
    open_breakers: tuple[OpenBreaker, ...] = ()
    errors: tuple[ErrorGroup, ...] = ()
    why_idle: str | None = None
    notices: tuple[Notice, ...] = ()
    crashing: tuple[CrashingWorker, ...] = ()

    @property
    def moving(self) -> bool:
        """Whether any session is held."""
        return any(SessionMark.BUSY in account.sessions for account in self.accounts)


@dataclass(frozen=True, slots=True)
class Event:
    """One change of state in the life of a product."""

    at: float
    origin: State | None
    target: State
    attempts: int
    cause: str | None


@dataclass(frozen=True, slots=True)
class ObjectProgress:
    """How far the fetching of one product is, in bytes."""

    objects: int
    done_bytes: int
    size_bytes: int
