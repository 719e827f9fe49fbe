"""Quotas of the accounts, with counters: open connections, requests per minute, and volume in 30 days."""

import threading
from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from cdsed.clock import Clock
from cdsed.sandbox.accounts import SandboxAccount
from cdsed.sandbox.connection import ClientConnection, Pacer

_SPENT_SESSIONS, _SPENT_BYTES_PER_S = 1, 1_000_000
_VOLUME_WINDOW_S, _VOLUME_STEP_S = 30 * 86_400, 3_600


@dataclass
class AccountCounters:
    """Counts of one account since the start or the last reset.

    ``open_max`` counts refused connections too: above the account's sessions, it shows that a client opens too many.
    """

    open_now: int = 0
    open_max: int = 0
    overbooked: int = 0
    requests: int = 0
    refused: int = 0
    bytes: int = 0


@dataclass
class _Usage:
    """What one account uses, or all accounts that share a quota; held under one lock."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    open: dict[ClientConnection, None] = field(default_factory=dict)  # in the order of their first request
    minute: deque[float] = field(default_factory=deque)
    volume: deque[tuple[float, int]] = field(default_factory=deque)  # bytes by the hour


class AccountQuota:
    """The connections and counters of one account.

    Parameters
    ----------
    shared
        The usage of its organisation, for the quotas that the account shares.
    """

    def __init__(self, account: SandboxAccount, clock: Clock, shared: _Usage) -> None:
        self.account = account
        self._clock = clock
        own = _Usage(shared.lock)
        self._lock = shared.lock
        self._mine: dict[ClientConnection, Pacer | None] = {}
        self._open = (shared if "connections" in account.shares else own).open
        self._minute = (shared if "requests" in account.shares else own).minute
        self._volume = (shared if "volume" in account.shares else own).volume
        self._counters = AccountCounters()

    def admit(self, connection: ClientConnection) -> bool:
        """Count a request of `connection`; return False if a quota refuses it (429)."""
        with self._lock:
            self._counters.requests += 1
            admitted = self._take_place(connection) and self._within_minute()
            if not admitted:
                self._counters.refused += 1
            return admitted

    def refuse(self) -> None:
        """Count a request that was answered with 403."""
        with self._lock:
            self._counters.requests += 1
            self._counters.refused += 1

    def leave(self, connection: ClientConnection) -> None:
        """Remove `connection` from the account's open ones."""
        with self._lock:
            self._open.pop(connection, None)
            self._mine.pop(connection, None)

    def sent(self, count_bytes: int) -> None:
        """Count bytes of bodies."""
        with self._lock:
            self._counters.bytes += count_bytes
            step = self._clock.boot_s() // _VOLUME_STEP_S * _VOLUME_STEP_S
            if self._volume and self._volume[-1][0] == step:
                count_bytes += self._volume.pop()[1]
            self._volume.append((step, count_bytes))

    def pacer(self, connection: ClientConnection) -> Pacer | None:
        """Return the current pacer of the connection; None: its rate is not limited."""
        with self._lock:
            rate = _SPENT_BYTES_PER_S if self._is_spent() else self.account.bandwidth_bytes_per_s
            pacer = self._mine.get(connection)
            if rate is None:
                return None
            if pacer is None or pacer.bytes_per_s != rate:
                pacer = Pacer(self._clock, rate)
                if connection in self._mine:
                    self._mine[connection] = pacer
            return pacer

    def counters(self) -> dict[str, Any]:
        """Return the counters by name."""
        with self._lock:
            self._drop_closed()
            self._counters.open_now = len(self._mine)
            return asdict(self._counters)

    def reset(self) -> None:
        """Set the counters to zero; the use of the quotas stays."""
        with self._lock:
            self._counters = AccountCounters(open_max=len(self._mine))

    def _take_place(self, connection: ClientConnection) -> bool:
        sessions = _SPENT_SESSIONS if self._is_spent() else self.account.sessions
        if connection in self._open:
            return list(self._open).index(connection) < sessions
        self._drop_closed()
        self._counters.open_max = max(self._counters.open_max, len(self._mine) + 1)
        if len(self._open) >= sessions:
            self._counters.overbooked += 1
            return False
        self._open[connection] = None
        self._mine[connection] = None
        return True

    def _drop_closed(self) -> None:
        """Drop connections that are closed in the kernel but whose thread has not run since."""
        for connection in [connection for connection in self._open if not connection.is_open()]:
            del self._open[connection]
            self._mine.pop(connection, None)
        for connection in [connection for connection in self._mine if not connection.is_open()]:
            del self._mine[connection]

    def _within_minute(self) -> bool:
        now_s = self._clock.boot_s()
        while self._minute and self._minute[0] <= now_s - 60:
            self._minute.popleft()
        limit = self.account.requests_per_minute
        if limit is not None and len(self._minute) >= limit:
            return False
        self._minute.append(now_s)
        return True

    def _is_spent(self) -> bool:
        if self.account.volume_bytes is None:
            return False
        while self._volume and self._volume[0][0] <= self._clock.boot_s() - _VOLUME_WINDOW_S:
            self._volume.popleft()
        return sum(count for _step, count in self._volume) >= self.account.volume_bytes


class SandboxQuotas:
    """All accounts of a sandbox, by access key and by name."""

    def __init__(self, accounts: Iterable[SandboxAccount], clock: Clock) -> None:
        shared: defaultdict[str, _Usage] = defaultdict(_Usage)
        self._by_key = {
            account.access_key: AccountQuota(
                account, clock, shared[account.organisation] if account.organisation else _Usage()
            )
            for account in accounts
        }
        self._by_name = {quota.account.name: quota for quota in self._by_key.values()}

        self._made: dict[str, SandboxAccount] = {}

    def account_of(self, access_key: str) -> SandboxAccount | None:
        """Return the account that has this access key, with that key."""
        quota = self._by_key.get(access_key)
        return quota.account if quota else self._made.get(access_key)

    def add_key(self, account: SandboxAccount) -> None:
        """Let an existing account also use the key in `account`, while that key is valid."""
        self._made[account.access_key] = account

    def remove_key(self, access_key: str) -> None:
        """Remove a key of `add_key`."""
        self._made.pop(access_key, None)

    def named(self, name: str) -> AccountQuota:
        """Return the quota of the account `name`."""
        return self._by_name[name]

    def counters(self) -> dict[str, dict[str, Any]]:
        """Return the counters of every account."""
        return {name: quota.counters() for name, quota in self._by_name.items()}

    def reset(self) -> None:
        """Set the counters of every account to zero."""
        for quota in self._by_name.values():
            quota.reset()
