"""The catalogue for the daemon and the commands, configured from the settings."""

import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

from cdsed.catalogue.cache import cache_directory, footprints_directory
from cdsed.catalogue.kept_footprints import keep
from cdsed.catalogue.names import Names, Negatives
from cdsed.catalogue.odata_client import ODataClient
from cdsed.catalogue.rate_limiter import RateLimiter
from cdsed.clock import Clock
from cdsed.config.proxies import ProxyRules
from cdsed.config.settings import Settings
from cdsed.model.catalogue_entry import Facts

RATE_LIMIT_FILE = "catalogue.rate_limit"


def connect(
    settings: Settings,
    *,
    clock: Clock,
    stop: threading.Event,
    token: Callable[[], str] | None = None,
    tries: int | None = None,
) -> ODataClient:
    """Return a client of the catalogue of the settings, which shares the rate limit of the whole daemon.

    Parameters
    ----------
    settings
        Give the address, time-out and rate.
    clock, stop, token, tries
        As for `ODataClient`.
    """
    services, limits = settings.services, settings.catalogue
    return ODataClient(
        services.catalogue_url,
        rate_limiter=RateLimiter(limits.requests_per_s, clock, _rate_limit_file(settings)),
        timeout_s=limits.timeout_s,
        clock=clock,
        stop=stop,
        ca_file=services.ca_file,
        proxies=ProxyRules(services.proxy_url),
        token=token,
        tries=tries,
    )


def _rate_limit_file(settings: Settings) -> Path | None:
    """Return the file of the rate limit: the daemon's, else the user's own, else None."""
    for directory in (settings.sessions_dir, cache_directory(settings, os.environ)):
        file = directory / RATE_LIMIT_FILE
        if os.access(file if file.exists() else directory, os.R_OK | os.W_OK):
            return file
    return None


class Catalogue:
    """Finds products by name. It keeps the learned length of a list of names for the life of the process.

    Parameters
    ----------
    settings
        Address, time-out, rate, and how long a negative response is cached.
    clock
        What time it is, and how to wait.
    stop
        Ends every wait at once.
    """

    def __init__(self, settings: Settings, *, clock: Clock, stop: threading.Event) -> None:
        limits = settings.catalogue
        self._service = connect(settings, clock=clock, stop=stop)
        negatives = Negatives(limits.negative_ttl_s, clock)
        self._names = Names(self._service, per_filter=limits.names_per_request, cache=negatives)
        self._footprints_dir = footprints_directory(settings, os.environ) if settings.web.listen else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._service.close()

    def look_up(self, names: Sequence[str]) -> Facts:
        """Return the catalogue's facts about safenames; see `cdsed.catalogue.names.look_up`."""
        facts = self._names.look_up(names)
        if self._footprints_dir:
            keep(self._footprints_dir, facts.found)
        return facts
