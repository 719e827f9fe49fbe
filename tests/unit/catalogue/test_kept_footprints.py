"""The footprints of catalogue answers are kept for the map, within a limit, and never in the way."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from cdsed.catalogue import kept_footprints
from cdsed.catalogue.kept_footprints import keep
from cdsed.model.catalogue_entry import CatalogueEntry
from cdsed.web import footprints

_NAME = "S3A_OL_1_EFR____20240604T110100_20240604T110400_20240605T120000_0179_113_094_2160_PS1_O_NT_003.SEN3"


def _entry(wkt: str | None) -> CatalogueEntry:
    return CatalogueEntry(_NAME, "id", "/eodata/x", 1, True, None, datetime(2024, 6, 4, tzinfo=UTC), footprint_wkt=wkt)


def test_what_is_kept_is_found_by_the_map(tmp_path: Path) -> None:
    keep(tmp_path / "footprints", {_NAME: _entry("POLYGON ((0.123456789 0, 2 0, 2 1.0004, 0.123456789 0))")})
    found = footprints.find({_NAME}, tmp_path / "gone", tmp_path, count=1)
    assert found[_NAME]["coordinates"] == [[[0.123, 0.0], [2.0, 0.0], [2.0, 1.0], [0.123, 0.0]]]


def test_without_a_footprint_nothing_is_written(tmp_path: Path) -> None:
    keep(tmp_path / "footprints", {_NAME: _entry(None)})
    assert list(tmp_path.iterdir()) == []


def test_the_oldest_are_removed_beyond_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_footprints, "_BYTES_MAX", 1000)
    wkt = f"POLYGON (({', '.join(['1 2'] * 60)}))"
    for _ in range(8):
        keep(tmp_path, {_NAME: _entry(wkt)})
    left = sorted(path.name for path in tmp_path.iterdir())
    assert 1 <= len(left) <= 3
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 1000


def test_a_disk_that_cannot_be_written_is_only_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "footprints").write_text("a file", encoding="utf-8")
    keep(tmp_path / "footprints", {_NAME: _entry("POLYGON ((0 0, 1 0, 1 1, 0 0))")})
    assert "are not kept" in caplog.text
