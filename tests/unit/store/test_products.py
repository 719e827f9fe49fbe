"""Products: the moves that are allowed, one event each, and counts that always agree."""

import itertools
import tempfile
from pathlib import Path

import apsw
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from cdsed.clock import Clock
from cdsed.errors import LeaseLost
from cdsed.model.listing import ListingHead, ProductRequest
from cdsed.model.product_state import TERMINAL, TRANSITIONS, State
from cdsed.store import listings, products, snapshot
from cdsed.store.database import Database, open_state
from cdsed.store.move import Move
from tests.support.state import SetClock, StateLab


def force(db: Database, process: int, number: int, state: State) -> None:
    """Set a state past the trigger, with the columns that its CHECKs ask for."""
    trigger = db.value("SELECT sql FROM sqlite_schema WHERE name = 'product_moves_as_allowed'")
    db.rows("DROP TRIGGER product_moves_as_allowed")
    columns(db, process, number, state)
    db.rows(trigger)


def columns(db: Database, process: int, number: int, state: State) -> None:
    claimed = state in (State.RESOLVING, State.VERIFYING)
    db.rows(
        "UPDATE product SET state = :state, cause = 'c', path = '/w', due_s = :due,"
        " process = :process, fence = :fence WHERE id = :id",
        state=state,
        due=1.0 if state is State.RETRY_WAIT else None,
        process=process if claimed else None,
        fence=1 if claimed else None,
        id=number,
    )


@pytest.mark.parametrize(
    ("origin", "target"), [pair for pair in itertools.product(State, State) if pair[0] is not pair[1]]
)
def test_the_database_allows_a_move_if_and_only_if_the_table_does(lab, origin, target):
    number = lab.queued("A")
    if origin is not State.QUEUED:
        force(lab.db, lab.process, number, origin)
    if target in TRANSITIONS[origin]:
        columns(lab.db, lab.process, number, target)
        assert lab.state(number) is target
    else:
        with pytest.raises(apsw.ConstraintError, match="not allowed"):
            columns(lab.db, lab.process, number, target)


def test_every_change_writes_one_event(lab):
    number = lab.planned("A")
    history = snapshot.history(lab.db, products.get(lab.db, number))
    assert [(event.origin, event.target) for event in history] == [
        (None, State.QUEUED),
        (State.QUEUED, State.RESOLVING),
        (State.RESOLVING, State.READY),
        (State.READY, State.DOWNLOADING),
    ]


def test_a_claim_that_no_longer_stands_is_lost_not_obeyed(lab):
    lab.queued("A")
    [product] = products.claim_resolving(
        lab.db, lab.clock, lab.process, (each.id for each in products.queued(lab.db, 1))
    )
    lab.db.rows("UPDATE product SET fence = fence + 1")
    with pytest.raises(LeaseLost, match="A: another worker"):
        products.move(lab.db, lab.clock, product, Move(State.UNAVAILABLE, cause="x"))
    assert lab.state(product.id) is State.RESOLVING


def test_what_waits_continues_when_it_is_due_and_not_before(lab):
    resolved, unresolved = lab.planned("A"), lab.queued("B")
    due_s = lab.clock.boot_s() + 10
    products.move(lab.db, lab.clock, products.get(lab.db, resolved), Move(State.RETRY_WAIT, cause="x", due_s=due_s))
    [product] = products.claim_resolving(
        lab.db, lab.clock, lab.process, (each.id for each in products.queued(lab.db, 1))
    )
    products.move(lab.db, lab.clock, product, Move(State.RETRY_WAIT, cause="x", due_s=due_s))
    lab.clock.pass_s(9.9)
    products.wake_due(lab.db, lab.clock)
    assert lab.state(resolved) is State.RETRY_WAIT
    lab.clock.pass_s(0.2)
    products.wake_due(lab.db, lab.clock)
    assert (lab.state(resolved), lab.state(unresolved)) == (State.READY, State.QUEUED)


@pytest.mark.parametrize("state", sorted(TERMINAL))
def test_a_finished_product_is_asked_for_again_with_a_clean_slate(lab, state):
    number = lab.queued("A")
    lab.finish(number, state)
    assert lab.state(number) is state
    products.ask_again(lab.db, lab.clock, number, ProductRequest("A", "other", 5, None))
    product = products.get(lab.db, number)
    assert (product.state, product.account_group, product.priority) == (State.QUEUED, "other", 5)
    assert (product.attempts, product.transient_failures, product.cause, product.path) == (0, 0, None, None)


@pytest.mark.parametrize(("outputdir", "kept"), [(None, True), ("/elsewhere", False)])
def test_what_is_asked_for_elsewhere_does_not_continue_in_its_old_place(lab, outputdir, kept):
    number = lab.planned("A")
    products.move(lab.db, lab.clock, products.get(lab.db, number), Move(State.FAILED, cause="x"))
    products.ask_again(lab.db, lab.clock, number, ProductRequest("A", "default", 0, outputdir))
    product = products.get(lab.db, number)
    assert (product.destination is not None, product.staging is not None) == (kept, kept)


@pytest.mark.parametrize("state", sorted(TERMINAL))
def test_a_finished_product_on_disk_is_already_present(lab, state):
    number = lab.queued("A")
    lab.finish(number, state)
    products.found_present(lab.db, lab.clock, number, "/archive/A")
    product = products.get(lab.db, number)
    assert (product.state, product.path) == (State.ALREADY_PRESENT, "/archive/A")


def test_a_catalogue_error_is_cleared_once_a_product_is_resolved(lab):
    number = lab.queued("A")
    lab.db.rows("UPDATE product SET transient_failures = 5")
    lab.ready("B")
    assert products.get(lab.db, number).transient_failures == 0


def test_urgent_products_are_resolved_first(lab):
    for name, priority in (("low", 0), ("high", 9), ("also low", 0)):
        lab.queued(name, priority=priority)
    assert [product.safename for product in products.queued(lab.db, 2)] == ["high", "low"]


class Bookkeeping(RuleBasedStateMachine):
    """After any changes of products and requests, the tallies equal the counts."""

    names = st.integers(0, 5)

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.lab = StateLab(open_state(Path(self.folder.name)), SetClock(), Path(self.folder.name))
        self.wanting = [
            listings.begin(
                self.lab.db, Clock(), ListingHead(0, f"l{i}", f"{i}", "default", 0, None, 0.0, None), f"/l{i}"
            ).head.id
            for i in range(2)
        ]

    def teardown(self) -> None:
        if hasattr(self, "lab"):
            self.lab.db.close()
            self.folder.cleanup()

    @rule(name=names, present=st.booleans())
    def ask(self, name: int, present: bool) -> None:
        if products.find(self.lab.db, str(name)) is None:
            request = ProductRequest(str(name), "default", 0, None)
            products.add(self.lab.db, self.lab.clock, request, path="/w" if present else None)

    @rule(name=names, listing=st.integers(0, 1))
    def want(self, name: int, listing: int) -> None:
        known = products.find(self.lab.db, str(name))
        if known is not None:
            listings.want(self.lab.db, self.wanting[listing], known.id, name + 1)

    @rule(name=names, goal=st.sampled_from(State), size=st.none() | st.integers(0, 9))
    def move(self, name: int, goal: State, size: int | None) -> None:
        known = products.find(self.lab.db, str(name))
        if known is None or goal not in TRANSITIONS[known.state]:
            return
        columns(self.lab.db, self.lab.process, known.id, goal)
        self.lab.db.rows("UPDATE product SET size_bytes = :size WHERE id = :id", size=size, id=known.id)

    @rule(name=names)
    def fail_to_move(self, name: int) -> None:
        known = products.find(self.lab.db, str(name))
        forbidden = set(State) - TRANSITIONS[known.state] - {known.state} if known else ()
        for goal in sorted(forbidden)[:1]:
            with pytest.raises(apsw.ConstraintError):
                columns(self.lab.db, self.lab.process, known.id, goal)

    @invariant()
    def tallies_equal_counts(self) -> None:
        if not hasattr(self, "lab"):
            return
        counted = self.lab.db.rows(
            "SELECT 0 AS listing, state, count(*) AS products, coalesce(sum(size_bytes), 0) AS size_bytes"
            " FROM product GROUP BY state UNION ALL"
            " SELECT listing, state, count(*), coalesce(sum(size_bytes), 0)"
            " FROM want JOIN product ON product.id = want.product GROUP BY listing, state"
        )
        tallied = self.lab.db.rows("SELECT listing, state, products, size_bytes FROM tally WHERE products <> 0")
        assert sorted(map(str, tallied)) == sorted(map(str, counted))
        assert self.lab.db.value("SELECT count(*) FROM tally WHERE products < 0 OR size_bytes < 0") == 0

    @invariant()
    def each_product_has_one_event_per_move(self) -> None:
        if hasattr(self, "lab"):
            last = self.lab.db.rows(
                "SELECT state, (SELECT target FROM event WHERE product = p.id ORDER BY event.id DESC LIMIT 1) AS latest"
                " FROM product AS p"
            )
            assert all(row["state"] == row["latest"] for row in last)


TestBookkeeping = Bookkeeping.TestCase
TestBookkeeping.settings = settings(
    max_examples=50, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck), database=None
)


@pytest.mark.parametrize("state", [State.UNAVAILABLE, State.FAILED, State.CANCELLED])
def test_what_a_finished_product_was_made_of_is_forgotten(lab, state):
    number = lab.planned("A", (10, 20))
    products.move(lab.db, lab.clock, products.get(lab.db, number), Move(state, cause="test"))
    assert lab.db.value("SELECT (SELECT count(*) FROM object) + (SELECT count(*) FROM piece)") == 0
