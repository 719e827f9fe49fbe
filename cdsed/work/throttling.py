"""Throttle an account's sessions when the service asks for less, let them grow again, and log both."""

import logging
import math

from cdsed.clock import Clock
from cdsed.config.settings import RetrySettings
from cdsed.errors import TransferError
from cdsed.logevent import LogEvent, about
from cdsed.model.objects import Lease
from cdsed.model.quota import THROTTLE_CODES, ThrottleReason, spent_by_us
from cdsed.store import breakers, quota_usage
from cdsed.store.database import Database

_log = logging.getLogger(__name__)

# An account gets more sessions after twice its first pause, a minute by default. CDSE counts requests by the minute,
# so a whole minute has passed without a refusal.
_PAUSES_TO_GROW = 2

# A connection that broke without a farewell counts at the service until that notices it: TCP gives up after 15 min.
_COUNTED_S = 900.0
# So often such an account is tried, because it is not known when the service notices.
_COUNTED_PAUSE_S = 60.0
_WITHOUT_FAREWELL = frozenset({"ConnectionLost", "Unreachable", "Timeout", "TooSlow", "NoAddress"})


class Throttling:
    """Lowers an account's sessions when the service refuses it, and lets them grow again."""

    def __init__(self, db: Database, clock: Clock, retry: RetrySettings) -> None:
        self._db = db
        self._clock = clock
        self._grow_after_s = _PAUSES_TO_GROW * retry.account_first_delay_s
        self._broke_at: dict[str, float] = {}

    def broke(self, error: TransferError, lease: Lease) -> None:
        """Note that a connection of the lease's account broke, if the service may not know it yet."""
        if error.code in _WITHOUT_FAREWELL:
            self._broke_at[lease.account] = self._clock.boot_s()

    def longest_pause_s(self, error: TransferError, lease: Lease) -> float:
        """Return for how long a refused account backs off at most: our own broken connections may be what counts."""
        broken = error.code == "Throttled" and not self._is_crowded(lease.account)
        return _COUNTED_PAUSE_S if broken else math.inf

    def _is_crowded(self, account: str) -> bool:
        """Tell whether others may have the sessions that a refused account does not use; not our broken ones."""
        broke_at = self._broke_at.get(account)
        if broke_at is not None and self._clock.boot_s() - broke_at < _COUNTED_S:
            return False
        return breakers.failures(self._db, breakers.SERVICE) == 0  # of another process, too

    def refused(self, error: TransferError, lease: Lease) -> None:
        """Halve the sessions of the lease's account if `error` means that the service asks for less."""
        if error.code not in THROTTLE_CODES:
            return
        account = lease.account
        before = quota_usage.throttled(
            *(self._db, self._clock, account, lease.fence),
            grow_after_s=self._grow_after_s,
            crowded=error.code == "Throttled" and self._is_crowded(account),
        )
        now = quota_usage.of(self._db, self._clock, account)
        if before is None or now is None:
            return
        _log.warning(
            "account %s: throttled; it continues with %d of %d sessions",
            *(account, now.usable_sessions, now.sessions),
            extra=about(LogEvent.ACCOUNT_THROTTLED, account=account, error=error.code),
        )
        if now.throttle_reason is ThrottleReason.SHARED:
            _log.warning(
                "account %s was refused although it had only %d of %d sessions in use: something else seems to use it, "
                "perhaps another cdsed with the same accounts; give each its own accounts, or fewer `sessions`. cdsed "
                "itself has sent %d of its %d requests in the last minute",
                account,
                before.held,
                before.sessions,
                before.requests + before.claimed_requests,
                before.requests_per_minute,
            )

    def delivered(self, lease: Lease) -> None:
        """Count a delivery of the lease's account, and log when it gets more sessions or is penalised."""
        account = lease.account
        now = quota_usage.delivered(self._db, self._clock, account, lease.fence, grow_after_s=self._grow_after_s)
        if now is None:
            return
        if now.throttle_reason is ThrottleReason.PENALISED:
            _log.warning(
                "account %s runs at about 1 MB/s on one connection and is refused a second: its 30-day volume is spent "
                "at CDSE; cdsed counts %.1f of %.1f GB%s. It continues with one session and is checked again in an "
                "hour; a reload checks it at once",
                account,
                now.used_bytes / 1e9,
                now.volume_bytes / 1e9,
                "" if spent_by_us(now.used_bytes, now.volume_bytes) else ", so find out what else uses it",
            )
        else:
            _log.info("account %s: %d of %d sessions again", account, now.usable_sessions, now.sessions)
