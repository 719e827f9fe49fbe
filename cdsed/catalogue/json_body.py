"""Reading a JSON response."""

import gc
import json
from typing import Any


def parse_json(body: bytes) -> Any:
    """Return the content of a JSON document; raises ValueError or RecursionError if it cannot be read.

    A page of 1000 products has some 40 000 small dictionaries. The garbage collector of Python 3.11 looks at them again
    and again while they are made, which takes as long as reading them. So it pauses: JSON has no reference cycles.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return json.loads(body)
    finally:
        if was_enabled:
            gc.enable()
