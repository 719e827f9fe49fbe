"""Put the listings of the inbox in order before intake takes any, so that each owner gets one report."""

import logging
from pathlib import Path

from cdsed.inbox import reread
from cdsed.inbox.directory import ACCEPTED, TAKING
from cdsed.inbox.former_names import remove_former_names
from cdsed.inbox.scan import shown
from cdsed.store import recovery
from cdsed.store.database import Database

_log = logging.getLogger(__name__)


def put_in_order(db: Database, inbox: Path) -> None:
    """Give accepted listings that the state does not know back to intake.

    They were lost with the end of a truncated log, or the state was rebuilt while the disk of the inbox was away. Names
    that came back by a power cut are removed first: each would be taken as one more listing.
    """
    for former, last in remove_former_names(inbox):
        _log.warning("%s came back as a second name of %s, and is removed", shown(former), shown(last))
    known, unknown = recovery.known_paths(db, finished=False), []
    for listing in reread.accepted(inbox):
        taking = inbox / TAKING / listing.path.relative_to(inbox / ACCEPTED)
        if not listing.reported and not {str(listing.path), str(taking)} & known:
            _log.warning("%s was accepted, and the state does not know it: it is taken again", listing.path)
            unknown.append(listing.path)
    reread.return_to_intake(unknown, inbox)
