"""The pauses between retries of the slow kind; the quick kind is in `cdsed.transfer.blips`."""

import random

from cdsed.errors import TransferError
from cdsed.work.failure_rules import rule_of

#: Transient failures in a row, of one piece or one product's list of objects, of which the last is an attempt.
_CHARGED_FROM = 6
_TRANSIENT_FIRST_S, _TRANSIENT_LONGEST_S = 2.0, 300.0


def pause_s(failures: int, first_s: float, longest_s: float) -> float:
    """Return how long to wait after the n-th failure: doubling up to `longest_s`, with a fifth of jitter."""
    return float(min(longest_s, first_s * 2.0 ** min(max(failures - 1, 0), 32)) * random.uniform(0.8, 1.2))


def transient_pause_s(error: TransferError, earlier: int) -> float:
    """Return how long to wait after a transient failure and so many earlier ones, at least as long as it asks for."""
    return max(error.retry_after_s or 0.0, pause_s(earlier + 1, _TRANSIENT_FIRST_S, _TRANSIENT_LONGEST_S))


def is_charged_by_now(error: TransferError, earlier: int) -> bool:
    """Tell whether a transient failure after so many earlier ones is an attempt, so that the product ends."""
    return earlier + 1 >= _CHARGED_FROM and not rule_of(error).never_charged
