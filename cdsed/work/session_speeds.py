"""How fast the sessions of a process are, as seen with its last large pieces."""

from collections import deque

_REMEMBERED = 32
_LEAST_BYTES = 2 * 2**20  # of a smaller piece, the time to the first byte tells more than its bytes


class SessionSpeeds:
    """Remembers the speeds of the last pieces; its threads use it without a lock, because deques are safe."""

    def __init__(self) -> None:
        self._last: deque[float] = deque(maxlen=_REMEMBERED)

    def note(self, size_bytes: int, seconds: float) -> float | None:
        """Note that so many bytes arrived in so many seconds; return the speed in bytes/s, None for a small piece."""
        if size_bytes < _LEAST_BYTES or seconds <= 0:
            return None
        self._last.append(size_bytes / seconds)
        return size_bytes / seconds

    @property
    def typical_bytes_per_s(self) -> float | None:
        """The median; None before the first piece."""
        speeds = sorted(self._last.copy())
        return speeds[len(speeds) // 2] if speeds else None
