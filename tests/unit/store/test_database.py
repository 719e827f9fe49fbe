"""Opening, migrating and transacting the SQLite file."""

import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import apsw
import pytest

from cdsed.errors import StateError
from cdsed.local.space import free_bytes
from cdsed.store import database
from cdsed.store.database import (
    FILE_NAME,
    join_state,
    open_read_only,
    open_state,
)
from cdsed.store.filesystem import filesystem_kind
from cdsed.store.patience import Patience
from cdsed.store.queries import migrations
from cdsed.store.sqlite_version import sqlite_version, wal_is_safe

_ROOT = Path(__file__).resolve().parents[3]


def test_a_new_state_is_strict_wal_and_durable(tmp_path):
    db = open_state(tmp_path)
    assert db.value("PRAGMA journal_mode") == "wal"
    assert db.value("PRAGMA synchronous") == 2
    assert db.value("PRAGMA foreign_keys") == 1
    loose = db.rows(
        "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table'"
        " AND strict = 0 AND name NOT LIKE 'sqlite_%'"
    )
    db.close()
    assert loose == []


def test_processes_that_open_a_new_state_at_once_migrate_it_once(tmp_path):
    script = (
        "from cdsed.store.database import open_state; from pathlib import Path\n"
        f"open_state(Path({str(tmp_path)!r})).close()"
    )
    openers = [
        subprocess.Popen([sys.executable, "-c", script], cwd=_ROOT, stderr=subprocess.PIPE, text=True) for _ in range(8)
    ]
    ends = [(opener.communicate(timeout=60)[1], opener.returncode) for opener in openers]
    assert ends == [("", 0)] * 8
    db = open_state(tmp_path)
    assert db.value("PRAGMA user_version") == len(migrations())
    assert db.value("SELECT value FROM fence") == 0
    db.close()


def test_a_state_that_is_not_wholly_made_counts_as_absent(tmp_path, monkeypatch):
    scripts = [*migrations(), "CREATE TABLE"]
    monkeypatch.setattr("cdsed.store.migration.migrations", lambda: scripts)
    with pytest.raises(StateError, match="cannot be used"):
        open_state(tmp_path)
    assert open_read_only(tmp_path, daemon_runs=True) is None


def test_a_state_of_a_newer_cdsed_is_refused_by_writer_and_reader(tmp_path):
    open_state(tmp_path).close()
    connection = apsw.Connection(str(tmp_path / FILE_NAME))
    connection.pragma("user_version", 999)
    connection.close()
    with pytest.raises(StateError, match="schema 999, newer than"):
        open_state(tmp_path)
    with pytest.raises(StateError, match="schema 999"):
        open_read_only(tmp_path, daemon_runs=False)


def test_a_file_that_is_no_database_is_refused_in_words(tmp_path):
    (tmp_path / FILE_NAME).write_bytes(b"certainly not SQLite" * 100)
    with pytest.raises(StateError, match="is damaged"):
        open_state(tmp_path)


_MOUNTS = """\
21 1 8:1 / / rw - ext4 /dev/sda1 rw
22 21 0:5 / /home rw - nfs4 server:/home rw
23 22 8:2 / /home/lab rw - xfs /dev/sdb1 rw
24 21 0:6 / /mnt/with\\040space rw shared:1 - cifs //server/x rw
25 21 0:7 / /média rw - fuse.sshfs host: rw
26 21 0:8 / /over rw - nfs server:/over rw
27 26 8:3 / /over rw - ext4 /dev/sdc1 rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/lib/cdsed", "ext4"),
        ("/home/someone", "nfs4"),
        ("/home/lab/state", "xfs"),
        ("/homestead", "ext4"),
        ("/mnt/with space/x", "cifs"),
        ("/média/x", "fuse.sshfs"),
        ("/over/x", "ext4"),
    ],
)
def test_the_innermost_mount_says_what_file_system_it_is(path, kind):
    assert filesystem_kind(Path(path), _MOUNTS) == kind


def test_a_network_file_system_is_refused_with_a_remedy(tmp_path, monkeypatch):
    monkeypatch.setattr("cdsed.store.filesystem.filesystem_kind", lambda *_: "nfs4")
    with pytest.raises(StateError, match=r"nfs4, a network file system.*set state_dir to a local disk"):
        open_state(tmp_path)


@pytest.mark.parametrize(
    ("version", "safe"), [("3.40.1", False), ("3.51.2", False), ("3.51.3", True), ("3.52.0", True), ("4.0.0", True)]
)
def test_wal_is_refused_below_3_51_3(version, safe):
    assert wal_is_safe(version) is safe


def test_the_sqlite_that_comes_with_cdsed_has_no_wal_reset_bug():
    assert wal_is_safe(sqlite_version())


def test_what_fails_inside_a_transaction_leaves_nothing_behind(lab):
    with pytest.raises(KeyError), lab.db.write():  # noqa: PT012
        lab.queued("A")
        with lab.db.write():
            lab.queued("B")
        raise KeyError
    assert lab.db.value("SELECT count(*) FROM product") == 0
    lab.queued("C")
    assert lab.db.value("SELECT count(*) FROM product") == 1


def test_a_commit_that_fails_leaves_the_connection_usable(small_disk):
    db = open_state(small_disk)
    db.rows("PRAGMA wal_autocheckpoint = 0")
    (small_disk / "filler").write_bytes(b"x" * (free_bytes(small_disk) - 8192))
    with pytest.raises(StateError, match="cannot be read or written"), db.write():
        db.rows("INSERT INTO traffic_hour VALUES (:account, 1, 1, 1)", account="x" * 20_000)
    (small_disk / "filler").unlink()
    with db.write():
        db.rows("UPDATE fence SET value = 7")
    assert db.value("SELECT value FROM fence") == 7
    assert db.value("SELECT count(*) FROM traffic_hour") == 0
    db.close()


def test_threads_share_a_connection_one_transaction_at_a_time(lab):
    def grow() -> None:
        for _ in range(50):
            with lab.db.write():
                value = lab.db.value("SELECT value FROM fence")
                lab.db.rows("UPDATE fence SET value = :value", value=value + 1)

    threads = [threading.Thread(target=grow) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lab.db.value("SELECT value FROM fence") == 200


def test_only_a_durable_transaction_syncs_the_log(lab):
    for durable, level in ((False, 1), (True, 2), (True, 2), (False, 1)):
        with lab.db.write(durable=durable), lab.db.write():  # the outermost block decides
            assert lab.db.value("PRAGMA synchronous") == level
    with lab.db.write():
        assert lab.db.value("PRAGMA synchronous") == 2


def test_the_log_is_synced_on_demand_while_another_process_has_the_write_lock(lab, tmp_path):
    other = join_state(tmp_path / "state")
    with other.write(durable=False):
        other.rows("UPDATE fence SET value = 5")
    before_s = other.unsynced_for_s
    with lab.db.write():
        other.sync()
    assert other.unsynced_for_s < before_s
    other.close()


def test_a_statement_is_not_prepared_anew_for_other_values(lab):
    assert lab.db._connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, -1) == 1


def test_without_wal_every_transaction_is_durable(tmp_path, monkeypatch):
    monkeypatch.setattr("cdsed.store.database.wal_is_safe", lambda _version: False)
    db = open_state(tmp_path)
    with db.write(durable=False):
        assert db.value("PRAGMA synchronous") == 2
    db.close()


def test_patience_ends_after_its_time():
    patience = Patience(0.005)
    tries = 0
    while patience(tries):
        tries += 1
    assert 1 <= tries <= 10
    assert not Patience(0.0)(0)


def test_another_connections_commit_is_seen(lab, tmp_path):
    other = open_state(tmp_path / "state")
    before = lab.db.changes_seen()
    assert lab.db.changes_seen() == before
    other.rows("UPDATE fence SET value = 5")
    assert lab.db.changes_seen() != before
    other.close()


def test_there_is_nothing_to_look_at_before_the_first_start(tmp_path):
    assert open_read_only(tmp_path, daemon_runs=False) is None


def test_a_stopped_daemons_state_is_readable_without_write_permission(tmp_path):
    state = tmp_path / "state"
    db = open_state(state)
    db.rows("UPDATE fence SET value = 42")
    db.close()
    if os.geteuid() == 0:
        for path in (tmp_path, *tmp_path.parents[:3]):
            path.chmod(stat.S_IMODE(path.stat().st_mode) | 0o055)
    state.chmod(0o555)
    (state / FILE_NAME).chmod(0o444)
    queries = _ROOT / "cdsed" / "store" / "sql"
    script = f"""
import os
from pathlib import Path
from cdsed.store.database import open_read_only
os.geteuid() or os.setuid(65534)
os.listdir({str(queries)!r})
db = open_read_only(Path({str(state)!r}), daemon_runs=False)
print(db.value("SELECT value FROM fence"))
db.close()
"""
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=_ROOT, capture_output=True, text=True, timeout=30, check=False
    )
    state.chmod(0o755)
    if "PermissionError" in run.stderr and str(queries) in run.stderr:
        pytest.skip("another user cannot read this checkout")
    assert (run.stdout.strip(), run.stderr) == ("42", "")


def test_a_lock_waited_for_in_vain_delays_neither_other_threads_nor_heartbeats(lab, monkeypatch):
    foreign = open_state(lab.root / "state")
    monkeypatch.setattr(database, "BUSY_TIMEOUT_MS", 2000)
    reported: list[str] = []

    def write() -> None:
        try:
            with lab.db.write():
                reported.append("written")
        except StateError as error:
            reported.append(str(error))

    begun_s = time.monotonic()
    threads = [threading.Thread(target=write) for _ in range(6)]
    with foreign.write():
        for thread in threads:
            thread.start()
        lab.db.changes_seen()
        assert reported == [], "the thread of the heartbeat does not wait with them"
        for thread in threads:
            thread.join()
    assert time.monotonic() - begun_s < 10, "all waited at one time"
    assert len(reported) == 6
    assert all("stayed locked" in text for text in reported)
    foreign.close()
    write()
    assert reported[-1] == "written", "it is free again"
