"""When work will be done: by the speed of its accounts, and their quotas of requests and volume.

Work is seen as a fluid of requests that carry bytes. Every account serves it at its speed, but never beyond its quota
of requests: a request that was sent counts for `WINDOW_S`, and then another one may follow.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from cdsed.model.operation import Eta, EtaLimit
from cdsed.model.quota import Supply, forecast

#: Requests are counted in steps of 5 s, so that each counts for up to this long.
WINDOW_S = 65.0

_FAST = 1e12
_EXACT_S, _EXACT_SHARE = 0.2, 0.002
# The time at full speed is this much shorter if the quota of requests decides.
_NOTICEABLE_SHARE, _NOTICEABLE_S = 1.05, 2.0


@dataclass(frozen=True, slots=True)
class Load:
    """Requests to send, and the bytes that they bring."""

    requests: float = 0.0
    size_bytes: float = 0.0

    def __add__(self, other: "Load") -> "Load":
        return Load(self.requests + other.requests, self.size_bytes + other.size_bytes)

    def __mul__(self, factor: float) -> "Load":
        return Load(self.requests * factor, self.size_bytes * factor)


@dataclass(frozen=True, slots=True)
class Source:
    """What serves the work: an account, or accounts that share their quotas.

    Attributes
    ----------
    requests_per_s, bytes_per_s
        Its speed while no quota holds it back; None: not known, so the time is a lower bound.
    requests_per_window
        Its quota of requests.
    returns
        When how many requests may be sent again: pairs of seconds from now, and requests. It begins with those that
        are left now.
    begins_in_s
        Seconds until it may be used.
    volume
        The volume of 30 days; its rate is not used. None: there is no limit.
    """

    requests_per_s: float | None
    bytes_per_s: float | None
    requests_per_window: float
    returns: tuple[tuple[float, float], ...]
    begins_in_s: float = 0.0
    volume: Supply | None = None

    def speed(self, bytes_per_request: float) -> float:
        """Return requests per second at full speed, for requests of this size."""
        by_bytes = self.bytes_per_s / bytes_per_request if self.bytes_per_s is not None and bytes_per_request else _FAST
        return min(_FAST if self.requests_per_s is None else self.requests_per_s, by_bytes)

    def lasting(self, bytes_per_request: float) -> float:
        """Return requests per second in the long run."""
        return min(self.speed(bytes_per_request), self.requests_per_window / WINDOW_S)

    def served(self, within_s: float, speed: float) -> float:
        """Return how many requests it sends within some seconds from now, at full `speed` where the quota allows it."""
        within_s -= self.begins_in_s
        if within_s <= 0:
            return 0.0
        if within_s <= WINDOW_S:
            return self._in_window(within_s, speed)
        first = self._in_window(WINDOW_S, speed)
        if speed * WINDOW_S < self.requests_per_window:
            return first + speed * (within_s - WINDOW_S)
        whole, rest_s = divmod(within_s, WINDOW_S)
        return first + (whole - 1) * self.requests_per_window + self._in_window(rest_s, speed)

    def _in_window(self, within_s: float, speed: float) -> float:
        served, credit = speed * within_s, 0.0
        for in_s, requests in self.returns:
            if in_s - self.begins_in_s > within_s:
                break
            served = min(served, credit + speed * (within_s - max(0.0, in_s - self.begins_in_s)))
            credit += requests
        return min(served, credit)


def eta(load: Load, sources: Sequence[Source], now: float) -> Eta | None:
    """Return when `load` will be done by all sources together.

    Parameters
    ----------
    now
        Seconds UTC; volume frees at full hours.

    Returns
    -------
    Eta or None
        None without a source, if nothing is known that takes time, or if it takes more than a year.
    """
    bytes_per_request = load.size_bytes / max(1.0, load.requests)
    load = replace(load, requests=max(1.0, load.requests))
    unknown = any(each.requests_per_s is None and each.bytes_per_s is None for each in sources)
    if not sources or not any(each.speed(bytes_per_request) > 0 for each in sources):
        return None
    unlimited = [
        replace(each, requests_per_window=_FAST * WINDOW_S, returns=((0.0, _FAST * WINDOW_S),)) for each in sources
    ]
    in_s, at_speed_s = (_time(load.requests, each, bytes_per_request) for each in (sources, unlimited))
    limit = EtaLimit.REQUESTS if in_s > at_speed_s * _NOTICEABLE_SHARE + _NOTICEABLE_S else EtaLimit.BANDWIDTH
    if limit is EtaLimit.BANDWIDTH and unknown:
        return None
    if limit is EtaLimit.BANDWIDTH and 2 * min(each.begins_in_s for each in sources) > in_s:
        limit = EtaLimit.PAUSE
    if not _volume_suffices(in_s, sources, bytes_per_request):
        found = forecast(load.size_bytes, [_supply(each, bytes_per_request) for each in sources], now)
        if found is None:
            return None
        if found.in_s > in_s:
            in_s, limit = found.in_s, EtaLimit.VOLUME
    return Eta(in_s, limit, lower_bound=unknown)


def _time(requests: float, sources: Sequence[Source], bytes_per_request: float) -> float:
    """Return the seconds in which the sources send so many requests."""
    speeds = [(each, each.speed(bytes_per_request)) for each in sources]

    def done(within_s: float) -> bool:
        return sum(each.served(within_s, speed) for each, speed in speeds) >= requests

    low, high = 0.0, max(each.begins_in_s for each in sources) + 1.0
    while not done(high):
        low, high = high, 2 * high
        if high > 1e9:
            return high
    while high - low > max(_EXACT_S, _EXACT_SHARE * high):
        middle = (low + high) / 2
        low, high = (low, middle) if done(middle) else (middle, high)
    return high


def _volume_suffices(in_s: float, sources: Sequence[Source], bytes_per_request: float) -> bool:
    return all(
        each.volume is None
        or each.served(in_s, each.speed(bytes_per_request)) * bytes_per_request <= each.volume.left_bytes
        for each in sources
    )


def _supply(source: Source, bytes_per_request: float) -> Supply:
    rate = source.lasting(bytes_per_request) * bytes_per_request
    volume = source.volume or Supply(rate, 10**18)
    return replace(volume, rate_bytes_per_s=rate)
