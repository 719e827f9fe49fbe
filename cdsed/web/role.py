"""The page as a worker of the daemon."""

import logging
import threading
from collections.abc import Callable

from cdsed.clock import Clock
from cdsed.config.settings import Settings
from cdsed.config.web_page import Listen
from cdsed.errors import ConfigError, UsageError
from cdsed.store import notices
from cdsed.store.database import Database
from cdsed.web.server import bind, serving

_log = logging.getLogger(__name__)

_HEARTBEAT_S = 1.0


def serve(db: Database, clock: Clock, settings: Settings, stop: threading.Event, heartbeat: Callable[[], None]) -> None:
    """Serve the page until `stop`; while it cannot be served, the status says why, and the daemon works on.

    Parameters
    ----------
    db
        Where the notice about it is entered.
    settings
        `web.listen` is set.
    heartbeat
        Called about every second.
    """
    assert settings.web.listen, "the daemon starts this role only with an address"
    listen = Listen.parse(settings.web.listen)
    while not stop.is_set():
        try:
            with bind(listen) as listener, serving(settings, listener, clock) as thread:
                notices.note(db, clock, notices.WEB, None)
                _log.info("the page is at %s", listen)
                while thread.is_alive() and not stop.wait(_HEARTBEAT_S):
                    heartbeat()
        except (UsageError, ConfigError) as error:
            if notices.note(db, clock, notices.WEB, str(error)):
                _log.error("%s", error)
        heartbeat()
        stop.wait(_HEARTBEAT_S)
