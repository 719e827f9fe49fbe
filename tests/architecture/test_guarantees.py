"""Each promise of the documents names tests that exist."""

import ast
import re
from functools import cache

import pytest

from tests.architecture.evidence_page import LINK, PAGE, evidence, faults, guarantees, page
from tests.architecture.sources import ROOT

_REFERENCE = re.compile(r"(?P<path>[\w/]+\.py)::(?P<test>(?:test_|Test)\w+)(?: \(soak\))?")
_FAULTS = 78


@cache
def _tests_of(path: str) -> frozenset[str]:
    file = ROOT / "tests" / path
    if not file.is_file():
        return frozenset()
    tree = ast.parse(file.read_text(encoding="utf-8"))
    functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    rule_based = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    return frozenset(functions | rule_based)


@pytest.mark.parametrize("key", evidence())
def test_every_test_that_the_evidence_names_exists(key):
    named = {each: _REFERENCE.fullmatch(each) for each in evidence()[key]}
    assert named
    assert [each for each, found in named.items() if not found or found["test"] not in _tests_of(found["path"])] == []


def test_every_fault_has_a_row_with_a_test_or_a_reason():
    rows = faults()
    assert [int(number) for number, *_ in rows] == list(range(1, _FAULTS + 1))
    bare = [
        number
        for number, _, done, shown in rows
        if [found["key"] for found in LINK.finditer(shown)] != [f"fault-{number}"] and "*not tested*: " not in done
    ]
    assert bare == []


def test_every_sentence_of_the_contract_is_shown_by_a_test():
    sentences = guarantees()
    assert len(sentences) > 10
    shown = [[found["key"] for found in LINK.finditer(sentence)] for sentence in sentences]
    assert shown == [[f"guarantee-{number}"] for number in range(1, len(sentences) + 1)]


def test_the_evidence_has_an_entry_for_each_link_and_no_other():
    linked = [found["key"] for sentence in guarantees() for found in LINK.finditer(sentence)]
    linked += [found["key"] for *_, shown in faults() for found in LINK.finditer(shown)]
    assert list(evidence()) == linked


def test_docs_evidence_md_is_what_make_docs_writes():
    assert PAGE.read_text(encoding="utf-8") == page(), "run `make docs`"
