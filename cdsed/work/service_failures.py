"""Count failures of a service, and decide whether they are its own or those of one product.

A product that always gets the same failure looks like an outage if nothing else is asked for. So before a failure opens
the breaker of a service, and before it is charged to a product, the session asks for another product. Only if that
arrives, the failure is the product's. During an outage it does not, and no product is charged. If products of another
mission arrive, and none of this one, part of the service is out: the others do not wait for it.
"""

import logging
from enum import Enum, auto

from cdsed.clock import Clock
from cdsed.errors import ProductError, ServiceError, TransferError
from cdsed.logevent import LogEvent, about
from cdsed.store import breakers
from cdsed.store.breakers import BreakerPolicy
from cdsed.store.database import Database
from cdsed.work.retrying import is_charged_by_now, is_the_sixth

_log = logging.getLogger(__name__)

#: So many failures in a row, over all sessions, open the breaker of a service.
_THRESHOLD = 8
#: The failure in a row that is charged to a product while part of the service is out: after pauses of four hours.
_CHARGED_FROM = 60
_POLICY = BreakerPolicy(_THRESHOLD, first_s=5.0, longest_s=300.0)


class Probe(Enum):
    """What came of asking for another product after a failure."""

    NOT_SENT = auto()
    ARRIVES = auto()
    ELSEWHERE = auto()  # only in another top folder of the bucket
    FAILS = auto()


class ServiceFailures:
    """The breakers of services: S3, and the zipper."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    def needs_probe(self, earlier: int, service: str) -> bool:
        """Tell whether a failure after `earlier` ones of its product decides something.

        That is so if it opens the breaker of the service, or can be charged to the product.
        """
        if breakers.is_open(self._db, self._clock, service):
            return False  # it was in flight when the breaker opened, and decides nothing
        return is_the_sixth(earlier) or breakers.failures(self._db, service) + 1 >= _THRESHOLD

    def count(self, error: TransferError, service: str, probe: Probe) -> bool:
        """Count a failure; return whether the service itself fails, so that nothing counts for the product."""
        if probe in (Probe.ARRIVES, Probe.ELSEWHERE):
            breakers.forget(self._db, service)
            return False
        with self._db.write():
            known = breakers.is_open(self._db, self._clock, service)
            pause = breakers.fail(self._db, self._clock, service, _POLICY, error)
        if pause and not known:
            what = "transfers pause" if service == breakers.SERVICE else "downloads as a zip pause"
            _log.warning("the service fails (%s); %s for %.0f s", error, what, pause, extra=about(LogEvent.SERVICE_OUT))
        return pause > 0 or probe is Probe.FAILS

    @staticmethod
    def is_charged(error: TransferError, earlier: int, probe: Probe) -> bool:
        """Tell whether a failure that is not the service's is an attempt of its product."""
        match probe:
            case Probe.ARRIVES:
                return is_the_sixth(earlier)
            case Probe.ELSEWHERE:
                return earlier + 1 >= _CHARGED_FROM
        return is_charged_by_now(error, earlier)


def weighed(error: TransferError, other: TransferError | None) -> tuple[TransferError, Probe]:
    """Return the error that counts if, after `error`, `other` came of asking for something else."""
    if other is None:
        return error, Probe.ARRIVES
    if isinstance(other, ServiceError | ProductError):
        return error, Probe.FAILS
    return other, Probe.NOT_SENT  # the account, this machine, or the process must leave
