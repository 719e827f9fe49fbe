"""Quick retries over the same connection, for a blip of the service."""

import random
import threading
from collections.abc import Callable
from typing import TypeVar

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
_FIRST_PAUSE_S = 0.2  # at most; each further one is twice as long at most

_Result = TypeVar("_Result")


def through_blips(stop: threading.Event, attempt: Callable[[], _Result]) -> _Result:
    """Call `attempt`, and after a blip of the service call it again, three times in all.

    Parameters
    ----------
    stop
        Ends the pauses and the retries.

    Raises
    ------
    ServiceError
        The last one that `attempt` raised. Any other exception is raised at once.
    """
    for tried in range(1, _BLIP_TRIES):
        try:
            return attempt()
        except ServiceError as error:
            if error.code not in _BLIPS or stop.is_set():
                raise
        stop.wait(random.uniform(0, _FIRST_PAUSE_S * 2 ** (tried - 1)))
    return attempt()
