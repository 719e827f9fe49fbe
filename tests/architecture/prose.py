"""Measure how plain the pages and the comments are: ``python -m tests.architecture.prose``.

Literary words, semicolons and "you" are counted in 1000 words of prose; examples are the lines of indented or fenced
blocks, as a share of all lines that are not blank. Decisions (``docs/decisions``) are a record, evidence.md and
real-world.md are lists of tests: these are not measured. Of the source, literary words are counted in 100 lines of
comments and docstrings.
"""

import io
import re
import tokenize
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


_LISTS_OF_TESTS = {ROOT / "docs/evidence.md", ROOT / "docs/real-world.md"}


def pages() -> list[Path]:
    """Return the pages that are measured."""
    return [ROOT / "README.md", *sorted(set((ROOT / "docs").glob("*.md")) - _LISTS_OF_TESTS)]


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


def source_files() -> list[Path]:
    """Return the Python and SQL files that are measured; migrations are never changed again."""
    found = [path for room in ("cdsed", "tests") for kind in ("*.py", "*.sql") for path in (ROOT / room).rglob(kind)]
    return sorted(path for path in found if "migrations" not in path.parts and "data" not in path.parts)


def comments(path: Path) -> str:
    """Return the comments and docstrings of a source file."""
    text = path.read_text("utf-8")
    if path.suffix == ".sql":
        return "\n".join(line.partition("--")[2] for line in text.splitlines() if not line.startswith("-- name:"))
    found, statement_begins = [], True
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT or (token.type == tokenize.STRING and statement_begins):
            found.append(token.string)
        if token.type not in (tokenize.NL, tokenize.COMMENT):
            statement_begins = token.type in (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING)
    return "\n".join(found)


def literary_words(text: str) -> list[str]:
    """Return every literary word of a text, also one that a line break divides."""
    return _LITERARY.findall(" ".join(re.sub(r"^\s*#", " ", text, flags=re.MULTILINE).split()))


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
    print()
    print(f"{'source':44} {'lines':>6} {'literary':>9}")
    for path in source_files():
        text = comments(path)
        lines = sum(1 for line in text.splitlines() if line.strip())
        if words := literary_words(text):
            print(f"{path.relative_to(ROOT)!s:44} {lines:6} {len(words):9}  {', '.join(words)}")


if __name__ == "__main__":
    main()
