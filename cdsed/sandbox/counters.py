"""Counters of requests and sent bytes by object key, and a log of the last requests."""

import threading
from collections import Counter, deque
from typing import Any

from cdsed.clock import Clock, iso

_LOGGED_REQUESTS = 20_000


class Counters:
    """Counters of requests and bytes, for tests to read."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._requests: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()
        self._odata_requests = 0
        self._log: deque[dict[str, Any]] = deque(maxlen=_LOGGED_REQUESTS)

    def asked(self, entry: dict[str, Any]) -> None:
        """Count a request; `entry`, with at least ``operation`` and ``key``, goes to the log."""
        with self._lock:
            if entry["operation"] == "odata":
                self._odata_requests += 1
            elif entry["operation"] in {"get", "head"}:
                self._requests[entry["key"]] += 1
            self._log.append({"time": iso(self._clock.utc_s()), "boot_s": self._clock.boot_s(), **entry})

    def sent(self, key: str, count_bytes: int) -> None:
        """Count bytes of an object's body."""
        with self._lock:
            self._bytes[key] += count_bytes

    def values(self) -> dict[str, Any]:
        """Return requests and bytes by key, and the number of OData requests."""
        with self._lock:
            keys = {key: {"requests": count, "bytes_sent": self._bytes[key]} for key, count in self._requests.items()}
            return {"keys": keys, "odata_requests": self._odata_requests}

    def last_requests(self, limit: int) -> list[dict[str, Any]]:
        """Return the last `limit` requests, the newest last."""
        with self._lock:
            return list(self._log)[-limit:] if limit > 0 else []

    def reset(self) -> None:
        """Delete all counts and the log."""
        with self._lock:
            self._requests.clear()
            self._bytes.clear()
            self._odata_requests = 0
            self._log.clear()
