"""When the known work will be done, of the daemon and of each listing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, replace
from functools import cache

from cdsed.clock import Clock
from cdsed.frozen import frozen
from cdsed.model.estimate import Load, QuotaSource, Volumes, eta, keep_within
from cdsed.model.operation import Eta, EtaLimit
from cdsed.model.quota import HourOfTraffic, Limit
from cdsed.store import bandwidth_limits, breakers, forecast, sent_requests, speeds
from cdsed.store.backlog import Backlog, ListingLoad
from cdsed.store.database import Database
from cdsed.store.paused import WITHOUT_END, Paused
from cdsed.store.queries import Queries
from cdsed.store.quota_usage import QuotaUsage
from cdsed.store.quota_waits import is_unusable

_SQL = Queries("eta")


@frozen
class Etas:
    """When the known work is done: all of it, and that of each listing, by its number."""

    of_all: Eta | None = None
    of_listings: Mapping[int, Eta] = field(default_factory=dict)


def of_backlog(db: Database, clock: Clock, accounts: Sequence[QuotaUsage], backlog: Backlog, pauses: Paused) -> Etas:
    """Return when the backlog is done, at the speeds, quotas, limits, pauses and back-offs that are known now.

    A listing waits for those of its group that have a higher priority or are older. What is not known of the work makes
    a time a lower bound. Without any account that can be used for a listing, its time is not known.
    """
    if not backlog.listings:
        return Etas()
    supply = _GroupSources(db, clock, accounts, backlog, pauses)
    found: dict[int, Eta] = {}
    now = clock.utc_s()
    for group in {each.group for each in backlog.listings}:
        before, volumes = Load(), Volumes(supply.of_group(group), now)
        listings = [each for each in backlog.listings if each.group == group]
        for each in sorted(listings, key=lambda one: pauses.of_listing(one) > 0):  # others pass those that are paused
            before += each.load
            time = eta(before, supply.of_group(group), now, volumes)
            if time is not None:
                found[each.id] = _delayed(each, time, supply, pauses, known=backlog.requests_known)
    missing = {each.id for each in backlog.listings} - set(found)
    return Etas(None if missing else max(found.values(), key=lambda one: one.seconds), found)


def _delayed(listing: ListingLoad, time: Eta, supply: "_GroupSources", pauses: Paused, *, known: bool) -> Eta:
    """Return the time of a listing, with its pause and the back-offs of its products."""
    paused_s = pauses.of_listing(listing)
    bound = time.lower_bound or listing.taking or not known or pauses.windows or supply.is_bound
    if WITHOUT_END in (paused_s, supply.paused_s(listing.group)):
        return Eta(time.seconds, EtaLimit.PAUSE, lower_bound=True)
    if paused_s > time.seconds or listing.due_in_s > time.seconds:
        return Eta(max(paused_s, listing.due_in_s), EtaLimit.PAUSE, lower_bound=True)
    return replace(time, lower_bound=bound)


class _GroupSources:
    """What serves each group; `is_bound`: something is known to be slower than this says."""

    def __init__(
        self, db: Database, clock: Clock, accounts: Sequence[QuotaUsage], backlog: Backlog, pauses: Paused
    ) -> None:
        self._db, self._clock, self._pauses = db, clock, pauses
        self._accounts = [each for each in accounts if not is_unusable(each, clock)]
        self._speeds = speeds.of_accounts(db, clock, accounts)
        self._limits = {(each.kind, each.name): each.bytes_per_s for each in bandwidth_limits.of_all(db)}
        opened = {row["name"]: row["until_s"] - clock.boot_s() for row in db.rows(_SQL.breakers, now_s=clock.boot_s())}
        self._service_in_s = opened.get(breakers.SERVICE, 0.0)
        self.is_bound = any(name == breakers.CATALOGUE or name.startswith("disk:") for name in opened)
        self._sent = sent_requests.returns(db, clock)
        total = sum(each.load.size_bytes for each in backlog.listings) or 1.0
        self._shares: dict[str, float] = {}
        for each in backlog.listings:
            self._shares[each.group] = self._shares.get(each.group, 0.0) + each.load.size_bytes / total
        self._groups: dict[str, tuple[QuotaSource, ...]] = {}

    def paused_s(self, group: str) -> float:
        """Return for how many seconds every account that could be used for a group is paused."""
        return min((self._pauses.account(each.name) for each in self._accounts if each.group == group), default=0.0)

    def of_group(self, group: str) -> tuple[QuotaSource, ...]:
        """Return what serves a group; accounts that share their volume or their requests are one source."""
        if group not in self._groups:
            members = [each for each in self._accounts if each.group == group]
            able = [each for each in members if self._pauses.account(each.name) != WITHOUT_END]
            sources = [self._source(each) for each in able or members]
            if any(each.shares_volume or each.shares_requests for each in members):
                sources = [_pooled(members, sources)]
            self._groups[group] = tuple(self._limited(group, members, sources))
        return self._groups[group]

    def _source(self, account: QuotaUsage) -> QuotaSource:
        speed = self._speeds.get(account.name)
        limits = []
        if account.bandwidth_bytes_per_s:
            limits.append(float(account.bandwidth_bytes_per_s * account.usable_sessions))
        if ("account", account.name) in self._limits:
            limits.append(float(self._limits["account", account.name]))
        penalty_s = max(0.0, (account.breaker_until_s or 0.0) - self._clock.boot_s())
        paused_s = self._pauses.account(account.name)
        return QuotaSource(
            speed=speed,
            bytes_per_s_max=min(limits, default=None),
            requests_per_window=account.requests_per_minute,
            returns=self._returns(account),
            begins_in_s=max(penalty_s, self._service_in_s, 0.0 if paused_s == WITHOUT_END else paused_s),
            left_bytes=max(0, account.ceiling_bytes - account.used_bytes),
            hours=cache(lambda: tuple(forecast.hours(self._db, self._clock, account.name))),
        )

    def _returns(self, account: QuotaUsage) -> tuple[tuple[float, float], ...]:
        """Return when requests may be sent: those left now, those sent when they are a minute old, claims at last."""
        left = (0.0, float(max(0, account.requests_left) + account.claimed_requests))
        return (left, *self._sent.get(account.name, ()))

    def _limited(
        self, group: str, members: Iterable[QuotaUsage], sources: Sequence[QuotaSource]
    ) -> Iterable[QuotaSource]:
        """Yield sources that together keep to the limits of bandwidth, and to the connections that a group shares."""
        caps = [self._limits.get(("group", group), WITHOUT_END)]
        if ("machine", "") in self._limits:
            caps.append(self._limits["machine", ""] * self._shares.get(group, 1.0))
        pooled = [each for each in members if each.pool_sessions is not None]
        sessions = sum(each.usable_sessions for each in pooled)
        if pooled and all(each.bandwidth_bytes_per_s for each in pooled):
            widest = max(each.bandwidth_bytes_per_s or 0 for each in pooled)
            caps.append(float(widest * min(sessions, pooled[0].pool_sessions or sessions)))
        yield from sources if min(caps) == WITHOUT_END else keep_within(min(caps), sources)


def _pooled(members: Sequence[QuotaUsage], sources: Sequence[QuotaSource]) -> QuotaSource:
    """Return one source for the accounts of a group; each of them knows a shared quota as a whole."""
    first = members[0]
    requests = sources[:1] if Limit.REQUESTS in first.shares else sources
    volumes = sources[:1] if Limit.VOLUME in first.shares else sources
    returns = sorted(each for source in requests for each in source.returns)
    return QuotaSource(
        speed=_sum(each.speed for each in sources),
        bytes_per_s_max=_sum(each.bytes_per_s_max for each in sources),
        requests_per_window=sum(each.requests_per_window for each in requests),
        returns=tuple(returns),
        begins_in_s=min(each.begins_in_s for each in sources),
        left_bytes=sum(each.left_bytes or 0 for each in volumes),
        hours=cache(lambda: _by_hour(hour for each in volumes for hour in each.hours())),
    )


def _by_hour(hours: Iterable[HourOfTraffic]) -> tuple[HourOfTraffic, ...]:
    found: dict[int, int] = {}
    for each in hours:
        found[each.hour] = found.get(each.hour, 0) + each.size_bytes
    return tuple(HourOfTraffic(hour, found[hour]) for hour in sorted(found))


def _sum(values: Iterable[float | None]) -> float | None:
    values = list(values)
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None
