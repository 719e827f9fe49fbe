"""A state of its own for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cdsed.store.database import open_state
from tests.support.disks import small_disk
from tests.unit.store.state import Lab, SetClock

__all__ = ["lab", "small_disk"]


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    db = open_state(tmp_path / "state")
    yield Lab(db, SetClock(), tmp_path)
    db.close()
