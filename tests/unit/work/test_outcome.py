"""What follows from a failure, row by row of the table in `cdsed.work.failure_rules`, on a real state."""

import contextlib
import errno

import pytest

from cdsed.config.settings import RetrySettings
from cdsed.errors import (
    AccountError,
    DiskError,
    FaultDomain,
    LeaseLost,
    MachineError,
    OwnedElsewhere,
    ProductError,
    ServiceError,
    StateError,
    Stopped,
    TransferError,
)
from cdsed.model.objects import Digests, Places
from cdsed.model.product_state import PathSource, State
from cdsed.store import breakers, key_history, leases, pieces, products
from cdsed.store.breakers import SERVICE, ZIPPER, account_breaker, disk_breaker
from cdsed.store.database import open_state
from cdsed.store.products import Found
from cdsed.work.boundary import bounded
from cdsed.work.failure_rules import RULES, FailureAction
from cdsed.work.outcome import Outcome
from cdsed.work.service_failures import Probe, ServiceFailures
from tests.support.state import SetClock, StateLab, listed

REFUSED = ProductError("may not read", code="Refused")
DEAD_KEY = AccountError("unknown key", code="InvalidAccessKeyId")
BROKEN = ServiceError("broke", code="ConnectionLost")
FULL = DiskError("full", code="ENOSPC")
GONE = ProductError("not there", code="NoSuchKey")
NOT_LISTED = ProductError("there is nothing", code="NotListed")


class OutcomeLab(StateLab):
    """A state with two accounts, and what decides after a failure there."""

    def __init__(self, db, root):
        super().__init__(db, SetClock(), root)
        self.accounts("a", "b")
        self.retry = RetrySettings(attempts=3, first_delay_s=1, longest_delay_s=8)
        self.outcome = Outcome(db, self.clock, self.retry)


@pytest.fixture
def lab(tmp_path):
    with contextlib.closing(open_state(tmp_path / "state")) as db:
        yield OutcomeLab(db, tmp_path)


def claimed(lab, name="A"):
    """Bring a product to where it is about to be planned."""
    number = lab.ready(name)
    with lab.db.write():
        return products.claim_ready(lab.db, lab.clock, number, lab.process)


def at_work(lab, name="A", account="a", sizes=(10,)):
    """Bring a product to where a session is at one of its pieces."""
    lab.planned(name, sizes)
    lease = lab.lease(account)
    work = pieces.next_work(lab.db, lab.clock, lease, lab.process)
    return lease, work.product, work.pieces[0]


def now(lab, product):
    return products.get(lab.db, product.id)


def backs_off(lab, name):
    return bool(lab.db.value("SELECT open FROM breaker WHERE name = :name", name=name))


def test_a_failure_of_the_product_is_an_attempt_and_waits_longer_each_time(lab):
    lease, product, piece = at_work(lab)
    assert lab.outcome.of_piece(ProductError("x", code="Changed"), lease, product, piece)
    after = now(lab, product)
    assert (after.state, after.attempts, after.cause) == (State.RETRY_WAIT, 1, "x (attempt 1 of 3)")
    assert lab.db.value("SELECT count(*) FROM piece WHERE fence IS NOT NULL") == 0


@pytest.mark.parametrize(
    ("error", "end"), [(ProductError("x", code="Changed"), State.FAILED), (GONE, State.UNAVAILABLE)]
)
def test_a_product_without_attempts_left_fails(lab, error, end):
    product = claimed(lab)
    lab.db.rows("UPDATE product SET attempts = 2")
    lab.outcome.of_product(error, lab.lease(), now(lab, product))
    after = now(lab, product)
    assert (after.state, after.attempts) == (end, 3)
    assert "attempt 3 of 3" in after.cause


def test_nothing_at_a_guessed_place_asks_the_catalogue_uncharged(lab):
    product = claimed(lab)
    assert lab.outcome.of_product(NOT_LISTED, lab.lease(), product)
    after = now(lab, product)
    assert (after.state, after.attempts, after.s3_path) == (State.QUEUED, 0, None)
    assert [each.id for each in products.queued(lab.db, 9, asks_catalogue=True)] == [product.id]


@pytest.mark.parametrize("planned", [False, True])
def test_a_path_of_another_bucket_costs_that_path_only(lab, planned):
    lease, product, *pieces_ = at_work(lab) if planned else (lab.lease(), claimed(lab))
    foreign = ProductError("it is in another bucket", code="ForeignBucket")
    decide = lab.outcome.of_piece if planned else lab.outcome.of_product
    assert decide(foreign, lease, product, *pieces_)
    after = now(lab, product)
    assert (after.state, after.attempts, after.s3_path) == (State.QUEUED, 0, None)
    assert [each.id for each in products.queued(lab.db, 9, asks_catalogue=True)] == [product.id]
    assert lab.db.value("SELECT count(*) FROM breaker") == 0


def test_nothing_at_the_catalogues_path_asks_the_catalogue_again_after_growing_pauses_uncharged(lab):
    product = claimed(lab)
    pauses = []
    for _ in range(4):
        lab.db.rows("UPDATE product SET s3_path = 'x', path_source = :source", source=PathSource.CATALOGUE)
        lab.outcome.of_product(NOT_LISTED, None, now(lab, product))
        after = now(lab, product)
        assert (after.state, after.attempts, after.s3_path) == (State.RETRY_WAIT, 0, None)
        pauses.append(lab.db.value("SELECT due_s FROM product") - lab.clock.boot_s())
        lab.clock.pass_s(pauses[-1])
        products.wake_due(lab.db, lab.clock)
        assert [each.id for each in products.queued(lab.db, 9, asks_catalogue=True)] == [product.id]
        [claim] = products.claim_resolving(lab.db, lab.clock, lab.process, [product.id])
        products.resolved(lab.db, lab.clock, claim, Found("x", PathSource.CATALOGUE))
        with lab.db.write():
            product = products.claim_ready(lab.db, lab.clock, product.id, lab.process)
    assert pauses == pytest.approx([1, 2, 4, 8], rel=0.21)


def test_a_hostile_key_fails_at_once(lab):
    product = claimed(lab)
    lab.outcome.of_product(ProductError("evil", code="UnsafePath"), lab.lease(), product)
    assert now(lab, product).state is State.FAILED


def test_a_refused_product_goes_to_another_account(lab):
    lease, product, piece = at_work(lab)
    assert lab.outcome.of_piece(REFUSED, lease, product, piece)
    assert (now(lab, product).state, now(lab, product).attempts) == (State.READY, 0)
    assert pieces.next_work(lab.db, lab.clock, lease, lab.process) is None
    assert pieces.next_work(lab.db, lab.clock, lab.lease("b"), lab.process).product.id == product.id


def refused_to_all(lab):
    """Let both accounts be refused one product; return the product."""
    product = claimed(lab)
    lab.outcome.of_product(REFUSED, lab.lease("a"), product)
    with lab.db.write():
        product = products.claim_ready(lab.db, lab.clock, product.id, lab.process)
    lab.outcome.of_product(REFUSED, lab.lease("b"), product)
    return now(lab, product)


def deliver(lab, *accounts):
    for account in accounts:
        leases.count_traffic(lab.db, lab.clock, account, requests=1, size_bytes=1000)


def asked_again(lab, product):
    """Let time pass until a refused product is asked for again, and both accounts be refused it once more."""
    if product.state is State.RETRY_WAIT:
        due_s = lab.db.value("SELECT due_s FROM product WHERE id = :id", id=product.id)
        lab.clock.pass_s(max(0.0, due_s - lab.clock.boot_s()))
        products.wake_due(lab.db, lab.clock)
    if now(lab, product).state is State.QUEUED:
        [claimed_again] = products.claim_resolving(lab.db, lab.clock, lab.process, [product.id])
        products.resolved(lab.db, lab.clock, claimed_again, Found("/eodata/x/A", PathSource.CATALOGUE))
    for account in ("a", "b"):
        with lab.db.write():
            product = products.claim_ready(lab.db, lab.clock, product.id, lab.process)
        lease = lab.lease(account)
        lab.outcome.of_product(REFUSED, lease, product)
        leases.release(lab.db, lab.clock, lease, cooldown_s=0)
    return now(lab, product)


def test_a_refusal_to_all_accounts_is_final_when_it_lasts_for_a_day_of_growing_pauses(lab):
    deliver(lab, "a", "b")
    product, began_s, pauses = refused_to_all(lab), lab.clock.boot_s(), []
    while product.state is not State.UNAVAILABLE:
        assert (product.attempts, lab.db.value("SELECT count(*) FROM access_denial")) == (0, 0)
        deliver(lab, "a", "b")
        before_s = lab.clock.boot_s()
        product = asked_again(lab, product)
        pauses.append(lab.clock.boot_s() - before_s)
    assert lab.clock.boot_s() - began_s >= 86_400
    assert "not for this account" in product.cause
    assert 12 < len(pauses) < 40
    assert pauses[1] > 1.2 * pauses[0]
    assert pauses[5] > 10 * pauses[0]
    # The last round came after the catalogue had said once more that it offers the product.
    origins = lab.db.rows("SELECT origin FROM event WHERE product = :id ORDER BY id", id=product.id)
    assert "queued" in [row["origin"] for row in origins[-10:]]


def test_a_refusal_is_not_final_while_the_accounts_read_nothing_else(lab):
    deliver(lab, "a", "b")
    lab.clock.pass_s(7200)
    product, began_s = refused_to_all(lab), lab.clock.boot_s()
    while lab.clock.boot_s() < began_s + 2 * 86_400:
        deliver(lab, "a")
        product = asked_again(lab, product)
    assert product.state is State.RETRY_WAIT


def test_a_clock_that_is_set_a_day_ahead_makes_no_refusal_final(lab):
    deliver(lab, "a", "b")
    product = refused_to_all(lab)
    lab.clock.utc += 10 * 86_400
    deliver(lab, "a", "b")
    assert asked_again(lab, product).state is State.RETRY_WAIT


def test_what_is_given_after_all_forgets_that_it_was_refused(lab):
    deliver(lab, "a", "b")
    product = asked_again(lab, refused_to_all(lab))
    lab.clock.pass_s(1000)
    products.wake_due(lab.db, lab.clock)
    with lab.db.write():
        product = products.claim_ready(lab.db, lab.clock, product.id, lab.process)
    lab.plan(product, [listed("f", 10)], staged={})
    lab.fetched(lab.lease())
    row = lab.db.row("SELECT refusals, refused_at FROM product WHERE id = :id", id=product.id)
    assert row == {"refusals": 0, "refused_at": None}


def test_a_refusal_of_accounts_that_never_delivered_decides_nothing(lab):
    product = refused_to_all(lab)
    assert (product.state, product.attempts) == (State.RETRY_WAIT, 0)
    assert lab.db.value("SELECT count(*) FROM access_denial") == 0


def test_an_account_refused_everything_backs_off_though_it_lists(lab):
    for name in ("A", "B", "C"):
        assert not backs_off(lab, account_breaker("a"))
        lease, product, piece = at_work(lab, name)
        lab.outcome.listed(lease)
        lab.outcome.of_piece(REFUSED, lease, product, piece)
        leases.release(lab.db, lab.clock, lease, cooldown_s=0)
    assert backs_off(lab, account_breaker("a"))


def test_a_delivery_clears_an_account_and_its_disk(lab):
    lease, product, piece = at_work(lab)
    lab.outcome.of_piece(REFUSED, lease, product, piece)
    lab.outcome.of_product(FULL, None, claimed(lab, "other"))
    lab.outcome.delivered(lease, product)
    assert breakers.last_failure(lab.db, account_breaker("a")) is None
    assert breakers.last_failure(lab.db, disk_breaker(product.destination)) is None


def test_a_plan_that_found_room_ends_the_pause_for_want_of_it(lab):
    product = claimed(lab)
    lab.outcome.of_product(FULL, lab.lease(), product)
    assert backs_off(lab, disk_breaker("unknown"))
    lab.outcome.listed(lab.lease())
    assert not backs_off(lab, disk_breaker("unknown"))


@pytest.mark.parametrize("error", [DEAD_KEY, AccountError("429", code="Throttled", retry_after_s=50)])
def test_a_failing_account_backs_off_and_its_product_is_unchanged(lab, error):
    lease, product, piece = at_work(lab)
    assert not lab.outcome.of_piece(error, lease, product, piece)
    assert backs_off(lab, account_breaker("a"))
    assert now(lab, product) == product
    assert pieces.next_work(lab.db, lab.clock, lab.lease("b"), lab.process).pieces == (piece,)


def test_a_failing_account_while_planning_releases_the_product(lab):
    product = claimed(lab)
    assert not lab.outcome.of_product(DEAD_KEY, lab.lease(), product)
    assert (now(lab, product).state, now(lab, product).attempts) == (State.READY, 0)


def test_a_service_error_retries_a_piece_uncharged(lab):
    lease, product, piece = at_work(lab)
    assert lab.outcome.of_piece(BROKEN, lease, product, piece)
    assert now(lab, product) == product
    row = lab.db.row("SELECT transient_failures, due_s, fence FROM piece")
    assert (row["transient_failures"], row["fence"]) == (1, None)
    assert row["due_s"] > lab.clock.boot_s()


def test_the_eighth_failure_in_a_row_opens_the_breaker(lab):
    lease, product, _ = at_work(lab, sizes=tuple(2**24 + n for n in range(9)))
    todo = [pieces.next_work(lab.db, lab.clock, lease, lab.process).pieces[0] for _ in range(8)]
    for piece in todo:
        assert not backs_off(lab, SERVICE)
        lab.outcome.of_piece(BROKEN, lease, product, piece)
    assert backs_off(lab, SERVICE)
    assert now(lab, product).attempts == 0


def test_a_piece_that_keeps_failing_while_others_arrive_is_an_attempt(lab):
    lease, product, piece = at_work(lab)
    for transient_failures in range(6):
        lab.outcome.delivered(lease, product)
        lab.clock.pass_s(1000)
        [piece] = pieces.next_work(lab.db, lab.clock, lease, lab.process).pieces if transient_failures else [piece]
        assert now(lab, product).attempts == 0
        lab.outcome.of_piece(BROKEN, lease, product, piece)
    assert (now(lab, product).state, now(lab, product).attempts) == (State.RETRY_WAIT, 1)


@pytest.mark.parametrize("code", ["ProxyResponse", "Redirected", "UnexpectedObject"])
def test_what_something_on_the_way_answers_is_never_an_attempt_however_often_it_comes(lab, code):
    foreign = ServiceError("a page", code=code)
    lease, product, piece = at_work(lab)
    planned = claimed(lab, "B")
    lab.db.rows("UPDATE product SET transient_failures = 50 WHERE id = :id", id=planned.id)
    for transient_failures in range(8):
        lab.outcome.delivered(lease, product)
        lab.clock.pass_s(1000)
        [piece] = pieces.next_work(lab.db, lab.clock, lease, lab.process).pieces if transient_failures else [piece]
        lab.outcome.of_piece(foreign, lease, product, piece)
    lab.outcome.of_product(foreign, lease, now(lab, planned))
    assert (now(lab, product).state, now(lab, product).attempts) == (State.DOWNLOADING, 0)
    assert (now(lab, planned).state, now(lab, planned).attempts) == (State.RETRY_WAIT, 0)


_OF_THE_SERVICE = [
    ServiceError("no", code=code)
    for rule in RULES
    if rule.fault_domain is FaultDomain.SERVICE and rule.action is FailureAction.RETRY
    for code in (rule.codes or ("Other",))
]
_SOME = ("ConnectionLost", "UnexpectedObject", "ProxyResponse", "WrongRefusal")


@pytest.mark.parametrize("error", _OF_THE_SERVICE, ids=lambda error: error.code)
def test_every_failure_of_a_service_can_be_that_of_one_product(error):
    assert ServiceFailures.is_charged(error, 5, Probe.ARRIVES)
    assert not ServiceFailures.is_charged(error, 4, Probe.ARRIVES)


def fails_until_it_ends(lab, error, probe, account="a"):
    """Let a product's one piece fail again and again; return the product when it ends, or after 20 times."""
    lease, product, piece = at_work(lab, account=account)
    for _ in range(20):
        asked = lab.outcome.needs_probe(error, lease, product, piece)
        lab.outcome.of_piece(error, lease, product, piece, probe if asked else Probe.NOT_SENT)
        lab.clock.pass_s(4000)
        products.wake_due(lab.db, lab.clock)
        if now(lab, product).state is State.READY:
            with lab.db.write():
                again = products.claim_ready(lab.db, lab.clock, product.id, lab.process)
            lab.plan(again, [listed("f0", 10)], staged={"f0": 10})
        work = pieces.next_work(lab.db, lab.clock, lease, lab.process)
        if work is None:
            break
        [piece], product = work.pieces, work.product
    return now(lab, product)


@pytest.mark.parametrize("code", _SOME)
def test_one_product_that_always_fails_ends_while_another_arrives_and_opens_no_breaker(lab, code):
    after = fails_until_it_ends(lab, ServiceError("no", code=code), Probe.ARRIVES)
    assert (after.state, after.attempts) == (State.FAILED, 3)
    assert not backs_off(lab, SERVICE)


@pytest.mark.parametrize("code", _SOME)
def test_no_product_is_charged_for_an_outage_however_long(lab, code):
    after = fails_until_it_ends(lab, ServiceError("no", code=code), Probe.FAILS)
    assert (after.state, after.attempts) == (State.DOWNLOADING, 0)
    assert backs_off(lab, SERVICE)


def test_where_only_part_of_the_service_is_out_nothing_else_waits_and_a_product_ends_late(lab):
    error = ServiceError("no", code="InternalError")
    after = fails_until_it_ends(lab, error, Probe.ELSEWHERE)
    assert (after.state, after.attempts) == (State.DOWNLOADING, 0)
    assert not backs_off(lab, SERVICE)
    assert not ServiceFailures.is_charged(error, 58, Probe.ELSEWHERE)
    assert ServiceFailures.is_charged(error, 59, Probe.ELSEWHERE)


@pytest.mark.parametrize("probe", [Probe.ARRIVES, Probe.FAILS])
@pytest.mark.parametrize("code", ["Throttled", "ThrottledElsewhere", "SlowDown"])
def test_a_product_that_is_always_refused_like_one_too_many_ends_and_an_account_is_not_blamed_for_it(lab, code, probe):
    error = ServiceError("slow", code=code) if code == "SlowDown" else AccountError("429", code=code)
    after = fails_until_it_ends(lab, error, probe)
    ends = probe is Probe.ARRIVES
    assert (after.state, after.attempts) == ((State.FAILED, 3) if ends else (State.DOWNLOADING, 0))


def test_an_account_that_delivers_others_does_not_back_off_for_one_product_more_than_once(lab):
    throttled = AccountError("429", code="Throttled")
    lease, product, piece = at_work(lab, "A")
    lab.planned("B", tuple(2**24 + n for n in range(5)))
    lab.outcome.of_piece(throttled, lease, product, piece)
    assert backs_off(lab, account_breaker("a"))
    for _ in range(4):
        lab.clock.pass_s(4000)
        lab.outcome.delivered(lease, products.find(lab.db, "B"))
        assert not backs_off(lab, account_breaker("a"))
        work = pieces.next_work(lab.db, lab.clock, lease, lab.process)
        assert work.product.id == product.id
        lab.outcome.of_piece(throttled, lease, product, work.pieces[0])
        assert not backs_off(lab, account_breaker("a"))
        assert pieces.next_work(lab.db, lab.clock, lease, lab.process).product.safename == "B"


@pytest.mark.parametrize(("account", "asks"), [("a", False), ("b", True)])
def test_whether_an_account_reads_others_is_asked_only_of_one_that_never_delivered(lab, account, asks):
    deliver(lab, "a")
    lease, product, piece = at_work(lab, account=account)
    assert lab.outcome.needs_probe(REFUSED, lease, product) is asks
    assert lab.outcome.needs_probe(REFUSED, lease, product, piece) is asks


@pytest.mark.parametrize("broken", [True, False])
def test_an_account_whose_own_broken_connections_may_still_count_is_tried_every_minute(lab, broken):
    lease, product, piece = at_work(lab)
    if broken:
        lab.outcome.of_piece(BROKEN, lease, product, piece)
    pauses_s = []
    for _ in range(6):
        lab.outcome.of_piece(AccountError("429", code="Throttled"), lease, product, piece)
        pauses_s.append(breakers.open_for_s(lab.db, lab.clock, account_breaker("a")))
        lab.clock.pass_s(pauses_s[-1] + 1)
    assert (max(pauses_s) <= 66) is broken
    assert pauses_s[1] > 50


def test_an_account_that_is_refused_a_product_again_tries_another_one_first(lab):
    throttled = AccountError("429", code="Throttled")
    lease, product, piece = at_work(lab, "A", sizes=(10, 2**25))
    for _ in range(2):
        lab.clock.pass_s(4000)
        lab.outcome.of_piece(throttled, lease, product, piece)
    lab.planned("B")
    until_s = lab.db.value("SELECT until_s FROM breaker")
    lab.clock.pass_s(until_s - lab.clock.boot_s() + 0.1)
    assert pieces.next_work(lab.db, lab.clock, lease, lab.process).product.safename == "B"


def test_a_product_whose_pieces_all_fail_leaves_the_sessions_to_others(lab):
    lease, product, _ = at_work(lab, "A", sizes=tuple(2**24 + n for n in range(30)))
    lab.planned("B")
    failed = [pieces.next_work(lab.db, lab.clock, lease, lab.process).pieces[0] for _ in range(3)]
    for piece in failed:
        lab.outcome.of_piece(BROKEN, lease, product, piece)
    assert pieces.next_work(lab.db, lab.clock, lease, lab.process).product.safename == "B"


def test_failures_of_the_zipper_do_not_stop_s3(lab):
    number = lab.ready("A")
    for _ in range(9):
        with lab.db.write():
            product = products.claim_ready(lab.db, lab.clock, number, lab.process)
        lease = lab.lease()
        assert lab.outcome.of_product(BROKEN, lease, product, Probe.FAILS, ZIPPER)
        leases.release(lab.db, lab.clock, lease, cooldown_s=0)
        lab.clock.pass_s(400)
        products.wake_due(lab.db, lab.clock)
    assert (now(lab, product).attempts, backs_off(lab, ZIPPER)) == (0, True)
    assert breakers.last_failure(lab.db, SERVICE) is None


def test_a_service_error_while_planning_waits_uncharged(lab):
    product = claimed(lab)
    assert lab.outcome.of_product(BROKEN, lab.lease(), product)
    after = now(lab, product)
    assert (after.state, after.attempts, after.transient_failures) == (State.RETRY_WAIT, 0, 1)


def test_a_full_disk_pauses_its_destination_uncharged(lab):
    lease, product, piece = at_work(lab)
    assert lab.outcome.of_piece(FULL, lease, product, piece)
    after = now(lab, product)
    assert (after.state, after.attempts) == (State.RETRY_WAIT, 0)
    assert backs_off(lab, disk_breaker(product.destination))


def test_a_full_disk_while_publishing_keeps_what_is_there(lab):
    lab.planned("A")
    lab.fetched(lab.lease())
    product = products.claim_verifying(lab.db, lab.clock, lab.process)
    lab.outcome.of_product(FULL, None, product)
    assert now(lab, product).state is State.RETRY_WAIT
    assert pieces.objects(lab.db, product.id)[0].digests.md5


@pytest.mark.parametrize("error", [Stopped(), LeaseLost("overtaken")])
def test_a_stop_leaves_a_piece_as_it_was(lab, error):
    lease, product, piece = at_work(lab)
    pieces.advance(lab.db, lease, piece, 4)
    assert lab.outcome.of_piece(error, lease, product, piece) is not isinstance(error, Stopped)
    assert (now(lab, product).state, now(lab, product).attempts) == (State.DOWNLOADING, 0)
    assert lab.db.row("SELECT done_bytes, fence, transient_failures FROM piece") == {
        "done_bytes": 4,
        "fence": None,
        "transient_failures": 0,
    }


def test_a_stop_gives_back_what_was_being_planned_or_verified(lab):
    product = claimed(lab)
    assert not lab.outcome.of_product(Stopped(), lab.lease(), product)
    assert now(lab, product).state is State.READY
    verified = lab.planned("B", (0,))
    claim = products.claim_verifying(lab.db, lab.clock, lab.process)
    assert not lab.outcome.of_product(Stopped(), None, claim)
    assert products.get(lab.db, verified).state is State.DOWNLOADING


def test_a_bug_is_an_attempt_with_its_kind(lab):
    product = claimed(lab)
    lab.outcome.bug(ZeroDivisionError(), product)
    assert (now(lab, product).state, now(lab, product).attempts) == (State.RETRY_WAIT, 1)
    assert "ZeroDivisionError" in now(lab, product).cause


def test_an_unexpected_error_is_logged_with_its_traceback_and_charged(lab, caplog):
    product = claimed(lab)
    assert not bounded(lab.outcome, product, lambda: bool(1 / 0))
    assert now(lab, product).attempts == 1
    assert caplog.records[0].exc_info[0] is ZeroDivisionError


@pytest.mark.parametrize("error", [StateError("full"), LeaseLost("moved on"), BROKEN], ids=lambda error: str(error))
def test_an_expected_error_passes_the_boundary_uncharged(lab, error):
    def step() -> bool:
        raise error

    product = claimed(lab)
    with pytest.raises(type(error)):
        bounded(lab.outcome, product, step)
    assert now(lab, product).attempts == 0


def test_a_bug_after_the_product_has_moved_on_is_uncharged(lab):
    lease, product, piece = at_work(lab)
    lab.outcome.of_piece(REFUSED, lease, product, piece)
    lab.outcome.bug(ZeroDivisionError(), product)
    assert (now(lab, product).state, now(lab, product).attempts) == (State.READY, 0)


def test_a_failure_of_one_session_is_not_charged_again_by_another(lab):
    lab.planned("A", (2**24, 2**24 + 1))
    one, other = lab.lease("a"), lab.lease("b")
    first = pieces.next_work(lab.db, lab.clock, one, lab.process)
    second = pieces.next_work(lab.db, lab.clock, other, lab.process)
    lab.outcome.of_piece(GONE, one, first.product, first.pieces[0])
    assert lab.outcome.of_piece(GONE, other, second.product, second.pieces[0])
    assert now(lab, first.product).attempts == 1
    with pytest.raises(LeaseLost):
        pieces.finish(lab.db, other, {second.pieces[0]: Digests()})


_CLASSES = {
    FaultDomain.PRODUCT: ProductError,
    FaultDomain.ACCOUNT: AccountError,
    FaultDomain.SERVICE: ServiceError,
    FaultDomain.DISK: DiskError,
    FaultDomain.MACHINE: MachineError,
    FaultDomain.BUG: TransferError,
}
_ROWS = [
    pytest.param(rule, code, id=f"{rule.fault_domain}-{code}")
    for rule in RULES
    for code in rule.codes or ("SomethingNew",)
]


def error_of(rule, code):
    if rule.fault_domain is FaultDomain.NONE:
        return {"Stopped": Stopped, "OtherState": OwnedElsewhere, "LeaseLost": LeaseLost}[code]("what happened")
    return _CLASSES[rule.fault_domain]("what happened", code=code)


def paid(lab):
    """Return the kinds of breakers that have counted a failure."""
    return {row["name"].partition(":")[0] for row in lab.db.rows("SELECT name FROM breaker")}


@pytest.mark.parametrize(("rule", "code"), _ROWS)
def test_a_product_being_planned_follows_its_row(lab, rule, code):
    product, terms = claimed(lab), rule.action.value
    lab.outcome.of_product(error_of(rule, code), lab.lease(), product)
    after = now(lab, product)
    assert (after.state, after.attempts) == (terms.state, int(terms.attempt))
    assert paid(lab) == ({terms.breaker} if terms.breaker else set())
    assert after.fence is None


@pytest.mark.parametrize(("rule", "code"), _ROWS)
def test_a_product_being_fetched_follows_its_row(lab, rule, code):
    (lab.root / "spool").mkdir()
    lease, product, piece = at_work(lab)
    terms = rule.action.value
    lab.outcome.of_piece(error_of(rule, code), lease, product, piece)
    after = now(lab, product)
    untouched = rule.action in (FailureAction.RETRY, FailureAction.BACK_OFF_ACCOUNT, FailureAction.RELEASE)
    assert after.state is (State.DOWNLOADING if untouched else terms.state)
    assert after.attempts == int(terms.attempt)
    assert paid(lab) == ({terms.breaker} if terms.breaker else set())
    assert lab.db.value("SELECT count(*) FROM piece WHERE fence IS NOT NULL") == 0


@pytest.mark.parametrize(
    ("raised", "fault_domain", "code"),
    [
        (MemoryError(), FaultDomain.MACHINE, "ENOMEM"),
        (OSError(errno.EMFILE, "too many open files"), FaultDomain.MACHINE, "EMFILE"),
        (OSError(errno.EIO, "broken", "/spool/x"), FaultDomain.DISK, "EIO"),
        (OSError(errno.ENAMETOOLONG, "too long"), FaultDomain.PRODUCT, "ENAMETOOLONG"),
    ],
)
def test_what_python_says_of_disk_and_machine_is_no_bug(lab, raised, fault_domain, code):
    product = claimed(lab)
    lab.outcome.bug(raised, product)
    row = lab.db.row("SELECT state, code, attempts FROM product WHERE id = :id", id=product.id)
    assert row == {"state": "retry_wait", "code": code, "attempts": int(fault_domain is FaultDomain.PRODUCT)}


def test_an_unwritable_state_charges_no_product(lab):
    product = claimed(lab)
    with pytest.raises(StateError):
        lab.outcome.bug(StateError("full"), product)
    assert now(lab, product).attempts == 0


def test_a_spool_that_is_not_yet_begun_on_pauses_and_the_product_chooses_another(lab):
    product = claimed(lab)
    places = Places("/sick/.cdsed/A", "/sick")
    products.choose_place(lab.db, product, places, 10)
    assert lab.outcome.of_product(DiskError("read-only", code="EROFS"), lab.lease(), product)
    after = now(lab, product)
    assert (after.state, after.destination, after.staging, after.attempts) == (State.READY, None, None, 0)
    assert backs_off(lab, disk_breaker("/sick"))


def test_a_failing_spool_is_named_once_in_the_log(lab, caplog):
    for name in ("A", "B", "C"):
        product = claimed(lab, name)
        products.choose_place(lab.db, product, Places(f"/sick/.cdsed/{name}", "/sick"), 10)
        lab.outcome.of_product(DiskError("read-only", code="EROFS"), None, product)
    assert caplog.text.count("/sick pauses") == 1


@pytest.mark.parametrize("code", ["ENOENT", "EEXIST", "Lost"])
def test_a_changed_staging_directory_is_planned_again_and_keeps_the_rest(lab, code):
    (lab.root / "spool").mkdir()
    lease, product, piece = at_work(lab)
    kept = lab.root / "staging" / "A" / "f1"
    kept.parent.mkdir(parents=True)
    kept.touch()
    assert lab.outcome.of_piece(DiskError("gone", code=code), lease, product, piece)
    after = now(lab, product)
    assert (after.state, after.attempts, after.transient_failures) == (State.RETRY_WAIT, 0, 1)
    assert kept.exists()
    assert paid(lab) == set()


def test_a_staging_directory_that_is_lost_again_and_again_is_an_attempt(lab):
    (lab.root / "spool").mkdir()
    product = claimed(lab)
    lab.db.rows("UPDATE product SET transient_failures = 5")
    lab.outcome.of_product(DiskError("gone", code="ENOENT"), None, now(lab, product))
    assert now(lab, product).attempts == 1


@pytest.mark.parametrize("code", ["EACCES", "EPERM", "EIO", "ESTALE", "EUCLEAN"])
def test_a_staging_directory_that_always_fails_costs_its_product_and_not_the_destination(lab, code):
    (lab.root / "spool").mkdir()
    (lab.root / "staging").mkdir(mode=0o700)
    lease, product, piece = at_work(lab)
    error = DiskError("bad", code=code, where=f"{product.staging}/f0")
    assert lab.outcome.of_piece(error, lease, product, piece)
    assert (now(lab, product).state, now(lab, product).attempts) == (State.RETRY_WAIT, 0)
    lab.db.rows("UPDATE product SET transient_failures = 5")
    lab.clock.pass_s(10)
    products.wake_due(lab.db, lab.clock)
    with lab.db.write():
        product = products.claim_ready(lab.db, lab.clock, product.id, lab.process)
    lab.outcome.of_product(error, lease, product)
    assert now(lab, product).attempts == 1
    assert paid(lab) == set()
    assert list((lab.root / "staging").iterdir()) == []


@pytest.mark.parametrize(
    ("where", "mode", "code"),
    [("staging/A", 0o700, "EROFS"), ("spool/A", 0o700, "EIO"), ("", 0o700, "EACCES"), ("staging/A", 0o777, "EPERM")],
)
def test_a_disk_that_fails_elsewhere_too_pauses_and_no_product_is_charged(lab, where, mode, code):
    (lab.root / "spool").mkdir()
    (lab.root / "staging").mkdir()
    (lab.root / "staging").chmod(mode)
    lease, product, piece = at_work(lab)
    lab.outcome.of_piece(DiskError("bad", code=code, where=where and f"{lab.root}/{where}"), lease, product, piece)
    assert backs_off(lab, disk_breaker(product.destination))
    assert now(lab, product).transient_failures == 0


def test_where_the_spool_itself_is_gone_it_pauses_and_no_product_begins_again(lab):
    lease, product, piece = at_work(lab)  # its spool was never made
    lab.outcome.of_piece(DiskError("gone", code="ENOENT"), lease, product, piece)
    assert backs_off(lab, disk_breaker(product.destination))
    assert now(lab, product).transient_failures == 0


def test_a_machine_that_is_short_of_something_brings_no_product_nearer_to_an_attempt(lab):
    product, lease = claimed(lab), lab.lease()
    for _ in range(20):
        lab.outcome.of_product(MachineError("short of memory", code="ENOMEM"), lease, product)
        lab.clock.pass_s(400)
        products.wake_due(lab.db, lab.clock)
        with lab.db.write():
            product = products.claim_ready(lab.db, lab.clock, product.id, lab.process)
    lab.outcome.of_product(ServiceError("cut", code="TruncatedBody"), lease, product)
    assert now(lab, product).attempts == 0


def test_the_first_list_over_each_lease_notes_that_the_key_works(lab):
    key_history.enter(lab.db, lab.clock, "a", "first")
    lease = lab.lease()
    lab.outcome.listed(lease)
    key_history.enter(lab.db, lab.clock, "a", "renewed")
    assert key_history.of_account(lab.db, "a").worked_at is None
    leases.release(lab.db, lab.clock, lease, cooldown_s=0)
    lab.outcome.listed(lab.lease())
    assert key_history.of_account(lab.db, "a").worked_at == lab.clock.utc_s()


def test_that_a_key_still_works_is_noted_again_after_a_minute(lab):
    key_history.enter(lab.db, lab.clock, "a", "first")
    lease = lab.lease()
    lab.outcome.listed(lease)
    lab.clock.pass_s(61)
    lab.outcome.listed(lease)
    assert key_history.of_account(lab.db, "a").worked_at == lab.clock.utc_s()
