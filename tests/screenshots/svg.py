"""What a program printed on a terminal, as an SVG: text that can be selected, in the colours of a dark terminal."""

import re
from collections.abc import Iterator
from html import escape

from cdsed.view.terminal import columns

_COLUMN, _LINE, _MARGIN = 8.4, 19, 14
_SGR = re.compile(r"\x1b\[([0-9;]*)m")
_STYLES = {
    "1": "font-weight:bold",
    "2": "opacity:.65",
    "31": "fill:#ff7b72",
    "32": "fill:#56d364",
    "33": "fill:#e3b341",
}


def picture(text: str, width: int, title: str) -> str:
    """Return the SVG of lines with SGR colours; `width` in columns."""
    lines = text.rstrip("\n").split("\n")
    wide, high = _MARGIN * 2 + width * _COLUMN, _MARGIN * 2 + len(lines) * _LINE
    rows = "\n".join(
        f"<text y='{_MARGIN + (at + 0.75) * _LINE:.1f}'>{_row(line)}</text>" for at, line in enumerate(lines)
    )
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {wide:.0f} {high:.0f}' role='img'>\n"
        f"<title>{escape(title)}</title>\n"
        f"<rect width='100%' height='100%' rx='6' fill='#0d1117'/>\n"
        "<g fill='#e6edf3' font-size='14' font-family='ui-monospace,DejaVu Sans Mono,Menlo,Consolas,monospace' "
        f"xml:space='preserve'>\n{rows}\n</g>\n</svg>\n"
    )


def _row(line: str) -> str:
    """Return the parts of a line; each has its place and length, so that any font stays in its columns."""
    at, made = 0, ""
    for style, part in _parts(line):
        for word in re.finditer(r"\S+(?: \S+)*", part):
            begin = at + columns(part[: word.start()])
            length = columns(word[0]) * _COLUMN
            styled = f" style='{style}'" if style else ""
            made += (
                f"<tspan x='{_MARGIN + begin * _COLUMN:.1f}' textLength='{length:.1f}' "
                f"lengthAdjust='spacingAndGlyphs'{styled}>{escape(word[0])}</tspan>"
            )
        at += columns(part)
    return made


def _parts(line: str) -> Iterator[tuple[str, str]]:
    style, at = "", 0
    for code in _SGR.finditer(line):
        if code.start() > at:
            yield style, line[at : code.start()]
        style, at = _STYLES.get(code[1], ""), code.end()
    if at < len(line):
        yield style, line[at:]
