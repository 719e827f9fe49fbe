"""Who finishes products, and which ones."""

import pytest

from cdsed.model.product_state import Product, State
from cdsed.store import products
from cdsed.work.finish import help_to_finish
from tests.support.download_lab import DownloadLab

_NAMES = [f"S1A_IW_SLC__1SDV_2026010{day}T000000_2026010{day}T000027_000001_000001_000{day}.SAFE" for day in (1, 2, 3)]


@pytest.fixture
def arrived(worker_lab: DownloadLab) -> list[Product]:
    """Give three products whose files are lost; the third is on another disk."""
    lease = worker_lab.lease()
    numbers = []
    for name in _NAMES:
        numbers.append(worker_lab.planned(name))
        worker_lab.fetched(lease)
    worker_lab.db.rows("UPDATE product SET destination = '/elsewhere' WHERE id = :id", id=numbers[2])
    return [products.get(worker_lab.db, number) for number in numbers]


def test_a_session_helps_where_it_has_just_written_and_nowhere_else(worker_lab, arrived):
    assert help_to_finish(worker_lab.context, arrived[0])
    assert help_to_finish(worker_lab.context, arrived[0])
    assert [worker_lab.state(each.id) is State.DOWNLOADING for each in arrived] == [False, False, True]
    assert not help_to_finish(worker_lab.context, arrived[0])
    assert worker_lab.state(arrived[2].id) is State.DOWNLOADING
