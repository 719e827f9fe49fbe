"""Reading a JSON response."""

import gc
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pydantic_core import from_json


def parse_json(body: bytes) -> Any:
    """Return the content of a JSON document; raises ValueError or RecursionError if it cannot be read.

    A page of 1000 products has some 40 000 small dictionaries. The garbage collector of Python 3.11 looks at them again
    and again while they are made, which takes as long as reading them. So it pauses: JSON has no reference cycles.
    """
    with _PAUSE.held():
        try:
            return from_json(body, cache_strings="keys")  # the parser of pydantic takes about 0.6 of the time
        except ValueError:  # it takes neither UTF-16, a byte order mark, nor half of a surrogate pair
            return json.loads(body)


class CollectorPause:
    """The garbage collector pauses while at least one thread holds this; afterwards it is as before."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holders = 0
        self._was_enabled = False

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold it for the duration of the block."""
        with self._lock:
            if self._holders == 0:
                self._was_enabled = gc.isenabled()
                gc.disable()
            self._holders += 1
        try:
            yield
        finally:
            with self._lock:
                self._holders -= 1
                if self._holders == 0 and self._was_enabled:
                    gc.enable()


_PAUSE = CollectorPause()
