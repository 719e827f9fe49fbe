"""Log that a service or a disk works again, when its breaker closes."""

import logging

from cdsed.clock import Clock
from cdsed.logevent import LogEvent, about
from cdsed.store import breakers
from cdsed.store.breakers import disk_breaker
from cdsed.store.database import Database

_log = logging.getLogger(__name__)


def service(db: Database, clock: Clock, name: str) -> None:
    """Close the breaker of a service that has answered."""
    if breakers.close(db, clock, name):
        what = "transfers continue" if name == breakers.SERVICE else "downloads as a zip continue"
        _log.info("the service works again; %s", what, extra=about(LogEvent.SERVICE_BACK))


def disk(db: Database, clock: Clock, place: str) -> None:
    """Close the breaker of a destination in which something was written or synced."""
    if breakers.has_any(db) and breakers.close(db, clock, disk_breaker(place)):
        _log.info("%s can be written again", place, extra=about(LogEvent.DISK_BACK, disk=place))
