"""Upgrading: every released schema becomes this one with all its rows, despite kills. A newer one is refused."""

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import apsw
import pytest

from cdsed.clock import SYSTEM_CLOCK
from cdsed.config.settings import Settings
from cdsed.errors import StateDiskError, StateRefused
from cdsed.model.product_state import State
from cdsed.store import backup
from cdsed.store.audit import rules_broken
from cdsed.store.database import FILE_NAME, open_state
from cdsed.store.migration import newest_schema
from cdsed.store.queries import migrations
from cdsed.store.soundness import examine
from cdsed.work.recover import open_for_daemon
from tests.support.daemon import Installation
from tests.support.injection import needs_strace
from tests.support.sandbox import SandboxProcess

_ROOT = Path(__file__).parents[2]
_RELEASED = sorted((_ROOT / "tests" / "data").glob("schema-*.sql"))

# Opens a state with one more migration, the slow kind: every product is rewritten.
_UPGRADE = textwrap.dedent("""
    import sys
    from pathlib import Path
    from cdsed.store import database, migration
    scripts = (
        *migration.migrations(),
        "CREATE TABLE newcomer (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT;"
        "INSERT INTO newcomer SELECT id, hex(zeroblob(3000)) FROM product;"
        "UPDATE product SET priority = priority + 1",
    )
    migration.migrations = lambda: scripts
    database.open_state(Path(sys.argv[1])).close()
""")


def golden(path: Path, state_dir: Path) -> None:
    state_dir.mkdir(parents=True)
    connection = apsw.Connection(str(state_dir / FILE_NAME))
    connection.execute(path.read_text(encoding="utf-8"))
    connection.close()


def rows_of(state_dir: Path, columns: dict[str, list[str]] | None = None) -> dict[str, list[tuple[object, ...]]]:
    """Return the rows of every table, or of the columns that are given."""
    connection = apsw.Connection(str(state_dir / FILE_NAME))
    try:
        tables = columns or {
            name: [column[1] for column in connection.execute(f"PRAGMA table_info({name})")]
            for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        }
        return {
            table: sorted(connection.execute(f"SELECT {', '.join(names)} FROM {table}").fetchall(), key=repr)
            for table, names in tables.items()
        }
    finally:
        connection.close()


def columns_of(state_dir: Path) -> dict[str, list[str]]:
    connection = apsw.Connection(str(state_dir / FILE_NAME))
    try:
        tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
        return {
            name: [column[1] for column in connection.execute(f"PRAGMA table_info({name})")]
            for (name,) in tables.fetchall()
        }
    finally:
        connection.close()


# What migration 9 calls otherwise.
_TABLES = {"restraint": "throttle", "denial": "access_denial"}
_COLUMNS = {
    "piece": {"setbacks": "transient_failures"},
    "listing": {"present": "already_present"},
    "product": {"setbacks": "transient_failures", "whereabouts": "path"},
}
_WORDS = {"waiting": "retry_wait", "present": "already_present", "missing": "unavailable"} | {
    "NotTheObject": "UnexpectedObject",
    "CutBody": "TruncatedBody",
    "HostileKey": "UnsafePath",
    "StrangeHost": "UntrustedRedirect",
    "BadCopy": "VerificationFailed",
    "NothingAllowed": "NoReadPermission",
    "BadAnswer": "InvalidResponse",
    "NotS3": "ProxyResponse",
}
_WITH_WORDS = {
    ("product", "state"),
    ("product", "code"),
    ("event", "origin"),
    ("event", "target"),
    ("tally", "state"),
} | {
    ("breaker", "code"),
    ("remark", "verdict"),
    ("transition", "origin"),
    ("transition", "target"),
}


def in_words_of_today(
    rows: dict[str, list[tuple[object, ...]]], columns: dict[str, list[str]]
) -> tuple[dict[str, list[tuple[object, ...]]], dict[str, list[str]]]:
    """Return the rows of an older schema and the names of their columns as the present one has them."""
    names = {
        _TABLES.get(table, table): [_COLUMNS.get(table, {}).get(name, name) for name in columns[table]]
        for table in columns
    }
    values = {
        _TABLES.get(table, table): sorted(
            (
                tuple(
                    _WORDS.get(str(value), value) if (table, name) in _WITH_WORDS else value
                    for name, value in zip(columns[table], row, strict=True)
                )
                for row in rows[table]
            ),
            key=repr,
        )
        for table in columns
    }
    return values, names


@pytest.mark.parametrize("released", _RELEASED, ids=lambda path: path.stem)
def test_a_released_schema_is_upgraded_with_all_its_rows(released: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    golden(released, state)
    columns = columns_of(state)
    before = rows_of(state, columns)
    assert all(rows for table, rows in before.items()), "a golden state has rows in every table"
    sequences = rows_of(state, {"sqlite_sequence": ["name", "seq"]})
    columns.pop("transition")  # the rules themselves may change; `rules_broken` compares them with those of the code
    if released.stem == "schema-1":
        columns.pop("traffic_minute")  # the speed of the last hour begins again
        columns.pop("remark")  # they are in the receipts, which are written
    db = open_state(state)
    try:
        assert db.problems() + db.dangling() + rules_broken(db) == []
        assert db.value("PRAGMA user_version") == newest_schema()
        assert db.value("PRAGMA foreign_keys") == 1
    finally:
        db.close()
    expected, columns = in_words_of_today(before, columns)
    assert rows_of(state, columns) == expected
    assert rows_of(state, {"sqlite_sequence": ["name", "seq"]}) == sequences


@pytest.mark.parametrize("released", [8, 11])
def test_a_golden_state_has_a_product_in_every_state(released: int, tmp_path: Path) -> None:
    golden(_ROOT / "tests" / "data" / f"schema-{released}.sql", tmp_path / "state")
    open_state(tmp_path / "state").close()
    states = {state for (state,) in rows_of(tmp_path / "state", {"product": ["state"]})["product"]}
    assert states == {state.value for state in State}


@pytest.mark.parametrize("released", _RELEASED, ids=lambda path: path.stem)
def test_an_upgraded_schema_is_the_one_a_new_state_has(released: Path, tmp_path: Path) -> None:
    golden(released, tmp_path / "old")
    open_state(tmp_path / "old").close()
    open_state(tmp_path / "new").close()
    assert columns_of(tmp_path / "old") == columns_of(tmp_path / "new")


@pytest.mark.parametrize("released", _RELEASED, ids=lambda path: path.stem)
def test_the_accounts_of_an_older_state_share_nothing_and_their_sessions_wait_for_nothing(
    released: Path, tmp_path: Path
) -> None:
    golden(released, tmp_path / "state")
    open_state(tmp_path / "state").close()
    columns = {"account": ["shares_volume", "shares_requests", "pool_sessions"], "session": ["waits_for"]}
    rows = rows_of(tmp_path / "state", columns)
    assert (set(rows["account"]), set(rows["session"])) == ({(0, 0, None)}, {(None,)})


def test_before_an_upgrade_a_backup_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    golden(_RELEASED[0], tmp_path / "state")
    _one_more_migration(monkeypatch)
    settings = Settings.model_validate({"state_dir": str(tmp_path / "state"), "inbox": {"path": str(tmp_path / "in")}})
    open_for_daemon(settings, SYSTEM_CLOCK).close()
    [made] = backup.backups(settings.backups_dir)
    assert made.before_upgrade
    assert examine(tmp_path / "state") == newest_schema()
    connection = apsw.Connection(str(made.path))
    assert connection.pragma("user_version") == 1
    connection.close()


def test_without_room_for_that_backup_there_is_no_upgrade(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    golden(_RELEASED[0], tmp_path / "state")
    _one_more_migration(monkeypatch)
    (tmp_path / "backups").touch()  # where the directory should be
    settings = Settings.model_validate(
        {
            "state_dir": str(tmp_path / "state"),
            "backup_dir": str(tmp_path / "backups"),
            "inbox": {"path": str(tmp_path / "in")},
        }
    )
    with pytest.raises(StateDiskError, match="no backup can be written"):
        open_for_daemon(settings, SYSTEM_CLOCK)
    assert examine(tmp_path / "state") == 1


@needs_strace
def test_an_upgrade_that_is_killed_at_any_write_leaves_the_old_or_the_new_schema(tmp_path: Path) -> None:
    old = len(migrations())
    seen = set()
    for number in range(1, 200, 3):
        state = tmp_path / str(number)
        golden(_RELEASED[0], state)
        open_state(state).close()
        products = rows_of(state)["product"]
        inject = f"inject=pwrite64,fdatasync,fsync,unlink,ftruncate:signal=KILL:when={number}"
        command = [
            "strace",
            "-f",
            "--seccomp-bpf",
            "-o",
            "/dev/null",
            "-e",
            inject,
            sys.executable,
            "-c",
            _UPGRADE,
            str(state),
        ]
        ended = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=60, check=False)
        schema = _schema_with_newcomer(state, old)
        seen.add((schema, ended.returncode == 0))
        priorities = [row[4] for row in rows_of(state)["product"]]
        assert priorities == [row[4] + (schema > old) for row in products]
        if ended.returncode == 0:
            break
        assert ended.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL), ended.stderr
    assert (old + 1, True) in seen
    assert (old, False) in seen


def test_a_newer_state_is_refused_with_78_and_the_remedy(tmp_path: Path) -> None:
    with SandboxProcess() as sandbox:
        lab = Installation(tmp_path, sandbox)
        open_state(lab.state).close()
        connection = apsw.Connection(str(lab.state / FILE_NAME))
        connection.pragma("user_version", 999)
        connection.close()
        with pytest.raises(StateRefused):
            open_state(lab.state)
        refused = lab.command("run")
        assert refused.returncode == 78
        assert "schema 999, newer than" in refused.stderr
        assert "cdsed state restore" in refused.stderr
        assert not (lab.state / "aside").exists()


def _one_more_migration(monkeypatch: pytest.MonkeyPatch) -> None:
    scripts = [*migrations(), "CREATE TABLE newcomer (id INTEGER PRIMARY KEY) STRICT"]
    monkeypatch.setattr("cdsed.store.migration.migrations", lambda: scripts)


def _schema_with_newcomer(state: Path, old: int) -> int:
    """Open a state as the next start would; return its schema, and expect it to be whole."""
    connection = apsw.Connection(str(state / FILE_NAME))
    try:
        assert connection.pragma("quick_check") == "ok"
        version = int(connection.pragma("user_version"))
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}
        assert ("newcomer" in tables) is (version > old)
        return version
    finally:
        connection.close()
