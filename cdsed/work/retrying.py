"""The pauses between retries of the slow kind; the quick kind is in `cdsed.transfer.blips`."""

import random


def pause_s(failures: int, first_s: float, longest_s: float) -> float:
    """Return how long to wait after the n-th failure: doubling up to `longest_s`, with a fifth of jitter."""
    return float(min(longest_s, first_s * 2.0 ** min(max(failures - 1, 0), 32)) * random.uniform(0.8, 1.2))
