"""Who finishes products, and which ones."""

import pytest

from cdsed.model.product_state import Product, State
from cdsed.sandbox.names import realistic_safenames
from cdsed.store import products
from cdsed.work.finish import make_room
from tests.support.download_lab import DownloadLab


@pytest.fixture
def arrived(worker_lab: DownloadLab) -> list[Product]:
    """Give three products more than there are sessions, whose files are lost; the last one is on another disk."""
    count = worker_lab.db.value("SELECT count(*) FROM session") + 3
    lease, numbers = worker_lab.lease(), []
    for name in realistic_safenames("S1_OCN", count, seed=9):
        numbers.append(worker_lab.planned(name))
        worker_lab.fetched(lease)
    worker_lab.db.rows("UPDATE product SET destination = '/elsewhere' WHERE id = :id", id=numbers[-1])
    return [products.get(worker_lab.db, number) for number in numbers]


def test_a_session_makes_room_where_it_has_just_written_until_no_more_wait_than_there_are_sessions(worker_lab, arrived):
    def make() -> bool:
        return make_room(worker_lab.context, "default", arrived[0])

    assert [make() for _ in range(4)] == [True, True, True, False]
    still = [each for each in arrived if worker_lab.state(each.id) is State.DOWNLOADING]
    assert still == arrived[3:]


def test_it_finishes_none_on_a_disk_to_which_it_has_not_written(worker_lab, arrived):
    assert make_room(worker_lab.context, "default", arrived[-1])
    assert not make_room(worker_lab.context, "default", arrived[-1])
    assert not make_room(worker_lab.context, "default", None)
    assert [worker_lab.state(each.id) is State.DOWNLOADING for each in arrived[:-1]] == [True] * (len(arrived) - 1)


def test_it_finishes_none_while_the_process_stops(worker_lab, arrived):
    worker_lab.context.stop.set()
    assert not make_room(worker_lab.context, "default", arrived[0])
