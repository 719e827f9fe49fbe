"""Write docs/evidence.md, the tests of each guarantee and fault, from tests/data/evidence.yml: ``make docs``."""

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "evidence.md"
LIST = ROOT / "tests" / "data" / "evidence.yml"

LINK = re.compile(r"\[[Tt]ests\]\(evidence\.md#(?P<key>(?:guarantee|fault)-\d+)\)\.?")

_HEAD = """\
# Evidence: the tests behind each promise

Generated from `tests/data/evidence.yml`, `docs/guarantees.md` and `docs/faults.md` by `make docs`. Tests check that
it is equal, that every test exists, that every guarantee has one, and that every fault has one or says *not tested* and
why.

You can run one of them: `make test TESTS=tests/unit/inbox/test_parse.py`.

Tests marked (soak) take too long for every change, and run with `make soak`. Tests that need root, mounts or strace are
skipped, with the reason, where you do not have these.
"""


def evidence() -> dict[str, list[str]]:
    """Return the tests, as ``path::name``, by the link of the sentence or row that they show."""
    listed = yaml.safe_load(LIST.read_text("utf-8"))
    return {str(key): [str(each) for each in tests] for key, tests in listed.items()}


def guarantees() -> list[str]:
    """Return the sentences of docs/guarantees.md that promise something."""
    promised, _, _ = (ROOT / "docs/guarantees.md").read_text("utf-8").partition("\n## What is not promised")
    return re.findall(r"^\* (.*?)(?=\n\* |\n\n|\Z)", promised, re.MULTILINE | re.DOTALL)


def faults() -> list[tuple[str, str, str, str]]:
    """Return the rows of docs/faults.md: number, fault, what cdsed does, link."""
    text = (ROOT / "docs/faults.md").read_text("utf-8")
    return re.findall(r"^\| (\d+) \| (.*) \| (.*) \| (.*) \|$", text, re.MULTILINE)


def page() -> str:
    """Return the page."""
    listed = evidence()
    lines = [_HEAD, "## Guarantees\n"]
    for sentence in guarantees():
        for link in LINK.finditer(sentence):
            text = " ".join(LINK.sub("", sentence).split())
            lines += _entry(link["key"], text, listed)
    lines.append("## Faults\n")
    for _, fault, done, shown in faults():
        for link in LINK.finditer(shown):
            lines += _entry(link["key"], f"{fault[0].upper()}{fault[1:]}: {done}.", listed)
    return "\n".join(lines).rstrip("\n") + "\n"


def _entry(key: str, text: str, listed: dict[str, list[str]]) -> list[str]:
    return [f"### {key}\n", f"{text}\n", *(f"    tests/{test}" for test in listed.get(key, [])), ""]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
