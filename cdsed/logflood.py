"""A rate limit for log lines: an hour of errors must not fill the journal, nor hide its other lines."""

import logging
import threading
import time
from dataclasses import dataclass

_WINDOW_S = 60.0
_WARNINGS_MAX = 10
_INFOS_MAX = 3000  # each product that arrives has its own line


@dataclass(slots=True)
class _SaidBefore:
    since_s: float
    count: int = 0


class Flood(logging.Filter):
    """Lets ten lines of one kind through in a minute (INFO: 3000); the next line says how many were dropped.

    Lines are of one kind when they come from the same place in the code, with any arguments.
    """

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[tuple[str, int], _SaidBefore] = {}
        self._lock = threading.Lock()

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a line is to be written; the number of dropped lines may be added to it."""
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
            record.arguments = record.args  # for the fields of the record
            if kept_back:
                record.msg = f"{record.getMessage()} (and {kept_back} more like this before)"
                record.args = None
            elif said.count == most:
                record.msg = f"{record.getMessage()} (more like this within a minute are only counted)"
                record.args = None
        return True
