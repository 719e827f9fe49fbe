"""Tables for a terminal of any width: a narrow one shows fewer columns, and lines never wrap."""

from collections.abc import Sequence

from cdsed.frozen import frozen
from cdsed.view.terminal import Canvas, columns, cut, printable

_GAP = "  "
_INDENT = "  "


@frozen
class Column:
    """One column.

    Parameters
    ----------
    rank
        Where the width is too small, the columns with the highest rank are left out first; 0 stays longest.
    right
        Whether it is aligned to the right.
    shrinks_to
        The smallest width to which its cells may be cut on a terminal; None: they are never cut.
    title
        What stands above it in a table with titles.
    """

    rank: int = 0
    right: bool = False
    shrinks_to: int | None = None
    title: str = ""


def table(canvas: Canvas, heads: Sequence[Column], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table; the cells must be without colours."""
    rows = [[printable(cell) for cell in row] for row in rows]
    kept = list(range(len(heads)))
    widths = [max((columns(row[index]) for row in rows), default=0) for index in kept]
    if canvas.width is not None:
        available = canvas.width - len(_INDENT)
        while _least(heads, widths, kept) > available and len(kept) > 1:
            kept.remove(max(kept, key=lambda index: heads[index].rank))
        widths = _shrunk(heads, widths, kept, available)
    kept = [index for index in kept if widths[index]]
    return [
        (_INDENT + _GAP.join(_cell(heads[index], row[index], widths[index]) for index in kept)).rstrip() for row in rows
    ]


def titled_table(canvas: Canvas, heads: Sequence[Column], rows: Sequence[Sequence[str]]) -> tuple[str, list[str]]:
    """Return the line of titles, which begins further left, and the lines of a table; an empty column has no title."""
    titles = [head.title if any(row[index] for row in rows) else "" for index, head in enumerate(heads)]
    first, *lines = table(canvas, heads, [titles, *rows])
    return f"{titles[0]}{_INDENT}{first[len(_INDENT) + len(titles[0]) :]}".rstrip(), lines


def _least(heads: Sequence[Column], widths: Sequence[int], kept: Sequence[int]) -> int:
    """Return the smallest width of the kept columns together."""
    least = [min(widths[index], heads[index].shrinks_to or widths[index]) for index in kept]
    return sum(least) + len(_GAP) * (len(kept) - 1)


def _shrunk(heads: Sequence[Column], widths: Sequence[int], kept: Sequence[int], available: int) -> list[int]:
    """Return the widths after cutting the surplus from the columns that may shrink, the widest first."""
    shrunk = list(widths)
    too_much = sum(widths[index] for index in kept) + len(_GAP) * (len(kept) - 1) - available
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
