"""When work will be done: by the speed of its accounts, and their quotas of requests and volume.

Work is seen as a fluid of requests that carry bytes. Every account serves it at its speed, but never beyond its quota
of requests: a request that was sent counts for `WINDOW_S`, and then another one may follow.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from cdsed.frozen import frozen
from cdsed.model.operation import Eta, EtaLimit
from cdsed.model.quota import Forecast, HourOfTraffic, Supply, VolumeForecast

#: Requests are counted by the second, so that each counts for up to this long.
WINDOW_S = 61.0

_REQUEST_BYTES = 32_768
_FAST = 1e12
_LONGEST_S = 1e9
_EXACT_S, _EXACT_SHARE = 0.2, 0.002
# The time at full speed is this much shorter if the quota of requests decides.
_NOTICEABLE_SHARE, _NOTICEABLE_S = 1.05, 2.0
_SAME_MIX = 1.1  # bytes per request that differ less


def weight(requests: float, size_bytes: float) -> float:
    """Return the bytes of requests, where each request counts as `_REQUEST_BYTES` more.

    So a speed that was measured with large objects is about right for small ones, too.
    """
    return requests * _REQUEST_BYTES + size_bytes


@frozen
class Load:
    """Requests to send, and the bytes that they bring."""

    requests: float = 0.0
    size_bytes: float = 0.0

    def __add__(self, other: "Load") -> "Load":
        return Load(self.requests + other.requests, self.size_bytes + other.size_bytes)

    def __mul__(self, factor: float) -> "Load":
        return Load(self.requests * factor, self.size_bytes * factor)


@frozen
class QuotaSource:
    """What serves the work: an account, or accounts that share their quotas.

    Attributes
    ----------
    speed
        Bytes per second while no quota holds it back, as `weight` counts them; None: not known, so the time is a lower
        bound unless `bytes_per_s_max` is known.
    bytes_per_s_max
        What limits its bytes; None: no limit.
    requests_per_window
        Its quota of requests.
    returns
        When how many requests may be sent again: pairs of seconds from now, and requests. It begins with those that
        are left now.
    begins_in_s
        Seconds until it may be used.
    left_bytes, hours
        What is left of its volume of 30 days (None: not limited), and a function that returns its traffic in the
        window: it is called only if the volume does not suffice.
    """

    speed: float | None
    bytes_per_s_max: float | None
    requests_per_window: float
    returns: tuple[tuple[float, float], ...]
    begins_in_s: float = 0.0
    left_bytes: int | None = None
    hours: Callable[[], tuple[HourOfTraffic, ...]] = tuple

    def requests_per_s(self, bytes_per_request: float) -> float:
        """Return requests per second at full speed, for requests of this size."""
        most = _FAST if self.speed is None else self.speed / weight(1.0, bytes_per_request)
        if self.bytes_per_s_max is not None and bytes_per_request:
            most = min(most, self.bytes_per_s_max / bytes_per_request)
        return most

    def lasting(self, bytes_per_request: float) -> float:
        """Return requests per second in the long run."""
        return min(self.requests_per_s(bytes_per_request), self.requests_per_window / WINDOW_S)


def keep_within(cap_bytes_per_s: float, sources: Sequence[QuotaSource]) -> Iterator[QuotaSource]:
    """Yield sources that together keep to a limit of bandwidth.

    Those that may be used first take all of it that they can use: an account that is paused needs no share until then.
    """
    left = cap_bytes_per_s
    for begins_in_s in sorted({each.begins_in_s for each in sources}):
        together = [each for each in sources if each.begins_in_s == begins_in_s]
        speeds_known = all(each.speed is not None for each in together)
        total = sum(each.speed or 0.0 for each in together)
        if speeds_known and total <= left:
            yield from together
            left -= total
            continue
        for each in together:
            share = (each.speed or 0.0) / total if speeds_known else 1 / len(together)
            own = left if each.bytes_per_s_max is None else each.bytes_per_s_max
            yield replace(each, bytes_per_s_max=min(own, left * share))
        left = 0.0


class _Schedule:
    """When a source sends how many requests at full `speed` (requests per second) where its quota allows it."""

    def __init__(self, source: QuotaSource, speed: float) -> None:
        self._speed = speed
        self._saturated = speed * WINDOW_S >= source.requests_per_window
        self._batches: list[tuple[float, float]] = []
        self._end_s = source.begins_in_s
        for in_s, requests in source.returns:
            if requests and speed:
                begins_s = max(in_s, self._end_s)
                self._batches.append((begins_s, requests))
                self._end_s = begins_s + requests / speed

    def served(self, within_s: float) -> float:
        """Return how many requests are sent within some seconds from now."""
        if not self._saturated and within_s > self._end_s:
            return sum(requests for _, requests in self._batches) + self._speed * (within_s - self._end_s)
        total = 0.0
        for begins_s, requests in self._batches:
            if within_s > begins_s:  # requests that were sent may be sent again, one window later
                windows, rest_s = (
                    divmod(within_s - begins_s, WINDOW_S) if self._saturated else (0.0, within_s - begins_s)
                )
                total += windows * requests + min(requests, self._speed * rest_s)
        return total


class Volumes:
    """The forecasts by volume of loads that the same sources serve; loads of about the same mix share the work."""

    def __init__(self, sources: Sequence[QuotaSource], now: float) -> None:
        self._sources, self._now = sources, now
        self._by_mix: dict[int, VolumeForecast] = {}

    def forecast(self, size_bytes: float, bytes_per_request: float) -> Forecast | None:
        """Return how long a load takes; see `VolumeForecast.of`."""
        mix = round(math.log(max(1.0, bytes_per_request), _SAME_MIX))
        if mix not in self._by_mix:
            supplies = [_supply(each, bytes_per_request) for each in self._sources]
            self._by_mix[mix] = VolumeForecast(supplies, self._now)
        return self._by_mix[mix].of(size_bytes)


def eta(load: Load, sources: Sequence[QuotaSource], now: float, volumes: Volumes | None = None) -> Eta | None:
    """Return when `load` will be done by all sources together.

    Parameters
    ----------
    now
        Seconds UTC; volume frees at full hours.
    volumes
        Of the same sources, if several loads are asked for.

    Returns
    -------
    Eta or None
        None without a source, if nothing is known that takes time, or if it takes more than a year.
    """
    bytes_per_request = load.size_bytes / max(1.0, load.requests)
    load = replace(load, requests=max(1.0, load.requests))
    unknown = any(each.speed is None and each.bytes_per_s_max is None for each in sources)
    if not sources or not any(each.requests_per_s(bytes_per_request) > 0 for each in sources):
        return None
    schedules = [_Schedule(each, each.requests_per_s(bytes_per_request)) for each in sources]
    in_s = _time(load.requests, schedules)
    at_speed_s = _time_at_speed(load.requests, sources, bytes_per_request)
    limit = EtaLimit.REQUESTS if in_s > at_speed_s * _NOTICEABLE_SHARE + _NOTICEABLE_S else EtaLimit.BANDWIDTH
    if limit is EtaLimit.BANDWIDTH and unknown:
        return None
    if limit is EtaLimit.BANDWIDTH and 2 * min(each.begins_in_s for each in sources) > in_s:
        limit = EtaLimit.PAUSE
    lefts = [_FAST * _FAST if each.left_bytes is None else each.left_bytes for each in sources]
    if any(each.served(in_s) * bytes_per_request > left for each, left in zip(schedules, lefts, strict=True)):
        found = (volumes or Volumes(sources, now)).forecast(load.size_bytes, bytes_per_request)
        if found is None:
            return None
        if found.in_s > in_s:
            in_s, limit = found.in_s, EtaLimit.VOLUME
    return Eta(in_s, limit, lower_bound=unknown)


def _time(requests: float, schedules: Sequence[_Schedule]) -> float:
    """Return the seconds in which so many requests are sent."""

    def done(within_s: float) -> bool:
        return sum(each.served(within_s) for each in schedules) >= requests

    low, high = 0.0, 1.0
    while not done(high):
        low, high = high, 2 * high
        if high > _LONGEST_S:
            return high
    while high - low > max(_EXACT_S, _EXACT_SHARE * high):
        middle = (low + high) / 2
        low, high = (low, middle) if done(middle) else (middle, high)
    return high


def _time_at_speed(requests: float, sources: Sequence[QuotaSource], bytes_per_request: float) -> float:
    """Return the seconds in which so many requests would be sent without any quota of requests."""
    sent, speed, then_s = 0.0, 0.0, 0.0
    for each in sorted(sources, key=lambda one: one.begins_in_s):
        if sent + speed * (each.begins_in_s - then_s) >= requests:
            break
        sent += speed * (each.begins_in_s - then_s)
        speed, then_s = speed + each.requests_per_s(bytes_per_request), each.begins_in_s
    return then_s + (requests - sent) / speed if speed else _LONGEST_S


def _supply(source: QuotaSource, bytes_per_request: float) -> Supply:
    rate = source.lasting(bytes_per_request) * bytes_per_request
    return Supply(rate, 10**18) if source.left_bytes is None else Supply(rate, source.left_bytes, source.hours())
