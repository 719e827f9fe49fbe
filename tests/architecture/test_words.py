"""The words of the source: plain comments, names of the field, and one meaning for each name."""

import ast
import re
from collections import defaultdict

import pytest

from tests.architecture.prose import comments, literary_words, source_files
from tests.architecture.sources import sources

# The glossary has better words than these. No name may contain one.
_WORN = (
    *(
        "anew",
        "bench",
        "blame",
        "crew",
        "handful",
        "hurry",
        "keystory",
        "lifeline",
        "neighbours",
        "outlook",
        "restraint",
    ),
    *("setback", "setbacks", "strangers", "told", "trouble", "troubles", "upkeep", "whereabouts", "wish", "wishes"),
)
_NAMED_AFTER_A_COMMAND = "cdsed.cli."  # `cdsed status` is cdsed/cli/status.py
_NAMED_BY_CDSODATACLI = "cdsed.compat."
_IMITATION = "cdsed.sandbox."  # it has the parts of the service it imitates


def test_comments_and_docstrings_are_plain():
    lines = words = 0
    for path in source_files():
        text = comments(path)
        lines += sum(1 for line in text.splitlines() if line.strip())
        words += len(literary_words(text))
    assert lines > 5000
    assert 100 * words / lines < 0.5


@pytest.mark.parametrize("source", sources(), ids=lambda source: source.name)
def test_no_name_has_a_worn_word(source):
    names = {
        name
        for node in ast.walk(source.tree)
        for name in (getattr(node, "name", None), getattr(node, "id", None), getattr(node, "attr", None))
        if isinstance(name, str)
    }
    assert {name for name in names if set(re.findall(r"[a-z]+", _snake(name))) & set(_WORN)} == set()


def test_each_class_has_a_name_of_its_own():
    found = defaultdict(list)
    for source in sources():
        for node in ast.walk(source.tree):
            if isinstance(node, ast.ClassDef):
                found[node.name.lstrip("_")].append(source.name)
    assert {name: where for name, where in found.items() if len(where) > 1} == {}


def test_each_module_has_a_name_of_its_own():
    found = defaultdict(list)
    for source in sources():
        if not source.name.startswith((_NAMED_AFTER_A_COMMAND, _NAMED_BY_CDSODATACLI, _IMITATION)):
            found[source.name.rpartition(".")[2]].append(source.name)
    assert {name: where for name, where in found.items() if len(where) > 1} == {}


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
