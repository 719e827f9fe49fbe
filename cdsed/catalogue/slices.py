"""Windows of time, cut so that each holds no more rows than the catalogue returns for one filter."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

TOP_MAX = 1000
SKIP_MAX = 10_000
REACH = SKIP_MAX + TOP_MAX  # rows of one filter that the catalogue returns at most

_ROWS_WANTED = 5000  # of a slice that is cut: low, so that it seldom overflows again when times are uneven
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)  # used as the ends of an open window, to find its middle
_HORIZON = datetime(2070, 1, 1, tzinfo=UTC)
_SHORTEST = timedelta(microseconds=1)  # the resolution of times in the catalogue


@dataclass(frozen=True, slots=True)
class Window:
    """A half-open window of the sensing start; None: open on that side."""

    start: datetime | None
    end: datetime | None

    def cut(self, count: int) -> list["Window"]:
        """Return shorter windows that make up this one, for the `count` rows it holds.

        Raises
        ------
        ValueError
            It cannot be any shorter.
        """
        if self.start is None or self.end is None:
            return _pair(self, self._middle())
        length = self.end - self.start
        number = min(math.ceil(count / _ROWS_WANTED), length // _SHORTEST)
        if number < 2:
            raise ValueError(f"{count} products begin at {self.start}")
        edges = [*(self.start + length * part / number for part in range(number)), self.end]
        return [Window(first, last) for first, last in pairwise(edges) if first < last]

    def _middle(self) -> datetime:
        start = self.start or min(_EPOCH, self.end or _EPOCH)
        end = self.end or max(_HORIZON, self.start or _HORIZON)
        if end - start < timedelta(days=1):
            # beyond the stand-ins: step out further and further
            step = timedelta(days=3650)
            try:
                return start + step if self.end is None else end - step
            except OverflowError:
                raise ValueError(f"products begin beyond all time, {self}") from None
        return start + (end - start) / 2

    def __str__(self) -> str:
        return f"{self.start or 'the beginning'} to {self.end or 'the end'}"


def windows(start: datetime | None, end: datetime | None, length: timedelta | None) -> Iterator[Window]:
    """Yield the first windows of a search.

    Parameters
    ----------
    start, end
        The whole window.
    length
        The longest slice; None, or an open window: the whole window, which is cut later by its number of rows.

    Raises
    ------
    ValueError
        `length` is not positive.
    """
    if length is not None and length < _SHORTEST:
        raise ValueError(f"a slice of {length} holds nothing")
    if length is None or start is None or end is None:
        yield Window(start, end)
        return
    while end - start > length:
        yield Window(start, start + length)
        start += length
    yield Window(start, end)


def _pair(window: Window, middle: datetime) -> list[Window]:
    return [Window(window.start, middle), Window(middle, window.end)]
