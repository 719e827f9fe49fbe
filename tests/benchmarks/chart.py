"""A chart of ratios as an SVG: bars with the spread of the repeats, readable on a light and on a dark page."""

from collections.abc import Sequence
from html import escape

from tests.benchmarks.result import Result

_WIDTH, _LABELS, _BAR, _ROW, _HEAD, _MARGIN = 820, 330, 16, 26, 34, 16
_STYLE = """
.back{fill:#fff}.text{fill:#1f2328}.faint{fill:#59636e}.line{stroke:#59636e}
.ours{fill:#0969da}.once{fill:#54aeff}.spread{stroke:#1f2328}
@media(prefers-color-scheme:dark){.back{fill:#0d1117}.text{fill:#e6edf3}.faint{fill:#9198a1}.line{stroke:#9198a1}
.ours{fill:#388bfd}.once{fill:#1f6feb}.spread{stroke:#e6edf3}}
""".strip()


def chart(title: str, groups: Sequence[tuple[str, Sequence[tuple[str, Result]]]], unit_at: float = 1.0) -> str:
    """Return the SVG.

    Parameters
    ----------
    title
        For those who cannot see it, and above it.
    groups
        A heading and its bars, each with a label.
    unit_at
        Where to draw the line that is compared with.
    """
    bars = [result for _heading, rows in groups for _label, result in rows]
    most = max([unit_at * 1.2, *(result.highest or result.value for result in bars)])
    per_unit = (_WIDTH - _LABELS - 90) / most
    parts, at = [], _MARGIN + _HEAD
    for heading, rows in groups:
        parts.append(f"<text class='text' font-weight='bold' x='{_MARGIN}' y='{at + 14}'>{escape(heading)}</text>")
        at += _ROW
        for number, (label, result) in enumerate(rows):
            parts += _bar(label, result, at, per_unit, "ours" if number % 2 == 0 else "once")
            at += _ROW
        at += 8
    line = _LABELS + unit_at * per_unit
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {_WIDTH} {at + _MARGIN}' role='img'>\n"
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n"
        f"<rect class='back' width='100%' height='100%' rx='6'/>\n"
        "<g font-size='13' font-family='system-ui,-apple-system,Segoe UI,DejaVu Sans,sans-serif'>\n"
        f"<text class='text' x='{_MARGIN}' y='{_MARGIN + 12}' font-size='15'>{escape(title)}</text>\n"
        + "\n".join(parts)
        + f"\n<line class='line' x1='{line:.1f}' x2='{line:.1f}' y1='{_HEAD + 8}' y2='{at}' stroke-dasharray='4 3'/>\n"
        "</g>\n</svg>\n"
    )


def _bar(label: str, result: Result, at: int, per_unit: float, kind: str) -> list[str]:
    """Return label, bar, spread and figure of one row."""
    middle, length = at + _BAR / 2, result.value * per_unit
    parts = [
        f"<text class='faint' x='{_LABELS - 10}' y='{middle + 4}' text-anchor='end'>{escape(label)}</text>",
        f"<rect class='{kind}' x='{_LABELS}' y='{at}' width='{length:.1f}' height='{_BAR}' rx='2'/>",
    ]
    end = length
    if result.lowest is not None and result.highest is not None:
        first, end = result.lowest * per_unit, result.highest * per_unit
        parts.append(
            f"<line class='spread' x1='{_LABELS + first:.1f}' x2='{_LABELS + end:.1f}' y1='{middle}' y2='{middle}'/>"
        )
    text = _LABELS + max(length, end) + 8
    return [*parts, f"<text class='text' x='{text:.1f}' y='{middle + 4}'>{result.value:.2f}</text>"]
