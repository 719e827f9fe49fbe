"""Products that are entered together: the state is the same as if each had come alone, with all its triggers."""

import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdsed.clock import Clock
from cdsed.model.choice import Choice
from cdsed.model.listing import ListingHead, Named
from cdsed.model.product_state import State
from cdsed.sandbox.names import realistic_safenames
from cdsed.store import audit, cancelling, listings, new_products, pauses, products
from cdsed.store.database import Database, open_state
from tests.support.state import SetClock, StateLab

_TABLES = ("product", "want", "event", "tally", "backlog")
_NAMES = [name for family in ("S1_GRD", "S2_L1C", "S5P") for name in realistic_safenames(family, 8, seed=21)]
_LINES = st.lists(
    st.builds(
        Named,
        line=st.integers(1, 100),
        safename=st.sampled_from(_NAMES),
        product_id=st.none() | st.just("0a1b2c3d-0000-4000-8000-000000000001"),
        s3_path=st.none() | st.just("/eodata/Sentinel-1/x"),
    ),
    unique_by=lambda line: line.safename,
    max_size=12,
)
_HEADS = st.builds(
    ListingHead,
    id=st.just(0),
    name=st.sampled_from(["a.txt", "b.txt"]),
    sha256=st.just("ab"),
    group=st.sampled_from(["default", "other"]),
    priority=st.integers(-3, 3),
    outputdir=st.none() | st.just("/data/out"),
    taken_at=st.just(1.0),
    user=st.none(),
    layout=st.none() | st.just("{year}"),
    include=st.sampled_from([(), ("*.tiff",)]),
)


def _one_by_one(db: Database, clock: Clock, head: ListingHead, lines: list[Named]) -> None:
    with db.write():
        for line in lines:
            listings.want(db, head.id, products.add(db, clock, head.request(line)), line.line)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(_HEADS, _LINES, st.sampled_from(["", "paused", "cancelled"])), max_size=4))
def test_products_that_come_together_leave_what_each_alone_would_leave(taken):
    with tempfile.TemporaryDirectory() as folder:
        left = [_state_after(Path(folder, way.__name__), way, taken) for way in (new_products.add, _one_by_one)]
    assert left[0] == left[1]


def _state_after(state, way, taken):
    seen = set()
    clock = SetClock()
    with closing(open_state(state)) as db:
        for head, lines, what in taken:
            begun = replace(head, id=listings.begin(db, clock, head, "/inbox/x").head.id)
            if what == "paused":
                pauses.add(db, clock, "listing", str(begun.id), None)
            elif what == "cancelled":
                cancelling.cancel(db, clock, [begun.id], [], None)
            way(db, clock, begun, [line for line in lines if line.safename not in seen])
            seen |= {line.safename for line in lines}
            clock.pass_s(1)
        assert _miscounted(db) == []
        assert db.dangling() == []
        assert db.problems() == []  # also checks the values, which were entered unchecked
        return {table: db.rows(f"SELECT * FROM {table} ORDER BY 1, 2") for table in _TABLES}


def _miscounted(db):
    return [broken for broken in audit.rules_broken(db) if broken.rule in ("tally", "backlog")]


def test_a_product_that_came_with_others_is_counted_by_triggers_from_then_on(lab: StateLab):
    head = ListingHead(0, "a.txt", "ab", "default", 0, None, 1.0, None)
    head = replace(head, id=listings.begin(lab.db, lab.clock, head, "/inbox/a.txt").head.id)
    new_products.add(lab.db, lab.clock, head, [Named(number, name) for number, name in enumerate(_NAMES)])
    lab.finish(1, State.UNAVAILABLE)
    counted = lab.db.rows("SELECT state, products FROM tally WHERE listing = :id AND products > 0", id=head.id)
    assert {row["state"]: row["products"] for row in counted} == {"queued": len(_NAMES) - 1, "unavailable": 1}
    assert _miscounted(lab.db) == []


def test_a_failure_among_them_takes_back_the_whole_transaction_and_triggers_work_again(lab: StateLab):
    head = ListingHead(0, "a.txt", "ab", "default", 0, None, 1.0, None)
    head = replace(head, id=listings.begin(lab.db, lab.clock, head, "/inbox/a.txt").head.id)
    lab.queued(_NAMES[0])

    def enter():
        with lab.db.write():
            lab.queued(_NAMES[1])
            new_products.add(lab.db, lab.clock, head, [Named(1, _NAMES[2]), Named(2, _NAMES[0])])

    with pytest.raises(apsw.ConstraintError):
        enter()
    assert lab.db.value("SELECT count(*) FROM product") == 1
    lab.finish(1, State.UNAVAILABLE)
    assert lab.db.value("SELECT products FROM tally WHERE listing = 0 AND state = 'unavailable'") == 1
    assert _miscounted(lab.db) == []
    with pytest.raises(apsw.ConstraintError):
        lab.db.rows("INSERT INTO want (listing, product, line) VALUES (:listing, 4711, 1)", listing=head.id)
    with pytest.raises(apsw.ConstraintError):
        lab.db.rows("UPDATE product SET planned = 2")


def test_the_choice_of_a_listing_is_that_of_its_new_products(lab: StateLab):
    head = ListingHead(0, "a.txt", "ab", "default", 0, None, 1.0, None, include=("*.tiff",))
    head = replace(head, id=listings.begin(lab.db, lab.clock, head, "/inbox/a.txt").head.id)
    new_products.add(lab.db, lab.clock, head, [Named(1, _NAMES[0])])
    assert Choice.from_json(products.get(lab.db, 1).choice) == head.choice
