"""What keeps the code easy to maintain: small modules and functions, SQL apart, and no module for odds and ends."""

import ast
import re

import pytest

from tests.architecture.sources import ROOT, sources

_SOURCES = sources()
_MODULE_LINES_MAX = 330
_FUNCTION_LINES_MAX = 60
_SQL = re.compile(r"\s*(SELECT|INSERT INTO|INSERT OR|UPDATE \w+ SET|DELETE FROM|CREATE (TABLE|INDEX|TRIGGER|VIEW))\b")
_WORKPLACE = re.compile(r"(?<![\w.])/(work|tmp/brief|root)/|\.\./shared/(?!data)")


@pytest.mark.parametrize("source", _SOURCES, ids=lambda source: source.name)
def test_modules_and_functions_are_small(source):
    assert source.text.count("\n") <= _MODULE_LINES_MAX
    long = {
        node.name: node.end_lineno - node.lineno + 1
        for node in source.functions()
        if node.end_lineno - node.lineno + 1 > _FUNCTION_LINES_MAX
    }
    assert not long


def test_nothing_is_called_utils_helpers_or_common():
    ours = [source.name for source in _SOURCES if source.name != "cdsed.compat.utils"]  # that name is cdsodatacli's
    names = {part for name in ours for part in name.split(".")}
    assert not {name for name in names if re.search(r"util|helper|common|misc|_v2$", name)}


def _swallows_all(handler: ast.ExceptHandler) -> bool:
    kinds = ast.unparse(handler.type) if handler.type else "Exception"
    last = handler.body[-1]
    raises_again = isinstance(last, ast.Raise) and last.exc is None
    return bool(re.search(r"\b(Base)?Exception\b", kinds)) and not raises_again


def test_unexpected_errors_are_caught_where_a_process_thread_product_or_hook_ends_and_nowhere_else():
    catching = {
        source.name
        for source in _SOURCES
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ExceptHandler) and _swallows_all(node)
    }
    command, worker, supervisor, product = (
        "cdsed.cli.main",
        "cdsed.process.worker_control",
        "cdsed.process.hook_calls",
        "cdsed.work.boundary",
    )
    # They raise it elsewhere, or report it.
    threads = {"cdsed.work.session_pool", "cdsed.schedule.ticks", "cdsed.engine.held_connection"}
    hook = "cdsed.work.hook_worker"  # one that fails must not end the worker of all
    assert catching == {command, worker, supervisor, product, hook, *threads}


@pytest.mark.parametrize("source", _SOURCES, ids=lambda source: source.name)
def test_sql_stands_in_sql_files_only(source):
    texts = [
        node.value for node in ast.walk(source.tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    assert not [text for text in texts if _SQL.match(text)]


@pytest.mark.parametrize("source", _SOURCES, ids=lambda source: source.name)
def test_every_module_says_what_it_is(source):
    assert ast.get_docstring(source.tree)


def test_nothing_names_the_place_it_was_written_at():
    kinds = {".py", ".sql", ".yml", ".md", ".toml", ".service", ".conf", ".txt"}
    folders = [ROOT / name for name in ("cdsed", "tests", "docs", "etc", "systemd", ".ci")]
    files = [path for folder in folders for path in folder.rglob("*") if path.suffix in kinds]
    files += [ROOT / name for name in ("README.md", "CHANGELOG.md", "Makefile", "pyproject.toml")]
    guilty = [
        str(path.relative_to(ROOT))
        for path in files
        if path.exists() and path.name != "test_code.py" and _WORKPLACE.search(path.read_text(encoding="utf-8"))
    ]
    assert not guilty


_QUERIES = sorted(path for path in (ROOT / "cdsed" / "store" / "sql").glob("*.sql") if path.stem != "schema")


@pytest.mark.parametrize("sql", _QUERIES, ids=lambda path: path.stem)
def test_every_named_query_is_used(sql):
    code = (ROOT / "cdsed" / "store" / f"{sql.stem}.py").read_text(encoding="utf-8")
    names = re.findall(r"^-- name: (\w+)$", sql.read_text(encoding="utf-8"), re.MULTILINE)
    assert [name for name in names if f"_SQL.{name}" not in code] == []
