"""All is at rest while only a change can begin something, and a change ends the rest at once."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from cdsed.errors import DiskError
from cdsed.model.product_state import State
from cdsed.store import breakers, notices, pauses, products
from cdsed.store.breakers import BreakerPolicy
from cdsed.store.database import Database, join_state
from cdsed.store.move import Move
from cdsed.store.rest import REST_S, RestWatch, at_rest
from tests.support.state import StateLab


@pytest.fixture
def other(lab: StateLab) -> Iterator[Database]:
    """The connection of another process."""
    with closing(join_state(lab.root / "state")) as db:
        yield db


def test_a_state_without_work_is_at_rest(lab: StateLab) -> None:
    assert at_rest(lab.db, lab.clock)


@pytest.mark.parametrize("state", [State.READY, State.RETRY_WAIT])
def test_an_unfinished_product_is_work(lab: StateLab, state: State) -> None:
    number = lab.ready("A")
    if state is State.RETRY_WAIT:
        with lab.db.write():
            product = products.claim_ready(lab.db, lab.clock, number, lab.process)
        products.move(lab.db, lab.clock, product, Move(state, due_s=lab.clock.boot_s() + 30))
    assert not at_rest(lab.db, lab.clock)


def test_nothing_rests_while_a_pause_may_end_or_a_disk_may_come_back(lab: StateLab) -> None:
    pauses.add(lab.db, lab.clock, "all", "", lab.clock.utc_s() + 60)
    assert not at_rest(lab.db, lab.clock)
    pauses.remove(lab.db, "all", "")
    assert at_rest(lab.db, lab.clock)
    policy = BreakerPolicy(threshold=1, first_s=30, longest_s=300)
    breakers.fail(lab.db, lab.clock, "disk:/spool", policy, DiskError("away", code="EIO"))
    assert not at_rest(lab.db, lab.clock)


def test_a_process_that_rests_looks_again_after_a_commit_a_call_and_a_while(lab: StateLab, other: Database) -> None:
    rest = RestWatch(lab.db, lab.clock)
    assert [rest.holds() for _ in range(3)] == [False, True, True]
    notices.note(other, lab.clock, notices.WEB, "of another process")
    assert [rest.holds() for _ in range(2)] == [False, True]
    rest.disturb()
    assert [rest.holds() for _ in range(2)] == [False, True]
    lab.clock.pass_s(REST_S)
    assert [rest.holds() for _ in range(2)] == [False, True]
    lab.ready("A")
    lab.clock.pass_s(REST_S)
    assert [rest.holds() for _ in range(3)] == [False] * 3
