"""The examples in the documents: each ``$ command`` and ``>>> statement`` with the output that is shown below it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROMPTS = {"$": "shell", ">>>": "python"}
_PROMPT = re.compile(r"( {4,})(\$|>>>) (.*)")
_HEREDOC = re.compile(r"<<'?(\w+)'?")
_HEADING = re.compile(r"#+ (.*)")
# What looks like a command without its prompt; a reader could not tell it from a listing of files.
_UNMARKED = re.compile(r" {4,}(?:sudo|make|cdsed|pip|python3?|curl|systemctl|journalctl|export|\.) +\S")


@dataclass
class Step:
    """One command or statement of a document."""

    document: str
    line: int
    section: str
    kind: str
    command: str
    shown: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.document}:{self.line}: {self.command}"


def documents() -> list[Path]:
    """Return the documents for users and developers."""
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def steps(path: Path) -> list[Step]:
    """Return the examples of a document, in order."""
    return parse(path.read_text("utf-8"), str(path.relative_to(ROOT)))


def parse(text: str, name: str) -> list[Step]:
    """Return the examples of a document's text, in order."""
    lines = text.split("\n")
    found: list[Step] = []
    section, at = "", 0
    while at < len(lines):
        if heading := _HEADING.fullmatch(lines[at]):
            section = heading[1]
        prompt = _PROMPT.fullmatch(lines[at])
        if prompt is None:
            at += 1
            continue
        block = _block(lines, at, prompt[1])
        step = Step(name, at + 1, section, PROMPTS[prompt[2]], "")
        taken = _split(step, block)
        found.append(step)
        at += taken
    return found


def unmarked(text: str) -> list[str]:
    """Return lines that look like commands and have no prompt."""
    of_steps = set()
    for step in parse(text, ""):
        of_steps |= set(range(step.line, step.line + step.command.count("\n") + 1 + len(step.shown)))
    lines = enumerate(text.split("\n"), start=1)
    return [line for number, line in lines if number not in of_steps and _UNMARKED.match(line)]


def spans(text: str) -> Iterator[str]:
    """Return what stands in backquotes in the prose of a document, on one line."""
    prose = "\n".join(line for line in text.split("\n") if not line.startswith("    "))
    prose = re.sub(r"^```.*?^```", "", prose, flags=re.MULTILINE | re.DOTALL)
    for span in re.findall(r"(?<!`)`([^`]+)`(?!`)", prose):
        yield " ".join(span.split())


def _block(lines: list[str], start: int, indent: str) -> list[str]:
    """Return the lines from `start` that stand as far to the right as it, blank ones included."""
    block = []
    for line in lines[start:]:
        if line.strip() and not line.startswith(indent):
            break
        block.append(line[len(indent) :])
    return block


def _split(step: Step, block: list[str]) -> int:
    """Fill in the command and what is shown below it; return how many lines both take."""
    command = [block[0].split(" ", 1)[1]]
    at = 1
    if step.kind == "python":
        while at < len(block) and block[at].startswith("..."):
            command.append(block[at][4:])
            at += 1
    else:
        while command[-1].endswith("\\"):
            command.append(block[at])
            at += 1
        if heredoc := _HEREDOC.search(command[-1]):
            end = block.index(heredoc[1], at) + 1
            command += block[at:end]
            at = end
    step.command = "\n".join(command)
    while at < len(block) and not block[at].startswith(("$ ", ">>> ")):
        step.shown.append(block[at])
        at += 1
    while step.shown and not step.shown[-1].strip():
        step.shown.pop()
    return at
