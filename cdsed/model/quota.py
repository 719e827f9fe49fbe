"""Compute with CDSE's quotas: when volume is free again, and how long a backlog takes."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple

from cdsed.clock import iso
from cdsed.frozen import frozen

#: CDSE counts an account's transfer over the last 30 days, hour by hour.
#: https://documentation.dataspace.copernicus.eu/Quotas.html
VOLUME_WINDOW_H = 30 * 24

#: The rate of an account that has spent its volume, on one connection; from the same page.
PENALTY_BYTES_PER_S = 1_000_000

_FORECAST_LONGEST_H = 366 * 24
_NEARLY = 0.95


class Limit(StrEnum):
    """What a session or product may have to wait for."""

    CONNECTIONS = "connections"
    REQUESTS = "requests"  # of the minute
    VOLUME = "volume"  # of 30 days
    BANDWIDTH = "bandwidth"
    PENALTY = "penalty"  # the service has asked for less


_REASONS = {
    Limit.CONNECTIONS: "all its connections are in use",
    Limit.REQUESTS: "its requests of this minute are used up",
    Limit.VOLUME: "its 30-day volume is spent",
    Limit.BANDWIDTH: "it runs at the bandwidth of the accounts file",
    Limit.PENALTY: "the service has asked for less",
}
_SHARED_REASONS = _REASONS | {
    Limit.CONNECTIONS: "all connections that its group shares are in use",
    Limit.REQUESTS: "the requests of this minute that its group shares are used up",
    Limit.VOLUME: "the 30-day volume that its group shares is spent",
}
_SOON_S = 600.0

#: Codes of errors with which a service asks for less: 429 of S3, of the zipper, and of proxies before them. SlowDown
#: (503) is how S3 elsewhere does, never seen from eodata so far.
THROTTLE_CODES = frozenset({"Throttled", "ThrottledElsewhere", "SlowDown"})

#: What the accounts of a group may share, because CDSE counts it for their organisation.
SHAREABLE = (Limit.VOLUME, Limit.REQUESTS, Limit.CONNECTIONS)


@frozen
class QuotaWait:
    """A limit that something waits for.

    Attributes
    ----------
    until_at
        When it may continue, in seconds UTC; None: when another session is given back, or work in flight has arrived.
    shared
        Whether the accounts of its group share the limit.
    """

    limit: Limit
    until_at: float | None
    shared: bool = False

    @property
    def reason(self) -> str:
        """Why it waits, in words that need no action."""
        return (_SHARED_REASONS if self.shared else _REASONS)[self.limit]

    def end(self, now: float) -> str:
        """Return when it continues, in words; `now` in seconds UTC."""
        if self.until_at is None:
            return "continues when one of its sessions is given back"
        in_s = max(0.0, self.until_at - now)
        return f"continues in {in_s:.0f} s" if in_s < _SOON_S else f"continues at {iso(self.until_at)}"


class ThrottleReason(StrEnum):
    """Why an account may use fewer sessions than it has."""

    THROTTLED = "throttled"
    SHARED = "shared"  # refused although cdsed held fewer sessions than it has
    PENALISED = "penalised"


def spent_by_us(used_bytes: int, volume_bytes: int) -> bool:
    """Tell whether cdsed's own traffic may explain that CDSE counts an account's volume as spent.

    CDSE counts more than the bytes of objects (lists, headers, repeated bytes), and by other hours.
    """
    return used_bytes >= _NEARLY * volume_bytes


class HourOfTraffic(NamedTuple):
    """Bytes that an account transferred in one hour (UTC hours since the epoch)."""

    hour: int
    size_bytes: int


@frozen
class QuotaFreeAt:
    """When volume is free again (seconds UTC), and how much of it within a day after that."""

    at: float
    size_bytes: int


def next_free(hours: Sequence[HourOfTraffic], ceiling_bytes: int) -> QuotaFreeAt | None:
    """Return when the hours of the window, oldest first, add up to less than `ceiling_bytes` again.

    None if they already do.
    """
    left = ceiling_bytes - sum(each.size_bytes for each in hours)
    if left > 0:
        return None
    first: int | None = None
    for each in hours:
        leaves = each.hour + VOLUME_WINDOW_H
        if first is not None and leaves >= first + 24:
            break
        left += each.size_bytes
        if first is None and left > 0:
            first = leaves
    return None if first is None else QuotaFreeAt(first * 3600.0, left)


@frozen
class Supply:
    """What one account can transfer.

    Attributes
    ----------
    rate_bytes_per_s
        Its rate while it has volume.
    left_bytes
        Volume it has left now.
    hours
        Its traffic in the window; the volume of each hour is free again 30 days later.
    """

    rate_bytes_per_s: float
    left_bytes: int
    hours: tuple[HourOfTraffic, ...] = ()


@frozen
class Forecast:
    """Seconds until a backlog is done; `by_volume` if the 30-day volumes delay it."""

    in_s: float
    by_volume: bool


class VolumeForecast:
    """How long backlogs take, at the rates of accounts and within their volumes.

    The hours are walked through once, as far as the longest backlog needs them: a status asks for each listing.

    Parameters
    ----------
    now
        Seconds UTC; volume frees at full hours.
    """

    def __init__(self, supplies: Sequence[Supply], now: float) -> None:
        self._supplies, self._now = supplies, now
        self._hours = map(sum, zip(*(_brought_by_hour(each, now) for each in supplies), strict=True))
        self._brought = [0.0]  # until the end of each hour, all together

    def of(self, to_go_bytes: float) -> Forecast | None:
        """Return how long it takes; None if it takes more than a year, or no account transfers anything."""
        rate = sum(supply.rate_bytes_per_s for supply in self._supplies)
        if rate <= 0:
            return None
        unhindered_s = to_go_bytes / rate
        if all(supply.rate_bytes_per_s * unhindered_s <= supply.left_bytes for supply in self._supplies):
            return Forecast(unhindered_s, by_volume=False)
        while self._brought[-1] < to_go_bytes:
            if len(self._brought) > _FORECAST_LONGEST_H:
                return None
            self._brought.append(self._brought[-1] + next(self._hours))
        at = bisect_left(self._brought, to_go_bytes)
        begins_s, ends_s = (max(0.0, (int(self._now // 3600) + each) * 3600.0 - self._now) for each in (at - 1, at))
        share = (to_go_bytes - self._brought[at - 1]) / (self._brought[at] - self._brought[at - 1])
        return Forecast(begins_s + (ends_s - begins_s) * share, by_volume=True)


def _brought_by_hour(supply: Supply, now: float) -> Iterator[float]:
    """Yield what an account brings until each full hour, without an end."""
    hour = int(now // 3600)
    rate, left = supply.rate_bytes_per_s, float(supply.left_bytes)
    window = [0.0] * VOLUME_WINDOW_H  # by hour; after 30 days each place is used again
    for each in supply.hours:
        window[min(each.hour, hour) % VOLUME_WINDOW_H] += each.size_bytes
    at, most = hour % VOLUME_WINDOW_H, rate * ((hour + 1) * 3600.0 - now)
    while True:
        brought = min(left, most)
        yield brought
        window[at] += brought
        at = at + 1 if at + 1 < VOLUME_WINDOW_H else 0
        left += window[at] - brought
        window[at] = 0.0
        most = rate * 3600.0
