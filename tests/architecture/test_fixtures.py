"""Tests that you can follow: one place for shared fixtures, no imports between tests, and types for what they hold."""

import ast
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from tests.architecture.sources import ROOT

_TESTS = ROOT / "tests"
_PLUGIN = _TESTS / "support" / "fixtures.py"
# Classes of Python and of libraries that are filled in by setting attributes.
_OF_LIBRARIES = {
    *("optionxform", "handlers", "socket", "timeout", "exitstatus", "auto_open"),
    *("external_attr", "header_offset", "CRC", "compress_size", "file_size"),  # of zipfile.ZipInfo
}


@dataclass(frozen=True)
class TestSource:
    """One file of the tests, with its tree."""

    __test__ = False
    path: Path
    tree: ast.Module

    @property
    def is_test(self) -> bool:
        """Whether pytest collects it."""
        return self.path.name.startswith("test_")

    @property
    def functions(self) -> list[ast.FunctionDef]:
        """All functions and methods."""
        return [node for node in ast.walk(self.tree) if isinstance(node, ast.FunctionDef)]


def _read(path: Path) -> TestSource:
    return TestSource(path, ast.parse(path.read_text("utf-8")))


_SOURCES = [_read(path) for path in sorted(_TESTS.rglob("*.py"))]


def _source(text: str, name: str = "tests/unit/x/test_wrong.py") -> TestSource:
    return TestSource(ROOT / name, ast.parse(text))


def _id(source: TestSource) -> str:
    return str(source.path.relative_to(ROOT))


def _is_fixture(function: ast.FunctionDef) -> bool:
    return any(ast.unparse(each).startswith("pytest.fixture") for each in function.decorator_list)


def _misplaced_fixtures(source: TestSource) -> list[str]:
    """Return fixtures that are neither in the plugin nor in the file of the tests that use them."""
    if source.is_test or source.path == _PLUGIN:
        return []
    return [function.name for function in source.functions if _is_fixture(function)]


def _wrong_imports(source: TestSource) -> Iterator[str]:
    """Yield imports from a conftest, from a file of tests, from the plugin, or from another directory of tests."""
    here = ".".join(source.path.relative_to(ROOT).parts[:-1])
    for node in ast.walk(source.tree):
        match node:
            case ast.ImportFrom(module=str(module)) if module.partition(".")[0] == "tests":
                folder, _, name = module.rpartition(".")
                neighbour = folder == here or module == here or module.startswith("tests.support.")
                if (
                    not neighbour
                    or name == "conftest"
                    or name.startswith("test_")
                    or module == "tests.support.fixtures"
                ):
                    yield f"{module}: {', '.join(alias.name for alias in node.names)}"


def _declared() -> set[str]:
    """Return the attributes that some class of cdsed or of the tests declares."""
    found = set()
    for path in [*(ROOT / "cdsed").rglob("*.py"), *_TESTS.rglob("*.py")]:
        for owner in (node for node in ast.walk(_read(path).tree) if isinstance(node, ast.ClassDef)):
            for node in ast.walk(owner):
                match node:
                    case ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]):
                        found.add(name)
                    case ast.Attribute(value=ast.Name(id="self"), attr=name, ctx=ast.Store()):
                        found.add(name)
    return found


def _set_on_the_fly(source: TestSource, declared: set[str]) -> Iterator[str]:
    """Yield attributes that no class declares, attributes that a fixture sets, and objects that take any attribute."""
    in_fixtures = {id(node) for function in source.functions if _is_fixture(function) for node in ast.walk(function)}
    for node in ast.walk(source.tree):
        match node:
            case ast.Attribute(value=ast.Name(id="self" | "cls")):
                pass
            case ast.Attribute(attr=name, ctx=ast.Store()) if name not in _OF_LIBRARIES:
                if name not in declared or id(node) in in_fixtures:
                    yield ast.unparse(node)
            case ast.Call(func=ast.Name(id="setattr" | "SimpleNamespace" as name)):
                yield name


def test_the_only_conftest_is_the_topmost():
    assert [_id(source) for source in _SOURCES if source.path.name == "conftest.py"] == ["tests/conftest.py"]


def _guilty(rule: Callable[[TestSource], Iterable[str]]) -> dict[str, list[str]]:
    """Return what a rule finds, by file."""
    found = {_id(source): list(rule(source)) for source in _SOURCES}
    return {name: wrong for name, wrong in found.items() if wrong}


def test_a_fixture_is_in_the_plugin_or_in_the_file_that_uses_it():
    assert _guilty(_misplaced_fixtures) == {}


def test_tests_import_from_support_and_their_own_directory_only():
    assert _guilty(_wrong_imports) == {}


def test_every_shared_fixture_is_used_by_several_tests_and_says_what_it_is():
    plugin = next(source for source in _SOURCES if source.path == _PLUGIN)
    fixtures = [function for function in plugin.functions if _is_fixture(function)]
    asked = [argument.arg for source in _SOURCES for function in source.functions for argument in function.args.args]
    assert [each.name for each in fixtures if asked.count(each.name) < 2 and each.name != "machine_sandbox"] == []
    assert [each.name for each in fixtures if not ast.get_docstring(each)] == []


def test_what_tests_hold_is_declared_by_a_class():
    assert _guilty(partial(_set_on_the_fly, declared=_declared())) == {}


def test_every_test_is_in_a_file_that_pytest_collects_and_has_a_name_of_its_own():
    for source in _SOURCES:
        names = [node.name for node in source.tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
        tests = [name for name in names if re.match(r"test_|Test[A-Z]", name)]
        uncollected = [name for name in tests if not source.is_test and name != "TestSource"]
        assert uncollected == [], _id(source)
        assert sorted(tests) == sorted(set(tests)), f"{_id(source)}: the later of two tests of one name hides the other"


@pytest.mark.parametrize(
    "text",
    [
        "from tests.unit.store.conftest import lab",
        "from tests.unit.x.test_other import NAME",
        "from tests.faults.intake import Lab",
        "from tests.support.fixtures import lab",
        "def f():\n    from tests.unit.y.state import X",
    ],
)
def test_a_wrong_import_is_found(text):
    assert list(_wrong_imports(_source(text)))


@pytest.mark.parametrize("text", ["from tests.support.state import X", "from tests.unit.x.helper import X"])
def test_a_right_import_passes(text):
    assert list(_wrong_imports(_source(text))) == []


def test_a_fixture_in_another_place_is_found():
    text = "@pytest.fixture(scope='module')\ndef lab(): ..."
    assert _misplaced_fixtures(_source(text, "tests/support/x.py")) == ["lab"]
    assert _misplaced_fixtures(_source(text)) == []


@pytest.mark.parametrize(
    "text",
    [
        "def test_x(lab):\n    lab.extra = 1",
        "lab.one, lab.extra = 1, 2",
        "@pytest.fixture\ndef x(lab):\n    lab.one = 1",
        "setattr(lab, 'one', 1)",
        "lab = SimpleNamespace(one=1)",
    ],
)
def test_an_attribute_set_on_the_fly_is_found(text):
    assert list(_set_on_the_fly(_source(text), {"one"}))


def test_a_declared_attribute_may_be_set_by_a_test():
    assert list(_set_on_the_fly(_source("def test_x(lab):\n    lab.one = 1\n    self.two = 2"), {"one"})) == []
