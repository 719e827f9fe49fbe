"""The pauses between slow retries; quick retries are in `cdsed.transfer.blips`."""

import random

from cdsed.config.settings import RetrySettings
from cdsed.errors import TransferError
from cdsed.work.failure_rules import rule_of

#: The transient failure in a row, of one piece or of one product's list of objects, that is charged as an attempt.
_CHARGED_FROM = 6
#: A product that S3 does not deliver is tried again after a pause of at most `retry.refused_for_s` divided by this.
_REFUSED_PAUSES = 8
_TRANSIENT_FIRST_S, _TRANSIENT_LONGEST_S = 2.0, 300.0


def doubled_s(failures: int, first_s: float, longest_s: float) -> float:
    """Return the pause (s) after the n-th failure: doubled up to `longest_s`, for what one process alone tries."""
    return min(longest_s, first_s * 2.0 ** min(max(failures - 1, 0), 32))


def pause_s(failures: int, first_s: float, longest_s: float) -> float:
    """Return the pause (s) after the n-th failure: doubled up to `longest_s`, with 20 % of jitter."""
    return doubled_s(failures, first_s, longest_s) * random.uniform(0.8, 1.2)


def refused_pause_s(rounds: int, retry: RetrySettings) -> float:
    """Return the pause (s) after the n-th round in a row in which S3 did not deliver what the catalogue offers."""
    longest_s = max(retry.first_delay_s, retry.refused_for_s / _REFUSED_PAUSES)
    return pause_s(rounds, retry.first_delay_s, longest_s)


def transient_pause_s(error: TransferError, earlier: int) -> float:
    """Return the pause (s) after a transient failure and `earlier` ones, at least the error's `retry_after_s`."""
    return max(error.retry_after_s or 0.0, pause_s(earlier + 1, _TRANSIENT_FIRST_S, _TRANSIENT_LONGEST_S))


def is_the_sixth(earlier: int) -> bool:
    """Tell whether a transient failure after `earlier` ones is the one that can be charged as an attempt."""
    return earlier + 1 >= _CHARGED_FROM


def is_charged_by_now(error: TransferError, earlier: int) -> bool:
    """Tell whether a transient failure after `earlier` ones is charged as an attempt."""
    return is_the_sixth(earlier) and not rule_of(error).never_charged
