"""Tables for a terminal of any width: where it is narrow they lose columns, and never wrap."""

from collections.abc import Sequence
from dataclasses import dataclass

from cdsed.view.terminal import Canvas, columns, cut, printable

_GAP = "  "
_INDENT = "  "


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Parameters
    ----------
    rank
        Columns with the highest rank go first where there is no room; 0 stays.
    right
        Whether it is aligned to the right.
    shrinks_to
        The least width to which its cells may be cut on a terminal; None: they may not.
    """

    rank: int = 0
    right: bool = False
    shrinks_to: int | None = None


def table(canvas: Canvas, heads: Sequence[Column], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table; cells hold no colours."""
    rows = [[printable(cell) for cell in row] for row in rows]
    kept = list(range(len(heads)))
    widths = [max((columns(row[index]) for row in rows), default=0) for index in kept]
    if canvas.width is not None:
        quota_free_at = canvas.width - len(_INDENT)
        while _least(heads, widths, kept) > quota_free_at and len(kept) > 1:
            kept.remove(max(kept, key=lambda index: heads[index].rank))
        widths = _shrunk(heads, widths, kept, quota_free_at)
    kept = [index for index in kept if widths[index]]
    return [
        (_INDENT + _GAP.join(_cell(heads[index], row[index], widths[index]) for index in kept)).rstrip() for row in rows
    ]


def _least(heads: Sequence[Column], widths: Sequence[int], kept: Sequence[int]) -> int:
    """Return how narrow the kept columns can be."""
    least = [min(widths[index], heads[index].shrinks_to or widths[index]) for index in kept]
    return sum(least) + len(_GAP) * (len(kept) - 1)


def _shrunk(heads: Sequence[Column], widths: Sequence[int], kept: Sequence[int], quota_free_at: int) -> list[int]:
    """Take what is too much from the columns that may shrink, the widest first."""
    shrunk = list(widths)
    too_much = sum(widths[index] for index in kept) + len(_GAP) * (len(kept) - 1) - quota_free_at
    for index in sorted(kept, key=lambda index: -widths[index]):
        least = heads[index].shrinks_to
        if least is not None and too_much > 0:
            taken = min(too_much, max(0, shrunk[index] - least))
            shrunk[index] -= taken
            too_much -= taken
    return shrunk


def _cell(head: Column, text: str, width: int) -> str:
    text = cut(text, width)
    padding = " " * (width - columns(text))
    return padding + text if head.right else text + padding
