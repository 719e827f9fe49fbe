"""What the documents promise is shown by tests that exist."""

import ast
import re
from functools import cache

import pytest

from tests.architecture.sources import ROOT

_REFERENCE = re.compile(r"(?:tests/)?(?P<path>[\w/]+\.py)::(?P<test>(?:test_|Test)\w+)")
_DOCUMENTS = ("guarantees.md", "faults.md")
_FAULTS = 53


def _text(document: str) -> str:
    return (ROOT / "docs" / document).read_text(encoding="utf-8")


@cache
def _tests_of(path: str) -> frozenset[str]:
    file = ROOT / "tests" / path
    if not file.is_file():
        return frozenset()
    tree = ast.parse(file.read_text(encoding="utf-8"))
    functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    rule_based = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    return frozenset(functions | rule_based)


@pytest.mark.parametrize("document", _DOCUMENTS)
def test_every_test_that_a_document_names_exists(document):
    named = [(found["path"], found["test"]) for found in _REFERENCE.finditer(_text(document))]
    assert named
    assert [f"{path}::{test}" for path, test in named if test not in _tests_of(path)] == []


def test_every_fault_has_a_row_with_a_test_or_a_reason():
    rows = re.findall(r"^\| (\d+) \|(.*)\|(.*)\|(.*)\|$", _text("faults.md"), re.MULTILINE)
    assert [int(number) for number, *_ in rows] == list(range(1, _FAULTS + 1))
    bare = [number for number, _, done, shown in rows if not _REFERENCE.search(shown) and "*not tested*: " not in done]
    assert bare == []


def test_every_sentence_of_the_contract_is_shown_by_a_test():
    promised, _, _ = _text("guarantees.md").partition("\n## What is not promised")
    sentences = re.findall(r"^\* (.*?)(?=\n\* |\n\n|\Z)", promised, re.MULTILINE | re.DOTALL)
    assert len(sentences) > 10
    assert [sentence for sentence in sentences if not _REFERENCE.search(sentence)] == []
