import pytest

from cdsed.model.objects import Digests
from cdsed.model.product_state import State
from cdsed.store import audit, pieces, products
from cdsed.store.move import Move
from tests.support.invariants import Eye
from tests.support.state import StateLab

NAME = "S1A_IW_GRDH_1SDV_20240604T110100_20240604T110131_054172_069690_E33E.SAFE"


def _rules(lab: StateLab) -> list[tuple[str, str]]:
    return [(violation.rule, violation.subject) for violation in audit.rules_broken(lab.db)]


def _break(lab: StateLab, *statements: str) -> None:
    """Do to the state what its triggers and its code never would."""
    lab.db.rows("PRAGMA foreign_keys = OFF")
    for statement in statements:
        lab.db.rows(statement)


@pytest.fixture
def busy_lab(lab: StateLab) -> StateLab:
    """A state in the middle of its work: one product waiting in line, one with a piece under way, one done."""
    lab.accounts("a")
    lab.finish(lab.queued("done.SAFE"), State.DONE)
    lab.planned(NAME, (10, 20))
    lab.queued("queued.SAFE")
    lease = lab.lease()
    assert pieces.next_work(lab.db, lab.clock, lease, lab.process) is not None
    return lab


def test_a_state_in_the_middle_of_its_work_breaks_no_rule(busy_lab: StateLab) -> None:
    assert _rules(busy_lab) == []


def test_a_step_that_the_table_forbids_is_found_in_the_history(busy_lab: StateLab) -> None:
    last = "(SELECT max(id) FROM event WHERE product = (SELECT id FROM product WHERE safename = 'done.SAFE'))"
    _break(busy_lab, f"UPDATE event SET origin = 'ready' WHERE id = {last}")
    [violation] = audit.rules_broken(busy_lab.db)
    assert (violation.rule, violation.subject) == ("history", "done.SAFE")
    assert "ready -> done in state verifying" in violation.text


@pytest.mark.parametrize(
    ("statement", "rule", "subject"),
    [
        ("DELETE FROM event WHERE id = (SELECT min(id) FROM event)", "history", "done.SAFE"),
        ("DELETE FROM event WHERE id = (SELECT max(id) FROM event)", "history", "queued.SAFE"),
        ("UPDATE fence SET value = 0", "fence", "session a.1"),
        ("UPDATE session SET process = 1, fence = 4", "fence", "a.1, a.2, a.3, a.4"),
        ("UPDATE session SET process = NULL, fence = NULL", "piece", NAME),
        ("DELETE FROM process", "claim", "session a.1"),
        ("UPDATE piece SET size_bytes = size_bytes + 1 WHERE size_bytes = 10", "pieces", NAME),
        ("DELETE FROM piece WHERE size_bytes = 20", "pieces", NAME),
        ("UPDATE tally SET products = products + 1 WHERE state = 'done'", "tally", "listing 0, done"),
        ("DELETE FROM tally WHERE state = 'queued'", "tally", "listing 0, queued"),
        ("UPDATE backlog SET sized = sized + 1 WHERE kind LIKE 'S1%'", "backlog", "listing 0, S1_IW_GRDH_1SDV"),
        ("DELETE FROM backlog", "backlog", "listing 0, S1_IW_GRDH_1SDV"),
        ("INSERT INTO transition VALUES ('done', 'ready')", "transitions", "done -> ready"),
        ("DELETE FROM transition WHERE origin = 'done'", "transitions", "done -> queued"),
    ],
)
def test_what_breaks_a_rule_is_named(busy_lab: StateLab, statement: str, rule: str, subject: str) -> None:
    _break(busy_lab, statement)
    assert (rule, subject) in _rules(busy_lab)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE listing SET accepted = 3",
        "UPDATE listing SET items_taken = 4",
        "DELETE FROM remark",
        "DELETE FROM want WHERE line = 1",
    ],
)
def test_a_line_without_a_verdict_product_or_remark_is_missed(lab: StateLab, statement: str) -> None:
    first, second = lab.queued("first.SAFE"), lab.queued("second.SAFE")
    _break(
        lab,
        "INSERT INTO listing (id, sha256, account_group, priority, name, state, path, items_taken, accepted, rejected, "
        "taken_at) VALUES (1, 'x', 'default', 0, 'storm.txt', 'taking', '/x', 3, 2, 1, 0)",
        f"INSERT INTO want VALUES (1, {first}, 1), (1, {second}, 2)",
        "INSERT INTO remark VALUES (1, 1, 0, 'accepted', NULL, 'x'), (1, 3, 0, 'rejected', NULL, 'nonsense')",
    )
    assert _rules(lab) == []
    _break(lab, statement)
    assert ("sums", "listing storm.txt") in _rules(lab)


def test_a_history_of_which_only_the_latest_steps_are_kept_breaks_no_rule(lab: StateLab) -> None:
    number = lab.queued("patient.SAFE")
    for _ in range(20):  # the catalogue is out, and it waits again and again
        [product] = products.claim_resolving(
            lab.db, lab.clock, lab.process, (each.id for each in products.queued(lab.db, 1))
        )
        products.move(lab.db, lab.clock, product, Move(State.RETRY_WAIT, cause="no answer", due_s=0))
        products.wake_due(lab.db, lab.clock)
    assert lab.db.value("SELECT count(*) FROM event") == 32
    assert lab.state(number) is State.QUEUED
    eye = Eye(lab.root / "state")
    assert (_rules(lab), eye.broken()) == ([], [])
    _break(lab, "DELETE FROM event WHERE id = (SELECT min(id) FROM event)")
    assert _rules(lab) == [("history", "patient.SAFE")]
    assert eye.broken() != []


def test_of_one_rule_only_the_first_violations_are_shown(lab: StateLab) -> None:
    for number in range(audit.MOST + 5):
        lab.queued(f"p{number}.SAFE")
    _break(lab, "DELETE FROM event")
    assert len(_rules(lab)) == audit.MOST


def test_what_finished_leaves_nothing_behind_that_a_rule_forbids(lab: StateLab) -> None:
    lab.accounts("a")
    number = lab.planned(NAME, (10, 20))
    lease = lab.lease()
    work = pieces.next_work(lab.db, lab.clock, lease, lab.process)
    assert work is not None
    pieces.finish(lab.db, lease, {piece: Digests(md5="0" * 32) for piece in work.pieces})
    verifying = products.claim_verifying(lab.db, lab.clock, lab.process)
    assert verifying is not None
    products.move(lab.db, lab.clock, verifying, Move(State.DONE, path="/spool/x"))
    assert lab.state(number) is State.DONE
    assert _rules(lab) == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE event SET origin = 'ready' WHERE target = 'done'",
        "DELETE FROM event WHERE id = (SELECT max(id) FROM event)",
        "UPDATE fence SET value = 0",
        "UPDATE session SET process = 1, fence = 4",
        "UPDATE session SET process = NULL, fence = NULL",
        "DELETE FROM process",
        "UPDATE tally SET products = products + 1 WHERE state = 'done'",
    ],
)
def test_the_independent_checks_of_the_tests_find_it_too(busy_lab: StateLab, statement: str) -> None:
    eye = Eye(busy_lab.root / "state")
    assert eye.broken() == []
    _break(busy_lab, statement)
    assert eye.broken() != []
