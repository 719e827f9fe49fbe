"""Fit the blocks of a screen into its lines: where they are too many, each block shows its first rows."""

from collections.abc import Iterable, Sequence

from cdsed.frozen import frozen
from cdsed.view.wording import number

_URGENT_ROWS = 5


@frozen
class Block:
    """One part of a screen.

    Attributes
    ----------
    title
        Its first line; empty for a block without one.
    rows
        The most important first; each of one line or more.
    brief_rows
        The same rows for a small screen; without them a row keeps its first line.
    urgent
        Whether its first rows are shown before those of any other block.
    """

    title: str
    rows: Sequence[Sequence[str]] = ()
    brief_rows: Sequence[Sequence[str]] | None = None
    urgent: bool = False

    def whole(self) -> list[str]:
        """Return all its lines."""
        return [*self._titled(), *(line for row in self.rows for line in row)]

    def first(self, shown: int) -> list[str]:
        """Return the title and the first rows, with ``and 12 more`` if some are left out."""
        left_out = len(self.rows) - shown
        if left_out and not shown:
            return [f"{self.title.split('  ')[0]}  {number(left_out)} in all"] if self.title else []
        brief = [row[:1] for row in self.rows] if self.brief_rows is None else self.brief_rows
        lines = [*self._titled(), *(line for row in brief[:shown] for line in row)]
        return [*lines, f"  and {number(left_out)} more"] if left_out else lines

    def _titled(self) -> list[str]:
        return [self.title] if self.title else []


def fit(blocks: Sequence[Block], height: int | None) -> list[str]:
    """Return the lines of all blocks, in at most `height` lines.

    What explains a row is left out first. Then the blocks share the lines: the urgent ones get some rows, each other
    gets one, in their order, the urgent ones get all of theirs, and the others take turns until no line is left.
    """
    whole = [block.whole() for block in blocks]
    if height is None or sum(map(len, whole)) <= height:
        return _spaced(whole, height)
    shown = [min(len(block.rows), _URGENT_ROWS) if block.urgent else 0 for block in blocks]
    shown = _grown(blocks, shown, height, [index for index, block in enumerate(blocks) if not block.urgent])
    urgent = [index for index, block in enumerate(blocks) if block.urgent]
    for indices in (urgent, range(len(blocks))):
        while (grown := _grown(blocks, shown, height, indices)) != shown:
            shown = grown
    parts = [block.first(rows) for block, rows in zip(blocks, shown, strict=True)]
    for index, block in enumerate(blocks):
        if shown[index] == len(block.rows) and sum(map(len, parts)) + len(whole[index]) - len(parts[index]) <= height:
            parts[index] = whole[index]
    return [line for part in parts for line in part][: max(1, height)]


def _spaced(blocks: Sequence[Sequence[str]], height: int | None) -> list[str]:
    """Return all lines, with a blank one before each block on a terminal that has room for it."""
    spaced = [line for lines in blocks if lines for line in ("", *lines)][1:]
    return spaced if height is not None and len(spaced) <= height else [line for lines in blocks for line in lines]


def _grown(blocks: Sequence[Block], shown: Sequence[int], height: int, indices: Iterable[int]) -> list[int]:
    """Return how many rows each block shows when some of them have got one more, as far as the lines allow."""
    grown = list(shown)
    lines = [len(block.first(rows)) for block, rows in zip(blocks, grown, strict=True)]
    for index in indices:
        block = blocks[index]
        # The last row takes the line of "and 1 more", so two rows may cost no more than one.
        for rows in range(grown[index] + 1, min(len(block.rows), grown[index] + 2) + 1):
            longer = len(block.first(rows))
            if sum(lines) - lines[index] + longer <= height:
                grown[index], lines[index] = rows, longer
                break
    return grown
