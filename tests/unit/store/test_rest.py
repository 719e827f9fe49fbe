"""All is at rest while only a change can begin something, and a change ends the rest at once."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from cdsed.errors import DiskError
from cdsed.model.product_state import State
from cdsed.store import breakers, notices, pauses, products
from cdsed.store.breakers import BreakerPolicy
from cdsed.store.database import FILE_NAME, Database, join_state
from cdsed.store.move import Move
from cdsed.store.rest import REST_S, RestWatch, at_rest
from tests.support.state import StateLab

_AGO_S = 60.0  # a wait that nothing ends would take so long
_SOON_S = 30.0


@pytest.fixture
def rest(lab: StateLab) -> Iterator[RestWatch]:
    with closing(RestWatch(lab.db, lab.clock, lab.root / "state")) as rest:
        yield rest


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


def test_a_process_that_rests_looks_again_after_a_commit_a_call_and_a_while(
    lab: StateLab, rest: RestWatch, other: Database
) -> None:
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


def _waits_s(lab: StateLab, rest: RestWatch) -> float:
    """Wait at rest, long before the next look is due; return for how long."""
    lab.clock.pass_s(-_AGO_S)
    begun_s = time.monotonic()
    assert rest.wait()
    return time.monotonic() - begun_s


@pytest.mark.parametrize(
    "happens",
    [
        lambda lab, _rest, other: notices.note(other, lab.clock, notices.WEB, "of another process"),
        lambda lab, _rest, _other: (lab.root / "state" / FILE_NAME).unlink(),
        lambda lab, _rest, _other: (lab.root / "state").rename(lab.root / "elsewhere"),
        lambda _lab, rest, _other: threading.Timer(0.1, rest.disturb).start(),
    ],
    ids=["a commit", "the state is deleted", "the state is moved away", "something outside of the state"],
)
def test_what_happens_ends_a_rest_at_once(
    lab: StateLab, rest: RestWatch, other: Database, happens: Callable[[StateLab, RestWatch, Database], object]
) -> None:
    assert [rest.holds(), rest.holds()] == [False, True]
    happens(lab, rest, other)
    assert _waits_s(lab, rest) < _SOON_S


def test_a_rest_ends_when_something_begins_by_itself(lab: StateLab, rest: RestWatch) -> None:
    assert not rest.holds()
    rest.until_s = lab.clock.boot_s() - _AGO_S
    assert _waits_s(lab, rest) < _SOON_S


def test_a_commit_between_the_look_and_the_wait_is_not_missed(lab: StateLab, rest: RestWatch, other: Database) -> None:
    notices.note(other, lab.clock, notices.WEB, "before the look")
    assert [rest.holds(), rest.holds()] == [False, True]
    assert rest.wait()
    notices.note(other, lab.clock, notices.WEB, "after the look")
    assert _waits_s(lab, rest) < _SOON_S
    assert not rest.holds()


def test_nobody_waits_for_a_rest_to_end_while_there_is_work(lab: StateLab, rest: RestWatch) -> None:
    assert not rest.wait()
    lab.ready("A")
    assert not rest.holds()
    assert not rest.wait()
