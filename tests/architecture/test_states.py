"""The one table of transitions is what the database holds and what the documents show."""

import re

from cdsed.model.product_state import SUCCEEDED, TERMINAL, TRANSITIONS, State, diagram
from cdsed.store.database import open_state
from tests.architecture.sources import ROOT, sources
from tests.architecture.states import PAGE, page


def test_the_database_allows_exactly_the_transitions_of_the_table(tmp_path):
    db = open_state(tmp_path)
    rows = {(row["origin"], row["target"]) for row in db.rows("SELECT origin, target FROM transition")}
    db.close()
    assert rows == {(origin.value, target.value) for origin, targets in TRANSITIONS.items() for target in targets}


def test_the_database_has_exactly_the_states_of_the_code(tmp_path):
    db = open_state(tmp_path)
    schema = db.value("SELECT sql FROM sqlite_schema WHERE name = 'product'")
    db.close()
    check = re.search(r"CHECK \(state IN \(([^)]*)\)\)", schema)
    assert set(re.findall(r"'(\w+)'", check[1])) == {state.value for state in State}


def test_every_state_has_a_way_out_and_a_way_in():
    assert TRANSITIONS.keys() == set(State)
    assert all(TRANSITIONS[state] for state in State)
    reached = set().union(*TRANSITIONS.values())
    assert reached == set(State)


def test_from_every_state_a_product_can_still_arrive():
    can = set(SUCCEEDED)
    while more := {state for state in State if TRANSITIONS[state] & can} - can:
        can |= more
    assert can == set(State)


def test_only_a_new_request_moves_a_finished_product():
    assert {target for state in TERMINAL for target in TRANSITIONS[state]} == {State.QUEUED}


def test_the_diagram_shows_every_transition_once():
    arrows = re.findall(r"^    (\w+) --> (\w+)$", diagram(), re.MULTILINE)
    assert len(arrows) == len(set(arrows)) == sum(map(len, TRANSITIONS.values()))


def test_only_a_person_moves_a_product_to_cancelled():
    moving = {source.name for source in sources() if re.search(r"Move\(\s*State\.CANCELLED", source.text)}
    assert moving == {"cdsed.store.move", "cdsed.work.finish"}  # both only where a person has cancelled it before
    queries = (ROOT / "cdsed" / "store" / "sql").glob("*.sql")
    sets = [path.name for path in queries if "SET state = 'cancelled'" in path.read_text(encoding="utf-8")]
    assert sets == ["cancelling.sql"]


def test_docs_states_md_is_what_make_docs_writes():
    assert PAGE.read_text(encoding="utf-8") == page(), "run `make docs`"
