"""A bound on how often one thing is said: an hour of trouble must not fill the journal, nor hide the rest in it."""

import logging
import threading
import time
from dataclasses import dataclass

_WINDOW_S = 60.0
_WARNINGS_MAX = 10
_INFOS_MAX = 3000  # products that arrive are told one by one


@dataclass(slots=True)
class _SaidBefore:
    since_s: float
    count: int = 0


class Flood(logging.Filter):
    """Lets lines of one kind through ten times a minute (INFO: 3000 times); the next one says how many were kept back.

    Lines are of one kind when they come from the same place in the code, whatever they name.
    """

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[tuple[str, int], _SaidBefore] = {}
        self._lock = threading.Lock()

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a line is to be written; it may be lengthened by how many were not."""
        now_s = time.monotonic()
        most = _WARNINGS_MAX if record.levelno >= logging.WARNING else _INFOS_MAX
        with self._lock:
            said = self._said.setdefault((record.pathname, record.lineno), _SaidBefore(now_s))
            kept_back = 0
            if now_s - said.since_s >= _WINDOW_S:
                kept_back = max(0, said.count - most)
                said.since_s, said.count = now_s, 0
            said.count += 1
            if said.count > most:
                return False
            if kept_back:
                record.msg = f"{record.getMessage()} (and {kept_back} more like this before)"
                record.args = None
            elif said.count == most:
                record.msg = f"{record.getMessage()} (more like this within a minute are only counted)"
                record.args = None
        return True
