"""What the status says of transfers, times to go, pauses and limits."""

from enum import StrEnum

from cdsed.frozen import frozen
from cdsed.model.product_state import State


class EtaLimit(StrEnum):
    """What decides how long the known work takes."""

    BANDWIDTH = "bandwidth"
    REQUESTS = "requests"
    VOLUME = "volume"
    PAUSE = "pause"


@frozen
class Eta:
    """When work is done.

    Attributes
    ----------
    seconds
        From now on.
    limit
        What decides it.
    lower_bound
        Whether it may take longer, for example because a pause has no end.
    """

    seconds: float
    limit: EtaLimit
    lower_bound: bool = False


@frozen
class Transfer:
    """One product that is being transferred.

    Attributes
    ----------
    done_bytes, size_bytes
        What is written of it, and what it is made of.
    rate_bytes_per_s
        Mean of the last minute, or since its beginning if that is later; None if it began just now.
    accounts, sessions
        The accounts whose sessions fetch it, and how many sessions these are.
    since_at
        When it began, seconds UTC.
    """

    safename: str
    group: str
    done_bytes: int
    size_bytes: int
    rate_bytes_per_s: float | None
    accounts: tuple[str, ...]
    sessions: int
    since_at: float


@frozen
class DiskStatus:
    """One directory that products are written to; `free_bytes` is None if it cannot be asked."""

    place: str
    free_bytes: int | None
    error: str | None = None


@frozen
class Pause:
    """What begins no transfer: `kind` is all, listing, account, group or disk; `source` is person or window."""

    kind: str
    name: str
    source: str
    since_at: float
    until_at: float | None


@frozen
class Drain:
    """What begins no new product: an account, or with '' the daemon; `done_at` is when nothing was in transfer."""

    account: str
    since_at: float
    done_at: float | None


@frozen
class BandwidthLimit:
    """The bandwidth that the settings allow now; `kind` is machine, group or account."""

    kind: str
    name: str
    bytes_per_s: int
    until_at: float | None


@frozen
class ProductAt:
    """A product and a time in seconds UTC, such as the one published last."""

    safename: str
    at: float


@frozen
class FailedProduct:
    """A product that ended without being on disk; `ended_at` in seconds UTC, `attempts` are those charged to it."""

    safename: str
    state: State
    code: str | None
    cause: str | None
    attempts: int
    ended_at: float
