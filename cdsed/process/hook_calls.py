"""Call the hooks of a supervisor so that one error does not end it."""

import logging
from collections.abc import Callable
from typing import TypeVar

from cdsed.errors import CdsedError

log = logging.getLogger(__name__)

_Result = TypeVar("_Result")


class HookCalls:
    """Logs and counts what hooks raise.

    Attributes
    ----------
    failures
        How many raised since the supervisor last set it to 0.
    """

    def __init__(self) -> None:
        self.failures = 0

    def guarded(self, what: str, hook: Callable[[], _Result]) -> _Result | None:
        """Call `hook`; return its result, or None if it raises."""
        try:
            return hook()
        except CdsedError as error:
            log.error("%s failed: %s", what, error)  # noqa: TRY400 - its text is all there is to know
        except Exception:
            log.exception("%s failed", what)
        self.failures += 1
        return None
