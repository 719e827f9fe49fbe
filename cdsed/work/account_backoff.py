"""Let an account back off after a refusal; tell the refusals of one product from those of the account."""

import logging
import math
import threading
from collections import Counter
from dataclasses import dataclass

from cdsed.clock import Clock
from cdsed.config.settings import RetrySettings
from cdsed.credentials.key_diagnosis import diagnose_refusal
from cdsed.errors import TransferError
from cdsed.logevent import LogEvent, about
from cdsed.model.objects import Lease
from cdsed.model.product_state import Product
from cdsed.store import breakers, key_history
from cdsed.store.breakers import BreakerPolicy, account_breaker
from cdsed.store.database import Database

_log = logging.getLogger(__name__)

#: A new key becomes valid within a minute, so an account with one backs off no longer than that.
_YOUNG_KEY_LONGEST_S = 60.0
_REMEMBERED_MAX = 10_000
_KEY_EVERY_S = 5.0


@dataclass(slots=True)
class _Repeated:
    """How often an account was refused one product, and what it had delivered by then."""

    times: int = 0
    deliveries: int = 0


class AccountBackoff:
    """The breakers of accounts, and what this process remembers of who was refused what."""

    def __init__(self, db: Database, clock: Clock, retry: RetrySettings) -> None:
        self._db = db
        self._clock = clock
        self._retry = retry
        self._repeated: dict[tuple[int, str], _Repeated] = {}
        self._deliveries: Counter[str] = Counter()
        self._keys_noted: dict[tuple[str, int], tuple[int, float]] = {}  # by session: fence and time of its lease
        self._lock = threading.Lock()

    def works(self, account: str) -> None:
        """Close the breaker of an account that was served."""
        if breakers.close(self._db, self._clock, account_breaker(account)):
            _log.info("account %s works again", account, extra=about(LogEvent.ACCOUNT_BACK, account=account))

    def key_works(self, lease: Lease) -> None:
        """Note that S3 has accepted the key of a lease; a lease has one key, so that need not be noted each time."""
        session, now_s = (lease.account, lease.slot), self._clock.boot_s()
        fence, noted_s = self._keys_noted.get(session, (0, 0.0))
        if fence != lease.fence or now_s - noted_s >= _KEY_EVERY_S:
            self._keys_noted[session] = (lease.fence, now_s)
            key_history.worked(self._db, self._clock, lease.account)

    def delivered(self, account: str, product: Product) -> None:
        """Note that bytes of a product arrived over an account."""
        with self._lock:
            self._deliveries[account] += 1
            for key in [key for key in self._repeated if key[0] == product.id]:
                del self._repeated[key]

    def times(self, account: str, product: Product) -> int:
        """Return how often in a row the account was refused this product."""
        known = self._repeated.get((product.id, account))
        return known.times if known else 0

    def refused(self, account: str, product: Product) -> bool:
        """Count a refusal; return whether it is the product's: the account delivered others since the one before."""
        with self._lock:
            if len(self._repeated) > _REMEMBERED_MAX:
                self._repeated.clear()
            known = self._repeated.setdefault((product.id, account), _Repeated())
            is_products = known.times > 0 and self._deliveries[account] > known.deliveries
            known.times += 1
            known.deliveries = self._deliveries[account]
            return is_products

    def back_off(self, error: TransferError, account: str, threshold: int = 1, longest_s: float = math.inf) -> float:
        """Count a failure of an account; return for how many seconds it backs off, 0 below the threshold.

        It does so no longer than `longest_s`, unless the service asks for more.
        """
        error = diagnose_refusal(error, account, key_history.of_account(self._db, account), self._clock.utc_s())
        longest_s = min(longest_s, self._retry.account_longest_delay_s)
        if error.code == "KeyNotYetValid":
            longest_s = min(longest_s, _YOUNG_KEY_LONGEST_S)
        policy = BreakerPolicy(threshold, self._retry.account_first_delay_s, longest_s)
        with self._db.write():  # so that two sessions do not log the same error
            known = breakers.is_open(self._db, self._clock, account_breaker(account))
            pause = breakers.fail(self._db, self._clock, account_breaker(account), policy, error)
        if pause and not known:
            extra = about(LogEvent.ACCOUNT_OUT, account=account)
            _log.warning("%s; it backs off for %.0f s", error, pause, extra=extra)
        return pause
