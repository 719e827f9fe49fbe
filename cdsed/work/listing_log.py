"""The log records of a listing: taken, finished, rejected."""

import logging
from pathlib import Path

from cdsed.logevent import LogEvent, about
from cdsed.store.listings import Listing

_log = logging.getLogger(__name__)


def taken(listing: Listing) -> None:
    """Log that a listing has its receipt."""
    name, counts = listing.head.name, listing.counts
    extra = about(LogEvent.LISTING_TAKEN, listing=name, group=listing.head.group)
    _log.info("listing %s: %d lines, %d accepted", name, counts.lines, counts.accepted, extra=extra)


def finished(listing: Listing) -> None:
    """Log that a listing has its report."""
    name = listing.head.name
    extra = about(LogEvent.LISTING_FINISHED, listing=name, group=listing.head.group)
    _log.info("listing %s: every product is finished; its report is written", name, extra=extra)


def rejected(path: Path, error: Exception) -> None:
    """Log that a file is not taken as a listing."""
    _log.warning("%s: %s", path.name, error, extra=about(LogEvent.LISTING_REJECTED, listing=path.name))
