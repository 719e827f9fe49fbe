"""When a request over HTTP that failed is sent again."""

from dataclasses import dataclass

import tenacity

from cdsed.catalogue.http_errors import PASSING
from cdsed.errors import ServiceError


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When a request that failed is sent again.

    Attributes
    ----------
    tries
        Requests in all.
    longest_wait_s
        Seconds that one wait may take. If the service asks for a longer wait, the request is not repeated.
    """

    tries: int
    longest_wait_s: float

    def may_help(self, error: BaseException) -> bool:
        """Tell whether the next try may succeed after this error."""
        return (
            isinstance(error, ServiceError)
            and error.code in PASSING
            and (error.retry_after_s is None or error.retry_after_s <= self.longest_wait_s)
        )

    def back_off_s(self, state: tenacity.RetryCallState) -> float:
        """Return the seconds until the next try: exponential, with jitter."""
        return tenacity.wait_exponential_jitter(initial=1, max=self.longest_wait_s)(state)


def failure_of(state: tenacity.RetryCallState) -> ServiceError:
    """Return the error of the last try."""
    error = state.outcome.exception() if state.outcome else None
    assert isinstance(error, ServiceError), "only a ServiceError is retried"
    return error
