"""Write the schema that all migrations together make: ``make docs``.

``cdsed/store/sql/schema.sql`` is the schema in one file, for readers and for new states, and ``docs/tables.md`` is a
picture of it. The migrations upgrade a state that exists.
"""

import re
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import apsw

from cdsed.store.database import FILE_NAME
from cdsed.store.migration import APPLICATION_ID
from cdsed.store.queries import migrations

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = ROOT / "cdsed" / "store" / "sql" / "schema.sql"
PAGE = ROOT / "docs" / "tables.md"

_SEEDED = ("fence", "transition")  # tables that have rows from the beginning
_ADDED = re.compile(r"^ALTER TABLE (\w+) ADD COLUMN ([^;]*);(?: +(--.*))?$", re.MULTILINE)
_COMMENT = re.compile(r"CREATE TABLE \"?(\w+)\"? \( +-- (.*)")

_MEANINGS = {  # of tables whose first line has no comment
    "daemon": "the daemon that runs, or ran last",
    "traffic_hour": "what an account used in one hour, for its volume of 30 days",
    "traffic_step": "what an account used in 5 s, for its requests per minute",
    "listing": "a file that was dropped into the inbox",
    "transition": "a change of a product's state that is allowed",
    "product": "a product that a listing asked for",
    "s3_key": "what is known of the S3 key of an account",
    "disk": "a directory of products, and the disk that it is on",
}
_FIRST_LINES = """\
-- Generated from cdsed/store/sql/migrations by `make docs`: the present schema, of which a new state is made.
-- It is what all migrations make together. To change it, add a migration.
"""
_HEAD = """\
# The tables of the state

Generated from `cdsed/store/sql/migrations` by `make docs`. A test checks that it is equal.

The picture shows the keys of each table. A solid line is a foreign key, and a dotted line is a column with the name of
an account that no key enforces. You find every column, index and trigger in
[schema.sql](../cdsed/store/sql/schema.sql), and the meaning of the states in [states.md](states.md).

"""
_TAIL = """
To look into a state of yours, use any SQLite shell, read-only:

```console
$ sqlite3 'file:STATE_DIR/cdsed.sqlite?mode=ro' 'SELECT state, count(*) FROM product GROUP BY state'
done|40
queued|3
```

Change the schema with a new migration only. [CONTRIBUTING.md](../CONTRIBUTING.md) shows how.
"""


def migrated() -> sqlite3.Connection:
    """Return an empty state in memory, as the migrations make it one after the other."""
    memory = sqlite3.connect(":memory:")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / FILE_NAME
        with closing(apsw.Connection(str(path))) as made:
            for script in migrations():
                made.execute(script)
            made.pragma("application_id", APPLICATION_ID)
            made.pragma("user_version", len(migrations()))
        with closing(sqlite3.connect(path)) as file:
            file.backup(memory)
    return memory


def schema(db: sqlite3.Connection) -> str:
    """Return the schema: each table with its indexes, then views and triggers, then the rows of an empty state."""
    found = db.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid")
    items = [row for row in found.fetchall() if not row[1].startswith("sqlite_")]
    [version] = db.execute("PRAGMA user_version").fetchone()
    [application] = db.execute("PRAGMA application_id").fetchone()
    parts = [f"{_FIRST_LINES}PRAGMA application_id = {application};\nPRAGMA user_version = {version};"]
    for kind, name, _table, sql in items:
        if kind == "table":
            indexes = [f"{each[3]};" for each in items if each[0] == "index" and each[2] == name]
            parts.append("\n".join([f"{_laid_out(name, sql)};", *indexes]))
    parts += [f"{sql};" for kind in ("view", "trigger") for each, _name, _table, sql in items if each == kind]
    parts += [_rows(db, table) for table in _SEEDED]
    return "\n\n".join(parts) + "\n"


def _laid_out(table: str, sql: str) -> str:
    """Put each column on a line of its own: SQLite appends those of later migrations to the line of the last one."""
    lines: list[str] = []
    depth = 0
    for line in sql.split("\n"):
        code, dashes, comment = line.partition("--")
        columns, depth = _columns(code, depth)
        if not code.strip():  # a comment alone
            lines.append(line)
            continue
        if len([each for each in columns if each.strip()]) < 2 and columns[0].strip():
            lines.append(line)
            continue
        *columns, rest = columns
        if not columns[0].strip():  # the first new one follows a last column that had no comma
            lines[-1] = re.sub(r"^([^-]*?)( *(?:--.*)?)$", r"\1,\2", lines[-1])
        elif columns:
            lines.append(f"{columns[0]},{' ' * 12 if dashes else ''}{dashes}{comment}")
        new = columns[1:]
        if depth == 0:  # what follows the last one ends the table
            last, _, end = rest.rpartition(")")
            new, rest = [*new, last], f"){end}"
        lines += [_added(table, each.strip(), ends=depth == 0 and each is new[-1]) for each in new]
        lines += [f"    {rest.strip()}" if depth else rest] if rest.strip() else []
    return "\n".join(lines)


def _columns(code: str, depth: int) -> tuple[list[str], int]:
    """Cut a line of a definition at the commas between columns; return the depth of parentheses after it, too."""
    parts = [""]
    for sign in code:
        depth += {"(": 1, ")": -1}.get(sign, 0)
        if sign == "," and depth == 1:
            parts.append("")
        else:
            parts[-1] += sign
    return parts, depth


def _added(table: str, column: str, *, ends: bool) -> str:
    comments = {(of, found): comment for script in migrations() for of, found, comment in _ADDED.findall(script)}
    comment = comments.get((table, column))
    return f"    {column}{'' if ends else ','}{f'  {comment}' if comment else ''}"


def _rows(db: sqlite3.Connection, table: str) -> str:
    cursor = db.execute(f"SELECT * FROM {table} ORDER BY 1, 2")
    columns = ", ".join(column[0] for column in cursor.description)
    values = [f"    ({', '.join(map(repr, row))})" for row in cursor]
    return f"INSERT INTO {table} ({columns}) VALUES\n" + ",\n".join(values) + ";"


def page(db: sqlite3.Connection) -> str:
    """Return the page with the picture."""
    meanings = {**_MEANINGS, **dict(_COMMENT.findall(schema(db)))}
    tables = [row[0] for row in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY rowid")]
    tables = [name for name in tables if not name.startswith("sqlite_")]
    entities, arrows = [], []
    for name in tables:
        columns = db.execute(f"PRAGMA table_info({name})").fetchall()
        keys = {row[3]: row[2] for row in db.execute(f"PRAGMA foreign_key_list({name})")}
        loose = {row[1]: "account" for row in columns if row[1] == "account" and row[1] not in keys}
        shown = [row for row in columns if row[5] or row[1] in keys or row[1] in ("safename", "state", *loose)]
        entities += [f"    {name} {{", *(f"        {row[2]} {row[1]}{_mark(row, keys)}" for row in shown), "    }"]
        arrows += [f"    {target} ||--o{{ {name} : {column}" for column, target in sorted(keys.items())]
        arrows += [f"    {target} ||..o{{ {name} : {column}" for column, target in loose.items()]
    picture = "\n".join(["```mermaid", "erDiagram", *arrows, *entities, "```"])
    rows = "\n".join(f"| `{name}` | {meanings[name]} |" for name in tables)
    return f"{_HEAD}{picture}\n\n| table | a row is |\n|---|---|\n{rows}\n{_TAIL}"


def _mark(column: tuple[object, ...], keys: dict[str, str]) -> str:
    marks = [mark for mark, given in (("PK", column[5]), ("FK", column[1] in keys)) if given]
    return f" {', '.join(marks)}" if marks else ""


if __name__ == "__main__":
    with closing(migrated()) as state:
        SCHEMA.write_text(schema(state), encoding="utf-8")
        PAGE.write_text(page(state), encoding="utf-8")
