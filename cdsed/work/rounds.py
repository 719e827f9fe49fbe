"""Split the work of intake: several small listings, or some lines of a long one, at a time."""

from collections.abc import Iterator
from itertools import islice

from cdsed.clock import Clock
from cdsed.inbox.scan import DroppedFile
from cdsed.model.listing import ListingLine

_LINES_MIN, _LINES_MAX = 500, 5000
_WRITE_S = 0.05  # other processes wait for the write lock so long
_ROUND_FILES, _ROUND_BYTES = 200, 64 * 1024  # limits of small listings that are taken together


def rounds(files: list[DroppedFile]) -> Iterator[list[DroppedFile]]:
    """Split files into rounds: several small ones, or one that is larger."""
    some: list[DroppedFile] = []
    for file in files:
        if some and (
            len(some) == _ROUND_FILES or sum(each.size_bytes for each in some) + file.size_bytes > _ROUND_BYTES
        ):
            yield some
            some = []
        some.append(file)
    if some:
        yield some


class BatchSize:
    """How many lines are entered in one transaction: as many as hold the write lock for about 50 ms."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.lines = _LINES_MIN

    def timed(self, lines: int, begun_s: float) -> None:
        """Note that a transaction of so many lines, begun at this boot-clock second, has ended."""
        taken_s = self._clock.boot_s() - begun_s
        fitting = lines * _WRITE_S / taken_s if taken_s > 0 else _LINES_MAX
        self.lines = int(max(_LINES_MIN, min(fitting, 2 * self.lines, _LINES_MAX)))


def batches(lines: Iterator[ListingLine], size: BatchSize) -> Iterator[tuple[list[ListingLine], bool]]:
    """Split the lines of a listing into batches, each one transaction; the products of one line stay together.

    Returns
    -------
    iterator of list and bool
        Lines, and whether they are the last ones.
    """
    ahead = next(lines, None)
    while ahead is not None:
        batch = [ahead, *islice(lines, size.lines - 1)]
        while (ahead := next(lines, None)) is not None and ahead.line == batch[-1].line:
            batch.append(ahead)
        yield batch, ahead is None
