"""Quick retries over the same connection, for a blip of the service."""

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
_BLIP_LONGEST_S = 3.0

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
    try:
        return attempt()
    except ServiceError as error:
        if not _is_blip(error) or stop.is_set():
            raise
        return _again(stop, attempt, error)


def _again(stop: threading.Event, attempt: Callable[[], _Result], first: ServiceError) -> _Result:
    """Try further after the first failure; a controller for each small object would cost more than its request."""
    import tenacity

    known = iter([first])

    def attempt_or_known() -> _Result:
        for error in known:
            raise error
        return attempt()

    return tenacity.Retrying(
        retry=tenacity.retry_if_exception(_is_blip),
        stop=tenacity.stop_after_attempt(_BLIP_TRIES) | tenacity.stop_when_event_set(stop),
        wait=tenacity.wait_random_exponential(multiplier=_FIRST_PAUSE_S, max=_BLIP_LONGEST_S),
        sleep=tenacity.sleep_using_event(stop),
        reraise=True,
    )(attempt_or_known)


def _is_blip(error: BaseException) -> bool:
    return isinstance(error, ServiceError) and error.code in _BLIPS
