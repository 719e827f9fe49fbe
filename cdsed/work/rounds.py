"""Split the work of intake: several small listings, or some lines of a long one, at a time."""

from collections.abc import Iterator

from cdsed.inbox.scan import DroppedFile
from cdsed.model.listing import ListingLine

_BATCH = 500
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


def batches(lines: Iterator[ListingLine]) -> Iterator[list[ListingLine]]:
    """Split the lines of a listing into batches, each one transaction; the products of one line stay together."""
    batch: list[ListingLine] = []
    for line in lines:
        if len(batch) >= _BATCH and line.line != batch[-1].line:
            yield batch
            batch = []
        batch.append(line)
    if batch:
        yield batch
