"""Retrying: the quick kind inside a leased session, and the pauses of the slow kind."""

import random
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

# A blip passes within seconds on the same session; whatever lasts longer gives the session back.
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
    """Return a tenacity controller that tries again what a blip of the service broke; `stop` ends its waits."""
    return Retrying(
        retry=retry_if_exception(lambda error: isinstance(error, ServiceError) and error.code in _BLIPS),
        stop=stop_after_attempt(_BLIP_TRIES) | stop_when_event_set(stop),
        wait=wait_random_exponential(multiplier=0.2, max=_BLIP_LONGEST_S),
        sleep=sleep_using_event(stop),
        reraise=True,
    )


def pause_s(failures: int, first_s: float, longest_s: float) -> float:
    """Return how long to wait after the n-th failure: doubling up to `longest_s`, with a fifth of jitter."""
    return float(min(longest_s, first_s * 2.0 ** min(max(failures - 1, 0), 32)) * random.uniform(0.8, 1.2))
