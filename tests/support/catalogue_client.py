"""A client of a catalogue for tests: without a rate limit, and without pauses between tries."""

import threading

from cdsed.catalogue.odata_client import ODataClient
from cdsed.catalogue.rate_limiter import RateLimiter
from cdsed.clock import SYSTEM_CLOCK
from tests.support.clocks import HastyClock


def connect(url: str, stop: threading.Event | None = None) -> ODataClient:
    stop = stop or threading.Event()
    return ODataClient(url, rate_limiter=RateLimiter(1e6, SYSTEM_CLOCK), timeout_s=30, clock=HastyClock(), stop=stop)
