"""The schema in one file is what the migrations make: new states are made of it."""

import re
import sqlite3
from contextlib import closing

import pytest

from cdsed.store.database import FILE_NAME, open_state
from cdsed.store.queries import migrations
from tests.architecture.schema_page import PAGE, SCHEMA, _laid_out, migrated, page, schema
from tests.architecture.sources import ROOT


@pytest.fixture(scope="module")
def state():
    with closing(migrated()) as db:
        yield db


@pytest.fixture
def read():
    with closing(sqlite3.connect(":memory:")) as db:
        db.executescript(SCHEMA.read_text("utf-8"))
        yield db


def _names(db, kind):
    return {row[0] for row in db.execute("SELECT name FROM sqlite_schema WHERE type = ?", [kind])}


def _words(db, kind):
    found = db.execute("SELECT name, sql FROM sqlite_schema WHERE type = ? AND sql IS NOT NULL", [kind])
    return {name: " ".join(sql.split()) for name, sql in found}


def test_the_files_are_what_make_docs_writes(state):
    assert SCHEMA.read_text("utf-8") == schema(state), "run `make docs`"
    assert PAGE.read_text("utf-8") == page(state), "run `make docs`"


def test_the_schema_in_one_file_makes_the_same_tables_as_the_migrations(state, read):
    assert _names(read, "table") == _names(state, "table")
    for table in _names(state, "table"):
        for pragma in ("table_xinfo", "foreign_key_list", "index_list"):
            rows = [sorted(map(str, db.execute(f"PRAGMA {pragma}({table})"))) for db in (read, state)]
            assert rows[0] == rows[1], f"{pragma} of {table}"
    for kind in ("index", "view", "trigger"):
        assert _words(read, kind) == _words(state, kind)


def _tokens(sql):
    """Return the words and signs of a definition without its comments, in any order."""
    return sorted(re.findall(r"\w+|[^\s\w]", re.sub(r"--.*", "", sql)))


def test_its_tables_have_the_same_checks(state, read):
    definition = "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?"
    for table in _names(state, "table"):
        one, other = (_tokens(db.execute(definition, [table]).fetchone()[0]) for db in (read, state))
        assert one == other, table


def test_an_empty_state_has_the_same_rows_and_version(state, read):
    for pragma in ("user_version", "application_id"):
        assert read.execute(f"PRAGMA {pragma}").fetchone() == state.execute(f"PRAGMA {pragma}").fetchone()
    for table in _names(state, "table"):
        one, other = (sorted(db.execute(f"SELECT * FROM {table}").fetchall()) for db in (read, state))
        assert one == other, table


def test_its_first_line_says_that_it_is_generated_and_how():
    first = SCHEMA.read_text("utf-8").split("\n")[0]
    assert "Generated from" in first
    assert "`make docs`" in first


def test_a_new_state_is_what_the_migrations_make(state, tmp_path):
    open_state(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as new:
        assert schema(new) == schema(state)


def test_no_package_brings_sql_of_its_own():
    assert SCHEMA.read_text("utf-8") not in migrations()
    packaging = [path for path in (ROOT / "packaging").rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert [path.name for path in packaging if ".sql" in path.read_text("utf-8")] == []


@pytest.mark.parametrize(
    ("sql", "shown"),
    [
        ("CREATE TABLE a (\n    b INTEGER  -- one\n, c TEXT) STRICT", "    b INTEGER,  -- one\n    c TEXT\n) STRICT"),
        (
            "CREATE TABLE a (\n    b TEXT, c TEXT, d TEXT,  -- x\n    UNIQUE (b, c)\n)",
            "    b TEXT,            -- x\n    c TEXT,\n",
        ),
    ],
)
def test_columns_of_later_migrations_get_lines_of_their_own(sql, shown):
    assert shown in _laid_out("a", sql)
