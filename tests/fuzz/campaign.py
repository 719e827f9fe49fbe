"""How long a fuzz test runs: the same few examples in CI, as many others as you like in a campaign.

``CDSED_FUZZ_EXAMPLES`` sets how many. They come from ``--hypothesis-seed`` of pytest, or from a random seed.
"""

import os
from typing import Any

from hypothesis import HealthCheck, settings

EXAMPLES = "CDSED_FUZZ_EXAMPLES"


def examples(count: int) -> Any:
    """Return the settings of a fuzz test that tries `count` examples in CI."""
    wanted = os.environ.get(EXAMPLES)
    return settings(
        max_examples=int(wanted) if wanted else count,
        derandomize=not wanted,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )
