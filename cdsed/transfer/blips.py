"""Quick retries over the same connection, for a blip of the service."""

import threading

from tenacity import (
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    stop_when_event_set,
    wait_random_exponential,
)
from tenacity.nap import sleep_using_event

from cdsed.errors import ServiceError

# A blip passes within seconds on the same session. For a longer failure the caller releases the session.
_BLIPS = frozenset(
    {
        "ConnectionLost",
        "TruncatedBody",
        "InvalidResponse",
        "500",
        "502",
        "504",
        "InternalError",
        "UnexpectedObject",
        "ProxyResponse",
    }
)
_BLIP_TRIES = 3
_BLIP_LONGEST_S = 3.0


def through_blips(stop: threading.Event) -> Retrying:
    """Return a tenacity controller that retries after a blip of the service; `stop` ends its waits."""
    return Retrying(
        retry=retry_if_exception(lambda error: isinstance(error, ServiceError) and error.code in _BLIPS),
        stop=stop_after_attempt(_BLIP_TRIES) | stop_when_event_set(stop),
        wait=wait_random_exponential(multiplier=0.2, max=_BLIP_LONGEST_S),
        sleep=sleep_using_event(stop),
        reraise=True,
    )
