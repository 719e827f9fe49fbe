"""The state is checked while the daemon runs, and violations are reported."""

from pathlib import Path

import pytest

from cdsed.config.settings import Settings
from cdsed.store import notices, snapshot
from cdsed.store.database import FILE_NAME
from cdsed.work.maintenance import Maintenance

_HOUR_S = 3_600.0


@pytest.fixture
def maintenance(lab, tmp_path):
    settings = Settings.model_validate({"state_dir": str(tmp_path / "state"), "inbox": {"path": str(tmp_path / "in")}})
    return Maintenance(lab.db, settings, lab.clock)


def damage(lab, state: Path, name: str) -> None:
    """Spoil the first page of a table or an index on the disk, as bad hardware would."""
    number = lab.db.value("SELECT rootpage FROM sqlite_schema WHERE name = :name", name=name)
    size_bytes = lab.db.value("PRAGMA page_size")
    lab.db.rows("PRAGMA wal_checkpoint(TRUNCATE)")
    with (state / FILE_NAME).open("r+b") as file:
        file.seek((number - 1) * size_bytes)
        file.write(b"\xff" * 64)


def look(maintenance: Maintenance) -> None:
    maintenance.look_through_when_due()
    if maintenance._backup is not None:
        maintenance._backup.join(60)


def test_a_damaged_page_that_is_never_read_is_reported_within_an_hour(lab, tmp_path, maintenance):
    damage(lab, tmp_path / "state", "event_by_product")
    lab.clock.pass_s(_HOUR_S - 10)
    look(maintenance)
    assert not maintenance.damaged
    lab.clock.pass_s(20)
    look(maintenance)
    assert maintenance.damaged
    maintenance.end()
    [notice] = snapshot.report(lab.db, lab.clock, running=False).notices
    assert notice.name == notices.DAMAGED
    assert "was found damaged" in notice.text
    assert "the next start recovers it" in notice.text


def test_a_sound_state_is_looked_through_without_a_word(lab, maintenance):
    for _ in range(3):
        lab.clock.pass_s(_HOUR_S + 10)
        look(maintenance)
    maintenance.end()
    assert not maintenance.damaged
    assert snapshot.report(lab.db, lab.clock, running=False).notices == ()
