"""Measure how plain README.md and docs/*.md are: ``python -m tests.architecture.prose``.

Literary words, semicolons and "you" are counted in 1000 words of prose; examples are the lines of indented or fenced
blocks, as a share of all lines that are not blank. Decisions (``docs/decisions``) are a record, and evidence.md is a
list of tests: both are not measured.
"""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LITERARY = (
    *("is no", "is none", "are no", "was no", "whoever", "nobody", "somebody", "anybody", "told", "is told", "anew"),
    *("lies", "lie", "wish", "wishes", "befell", "befalls", "lest", "come again", "comes again", "goes on", "go on"),
    *("for ever", "by itself", "by themselves"),
)
_LITERARY = re.compile(rf"\b(?:{'|'.join(sorted(LITERARY, key=len, reverse=True))})\b", re.IGNORECASE)
_YOU = re.compile(r"\b(?:you|your|yours|yourself)\b", re.IGNORECASE)
_WORD = re.compile(r"[\w'-]*[A-Za-z][\w'-]*")
_ITEM = re.compile(r"\s*(?:[*-]|\d+\.) ")
# A code span, the target of a link, an HTML entity: what they hold is not prose.
_NOT_PROSE = re.compile(r"`[^`]*`|\]\([^)]*\)|<https?://[^>]*>|&\w+;")


@dataclass(frozen=True)
class Measure:
    """What was counted in one text, or in several."""

    words: int = 0
    literary: int = 0
    semicolons: int = 0
    you: int = 0
    lines: int = 0
    example_lines: int = 0

    def __add__(self, other: "Measure") -> "Measure":
        """Return the sum of both."""
        return Measure(*(mine + its for mine, its in zip(vars(self).values(), vars(other).values(), strict=True)))

    def per_1000(self, count: int) -> float:
        """Return a count per 1000 words."""
        return 1000 * count / max(1, self.words)

    @property
    def examples_percent(self) -> float:
        """The share of example lines."""
        return 100 * self.example_lines / max(1, self.lines)


def pages() -> list[Path]:
    """Return the pages that are measured."""
    return [ROOT / "README.md", *sorted(set((ROOT / "docs").glob("*.md")) - {ROOT / "docs/evidence.md"})]


def measure(text: str) -> Measure:
    """Count in one page."""
    prose, examples = _split(text)
    running = _NOT_PROSE.sub(" ", "\n".join(prose))
    return Measure(
        words=len(_WORD.findall(running)),
        literary=len(_LITERARY.findall(" ".join(running.split()))),
        semicolons=running.count(";"),
        you=len(_YOU.findall(running)),
        lines=len(prose) + len(examples),
        example_lines=len(examples),
    )


def total() -> Measure:
    """Count in all pages together."""
    return sum((measure(page.read_text("utf-8")) for page in pages()), Measure())


def _split(text: str) -> tuple[list[str], list[str]]:
    """Return the lines of prose and those of examples; blank lines are neither."""
    prose: list[str] = []
    examples: list[str] = []
    fenced = in_block = in_list = False
    blank_above = True
    for line in text.split("\n"):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif not line.strip():
            blank_above = True
            continue
        elif fenced:
            examples.append(line)
        else:
            indent = len(line) - len(line.lstrip())
            # In a list four columns may only continue an item; six are a block there.
            in_block = indent >= (6 if in_list else 4) and (blank_above or in_block)
            (examples if in_block else prose).append(line)
            in_list = bool(_ITEM.match(line)) or (in_list and indent > 0)
        blank_above = False
    return prose, examples


def _row(name: str, counted: Measure) -> str:
    return (
        f"{name:28} {counted.words:6} {counted.per_1000(counted.literary):9.1f} "
        f"{counted.per_1000(counted.semicolons):11.1f} {counted.per_1000(counted.you):6.1f} "
        f"{counted.examples_percent:9.0f} %"
    )


def main() -> None:
    """Print one line for each page, and one for all."""
    print(f"{'page':28} {'words':>6} {'literary':>9} {'semicolons':>11} {'you':>6} {'examples':>11}")
    for page in pages():
        print(_row(str(page.relative_to(ROOT)), measure(page.read_text("utf-8"))))
    print(_row("all", total()))


if __name__ == "__main__":
    main()
