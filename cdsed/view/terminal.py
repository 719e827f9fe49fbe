"""What the output can show: its width, colours, characters, and whether lines can be redrawn."""

import os
import unicodedata
from collections.abc import Sequence
from enum import StrEnum
from typing import TextIO

from cdsed.frozen import frozen

_BEYOND_ASCII = "●○·✕█░…×▁▂▃▄▅▆▇"
_ASCII = str.maketrans(dict(zip(_BEYOND_ASCII, "#o.x#-~x_.:-=+*", strict=True)))
_WIDE = "WF"  # East Asian wide and full-width characters take two columns


class Colour(StrEnum):
    """The colours in use, as SGR parameters (ECMA-48)."""

    SUCCEEDED = "32"
    BAD = "31"
    CAREFUL = "33"
    FAINT = "2"
    TITLE = "1"


@frozen
class Canvas:
    """The form that text may have.

    Parameters
    ----------
    width, height
        Columns and lines of the terminal; None without a terminal: then text is never cut.
    colour
        Whether colours may be used.
    ascii_only
        Whether marks beyond ASCII have to be replaced.
    """

    width: int | None = None
    height: int | None = None
    colour: bool = False
    ascii_only: bool = False

    @classmethod
    def of(cls, stream: TextIO) -> "Canvas":
        """Return what `stream` can show; ``NO_COLOR`` is respected (https://no-color.org)."""
        ascii_only = not _can_encode(stream.encoding or "ascii")
        if not stream.isatty():
            return cls(ascii_only=ascii_only)
        import shutil

        size = shutil.get_terminal_size()
        colour = not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb"
        return cls(size.columns, size.lines, colour, ascii_only)

    def marks(self, text: str) -> str:
        """Return `text` with marks that this output can print."""
        return text.translate(_ASCII) if self.ascii_only else text

    def paint(self, text: str, colour: Colour) -> str:
        """Return `text` in a colour, or unchanged where colours are off."""
        return f"\x1b[{colour.value}m{text}\x1b[0m" if self.colour and text else text

    def clip(self, text: str) -> str:
        """Return a line in at most the width; if it is clipped, it ends with an ellipsis."""
        if self.width is None or columns(text) <= self.width:
            return text
        while text and columns(text) >= self.width:
            text = text[:-1]
        return f"{text.rstrip()}…"

    def wrap(self, text: str, indent: str = "", hanging: str = "") -> list[str]:
        """Return a sentence wrapped to the width; every line is indented, and those below the first also hang."""
        text = printable(text)
        if self.width is None:
            return [indent + text] if text else []
        import textwrap

        return textwrap.wrap(text, max(self.width, 20), initial_indent=indent, subsequent_indent=indent + hanging)

    def flow(self, title: str, items: Sequence[str]) -> list[str]:
        """Return a title with items beside it; items that do not fit follow on lines below, none is divided."""
        lines = [title]
        for item in map(printable, items):
            longer = f"{lines[-1]}  {item}"
            if self.width is None or columns(longer) <= self.width:
                lines[-1] = longer
            else:
                lines.append(f"{' ' * len(title)}  {item}")
        return lines


def printable(text: str) -> str:
    """Return `text` with spaces for control characters: names of files may have any, and a terminal acts on them."""
    return "".join(each if each.isprintable() else " " for each in text)


def columns(text: str) -> int:
    """Return how many columns of a terminal `text` takes."""
    return sum(
        0 if unicodedata.combining(each) else 2 if unicodedata.east_asian_width(each) in _WIDE else 1 for each in text
    )


def cut(text: str, width: int) -> str:
    """Return `text` in at most `width` columns; if it is cut, an ellipsis is in its middle."""
    if columns(text) <= width:
        return text
    tail = text[-((width - 1) // 2) :] if width > 2 else ""
    while columns(tail) > (width - 1) // 2:
        tail = tail[1:]
    head = text[:width]
    while columns(head) + 1 + columns(tail) > max(width, 1):
        head = head[:-1]
    return f"{head}…{tail}"


class Live:
    """Lines that are drawn repeatedly: in place on a terminal, one block after the other elsewhere."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._in_place = Canvas.of(stream).height is not None
        self._drawn = 0

    def canvas(self) -> Canvas:
        """Return what the output can show now; the size of a window may have changed."""
        return Canvas.of(self._stream)

    def draw(self, lines: Sequence[str]) -> None:
        """Show `lines` instead of those drawn last."""
        height = self.canvas().height
        if self._in_place and height is not None:
            lines = lines[: max(1, height - 1)]  # lines that have scrolled away cannot be redrawn
        self.erase()
        self._stream.write("".join(f"{line}\n" for line in lines))
        self._stream.flush()
        self._drawn = len(lines) if self._in_place else 0

    def erase(self) -> None:
        """Erase the lines that were drawn last, on a terminal."""
        if self._drawn:
            self._stream.write(f"\x1b[{self._drawn}F\x1b[J")
            self._drawn = 0


def _can_encode(encoding: str) -> bool:
    try:
        _BEYOND_ASCII.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True
