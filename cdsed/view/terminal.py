"""What the output can show: how wide it is, whether it may be coloured or redrawn, which characters it prints."""

import os
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TextIO

_BEYOND_ASCII = "●○·✕█░…"
_ASCII = str.maketrans(dict(zip(_BEYOND_ASCII, "#o.x#-~", strict=True)))
_WIDE = "WF"  # East Asian wide and full-width characters take two columns


class Colour(StrEnum):
    """The few colours there are, as SGR parameters (ECMA-48)."""

    SUCCEEDED = "32"
    BAD = "31"
    CAREFUL = "33"
    FAINT = "2"
    TITLE = "1"


@dataclass(frozen=True, slots=True)
class Canvas:
    """What text may look like.

    Parameters
    ----------
    width, height
        Columns and lines of the terminal; None where there is none, and nothing is ever cut.
    colour
        Whether colours may be used.
    ascii_only
        Whether the marks beyond ASCII have to be replaced.
    """

    width: int | None = None
    height: int | None = None
    colour: bool = False
    ascii_only: bool = False

    @classmethod
    def of(cls, stream: TextIO) -> "Canvas":
        """Return what `stream` can show; https://no-color.org is respected."""
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
        """Return `text` in a colour, or as it is."""
        return f"\x1b[{colour.value}m{text}\x1b[0m" if self.colour and text else text

    def wrap(self, text: str, indent: str = "") -> list[str]:
        """Return a sentence in lines of the width, all of them indented."""
        text = printable(text)
        if self.width is None:
            return [indent + text] if text else []
        import textwrap

        return textwrap.wrap(text, max(self.width, 20), initial_indent=indent, subsequent_indent=indent)

    def flow(self, title: str, items: Sequence[str]) -> list[str]:
        """Return a title and items beside it; what has no room goes to lines below, no item is cut in two."""
        lines = [title]
        for item in map(printable, items):
            longer = f"{lines[-1]}  {item}"
            if self.width is None or columns(longer) <= self.width:
                lines[-1] = longer
            else:
                lines.append(f"{' ' * len(title)}  {item}")
        return lines


def printable(text: str) -> str:
    """Return `text` without characters that would do something to a terminal: names of files may hold any."""
    return "".join(each if each.isprintable() else " " for each in text)


def columns(text: str) -> int:
    """Return how many columns of a terminal `text` takes."""
    return sum(
        0 if unicodedata.combining(each) else 2 if unicodedata.east_asian_width(each) in _WIDE else 1 for each in text
    )


def cut(text: str, width: int) -> str:
    """Return `text` in at most `width` columns, an ellipsis in its middle where something is left out."""
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
    """Lines that are drawn again and again: in place on a terminal, one block after the other elsewhere."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._in_place = Canvas.of(stream).height is not None
        self._drawn = 0

    def canvas(self) -> Canvas:
        """Return what the output can show now; windows change their size."""
        return Canvas.of(self._stream)

    def draw(self, lines: Sequence[str]) -> None:
        """Show `lines` instead of those drawn last."""
        height = self.canvas().height
        if self._in_place and height is not None:
            lines = lines[: max(1, height - 1)]  # what has scrolled away cannot be drawn over
        self.erase()
        self._stream.write("".join(f"{line}\n" for line in lines))
        self._stream.flush()
        self._drawn = len(lines) if self._in_place else 0

    def erase(self) -> None:
        """Take away what was drawn last, where that is possible."""
        if self._drawn:
            self._stream.write(f"\x1b[{self._drawn}F\x1b[J")
            self._drawn = 0


def _can_encode(encoding: str) -> bool:
    try:
        _BEYOND_ASCII.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True
