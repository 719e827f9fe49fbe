"""What follows from a failure, row by row of the table in `cdsed.work.blame`, on a real state."""

import errno

import pytest

from cdsed.config.settings import RetrySettings
from cdsed.errors import (
    AccountError,
    Blame,
    DiskError,
    LeaseLost,
    MachineError,
    OwnedElsewhere,
    ProductError,
    ServiceError,
    StateError,
    Stopped,
    TransferError,
)
from cdsed.model.product import PathSource, State
from cdsed.model.transfer import Digests, Places
from cdsed.store import breakers, leases, pieces, products
from cdsed.store.breakers import SERVICE, account_breaker, disk_breaker
from cdsed.store.products import Found
from cdsed.work.blame import RULES, Course
from cdsed.work.boundary import bounded
from cdsed.work.outcome import Outcome
from tests.unit.store.state import listed

REFUSED = ProductError("may not read", code="Refused")
DEAD_KEY = AccountError("unknown key", code="InvalidAccessKeyId")
BROKEN = ServiceError("broke", code="ConnectionLost")
FULL = DiskError("full", code="ENOSPC")
GONE = ProductError("not there", code="NoSuchKey")
NOT_LISTED = ProductError("nothing lies there", code="NotListed")


@pytest.fixture
def bench(lab):
    lab.accounts("a", "b")
    lab.retry = RetrySettings(attempts=3, first_delay_s=1, longest_delay_s=8)
    lab.outcome = Outcome(lab.db, lab.clock, lab.retry)
    return lab


def claimed(bench, name="A"):
    """Bring a product to where it is about to be planned."""
    number = bench.ready(name)
    with bench.db.write():
        return products.claim_ready(bench.db, bench.clock, number, bench.process)


def at_work(bench, name="A", account="a", sizes=(10,)):
    """Bring a product to where a session is at one of its pieces."""
    bench.planned(name, sizes)
    lease = bench.lease(account)
    work = pieces.next_work(bench.db, bench.clock, lease, bench.process)
    return lease, work.product, work.pieces[0]


def now(bench, product):
    return products.get(bench.db, product.id)


def cools(bench, name):
    return bool(bench.db.value("SELECT open FROM breaker WHERE name = :name", name=name))


def test_a_failure_of_the_product_is_an_attempt_and_waits_longer_each_time(bench):
    lease, product, piece = at_work(bench)
    assert bench.outcome.of_piece(ProductError("x", code="Changed"), lease, product, piece)
    after = now(bench, product)
    assert (after.state, after.attempts, after.cause) == (State.WAITING, 1, "x (attempt 1 of 3)")
    assert bench.db.value("SELECT count(*) FROM piece WHERE fence IS NOT NULL") == 0


@pytest.mark.parametrize(("error", "end"), [(ProductError("x", code="Changed"), State.FAILED), (GONE, State.MISSING)])
def test_attempts_used_up_settle_a_product(bench, error, end):
    product = claimed(bench)
    bench.db.rows("UPDATE product SET attempts = 2")
    bench.outcome.of_product(error, bench.lease(), now(bench, product))
    after = now(bench, product)
    assert (after.state, after.attempts) == (end, 3)
    assert "attempt 3 of 3" in after.cause


def test_nothing_at_a_guessed_place_asks_the_catalogue_uncharged(bench):
    product = claimed(bench)
    assert bench.outcome.of_product(NOT_LISTED, bench.lease(), product)
    after = now(bench, product)
    assert (after.state, after.attempts, after.s3_path) == (State.QUEUED, 0, None)
    assert [each.id for each in products.queued(bench.db, 9, asks_catalogue=True)] == [product.id]


def test_nothing_at_the_catalogues_place_is_an_attempt_then_missing(bench):
    product = claimed(bench)
    bench.db.rows("UPDATE product SET path_source = :source", source=PathSource.CATALOGUE)
    bench.outcome.of_product(NOT_LISTED, bench.lease(), now(bench, product))
    assert (now(bench, product).state, now(bench, product).attempts) == (State.WAITING, 1)
    bench.clock.pass_s(100)
    products.wake_due(bench.db, bench.clock)
    with bench.db.write():
        again = products.claim_ready(bench.db, bench.clock, product.id, bench.process)
    bench.outcome.of_product(NOT_LISTED, None, again)
    assert now(bench, product).state is State.MISSING


def test_a_hostile_key_fails_at_once(bench):
    product = claimed(bench)
    bench.outcome.of_product(ProductError("evil", code="UnsafePath"), bench.lease(), product)
    assert now(bench, product).state is State.FAILED


def test_a_refused_product_goes_to_another_account(bench):
    lease, product, piece = at_work(bench)
    assert bench.outcome.of_piece(REFUSED, lease, product, piece)
    assert (now(bench, product).state, now(bench, product).attempts) == (State.READY, 0)
    assert pieces.next_work(bench.db, bench.clock, lease, bench.process) is None
    assert pieces.next_work(bench.db, bench.clock, bench.lease("b"), bench.process).product.id == product.id


def refused_to_all(bench):
    """Let both accounts be refused one product; return what became of it."""
    product = claimed(bench)
    bench.outcome.of_product(REFUSED, bench.lease("a"), product)
    with bench.db.write():
        product = products.claim_ready(bench.db, bench.clock, product.id, bench.process)
    bench.outcome.of_product(REFUSED, bench.lease("b"), product)
    return now(bench, product)


def deliver(bench, *accounts):
    for account in accounts:
        leases.count_traffic(bench.db, bench.clock, account, requests=1, size_bytes=1000)


def asked_again(bench, product):
    """Let time pass until a refused product is asked for again, and both accounts be refused it once more."""
    if product.state is State.WAITING:
        due_s = bench.db.value("SELECT due_s FROM product WHERE id = :id", id=product.id)
        bench.clock.pass_s(max(0.0, due_s - bench.clock.boot_s()))
        products.wake_due(bench.db, bench.clock)
    if now(bench, product).state is State.QUEUED:
        [claimed_again] = products.claim_resolving(bench.db, bench.clock, bench.process, [product.id])
        products.resolved(bench.db, bench.clock, claimed_again, Found("/eodata/x/A", PathSource.CATALOGUE))
    for account in ("a", "b"):
        with bench.db.write():
            product = products.claim_ready(bench.db, bench.clock, product.id, bench.process)
        lease = bench.lease(account)
        bench.outcome.of_product(REFUSED, lease, product)
        leases.give_back(bench.db, bench.clock, lease, rest_s=0)
    return now(bench, product)


def test_a_refusal_to_all_accounts_is_final_when_it_lasts_for_a_day_of_growing_pauses(bench):
    deliver(bench, "a", "b")
    product, began_s, pauses = refused_to_all(bench), bench.clock.boot_s(), []
    while product.state is not State.MISSING:
        assert (product.attempts, bench.db.value("SELECT count(*) FROM denial")) == (0, 0)
        deliver(bench, "a", "b")
        before_s = bench.clock.boot_s()
        product = asked_again(bench, product)
        pauses.append(bench.clock.boot_s() - before_s)
    assert bench.clock.boot_s() - began_s >= 86_400
    assert "not for this account" in product.cause
    assert 12 < len(pauses) < 40
    assert pauses[1] > 1.2 * pauses[0]
    assert pauses[5] > 10 * pauses[0]
    # The last round came after the catalogue had said once more that it offers the product.
    origins = bench.db.rows("SELECT origin FROM event WHERE product = :id ORDER BY id", id=product.id)
    assert "queued" in [row["origin"] for row in origins[-10:]]


def test_a_refusal_is_not_final_while_the_accounts_read_nothing_else(bench):
    deliver(bench, "a", "b")
    bench.clock.pass_s(7200)
    product, began_s = refused_to_all(bench), bench.clock.boot_s()
    while bench.clock.boot_s() < began_s + 2 * 86_400:
        deliver(bench, "a")
        product = asked_again(bench, product)
    assert product.state is State.WAITING


def test_a_clock_that_is_set_a_day_ahead_makes_no_refusal_final(bench):
    deliver(bench, "a", "b")
    product = refused_to_all(bench)
    bench.clock.utc += 10 * 86_400
    deliver(bench, "a", "b")
    assert asked_again(bench, product).state is State.WAITING


def test_what_is_given_after_all_forgets_that_it_was_refused(bench):
    deliver(bench, "a", "b")
    product = asked_again(bench, refused_to_all(bench))
    bench.clock.pass_s(1000)
    products.wake_due(bench.db, bench.clock)
    with bench.db.write():
        product = products.claim_ready(bench.db, bench.clock, product.id, bench.process)
    bench.plan(product, [listed("f", 10)], staged={})
    bench.fetched(bench.lease())
    row = bench.db.row("SELECT refusals, refused_at FROM product WHERE id = :id", id=product.id)
    assert row == {"refusals": 0, "refused_at": None}


def test_refused_by_accounts_that_never_delivered_is_nobodys_verdict(bench):
    product = refused_to_all(bench)
    assert (product.state, product.attempts) == (State.WAITING, 0)
    assert bench.db.value("SELECT count(*) FROM denial") == 0


def test_an_account_that_is_refused_everything_cools_though_it_lists(bench):
    for name in ("A", "B", "C"):
        assert not cools(bench, account_breaker("a"))
        lease, product, piece = at_work(bench, name)
        bench.outcome.listed(lease)
        bench.outcome.of_piece(REFUSED, lease, product, piece)
        leases.give_back(bench.db, bench.clock, lease, rest_s=0)
    assert cools(bench, account_breaker("a"))


def test_a_delivery_clears_an_account_and_its_disk(bench):
    lease, product, piece = at_work(bench)
    bench.outcome.of_piece(REFUSED, lease, product, piece)
    bench.outcome.of_product(FULL, None, claimed(bench, "other"))
    bench.outcome.delivered(lease, product)
    assert breakers.last_failure(bench.db, account_breaker("a")) is None
    assert breakers.last_failure(bench.db, disk_breaker(product.destination)) is None


def test_a_plan_that_found_room_ends_the_pause_for_want_of_it(bench):
    product = claimed(bench)
    bench.outcome.of_product(FULL, bench.lease(), product)
    assert cools(bench, disk_breaker("unknown"))
    bench.outcome.listed(bench.lease())
    assert not cools(bench, disk_breaker("unknown"))


@pytest.mark.parametrize("error", [DEAD_KEY, AccountError("429", code="Throttled", retry_after_s=50)])
def test_an_account_in_trouble_cools_and_the_product_does_not_notice(bench, error):
    lease, product, piece = at_work(bench)
    assert not bench.outcome.of_piece(error, lease, product, piece)
    assert cools(bench, account_breaker("a"))
    assert now(bench, product) == product
    assert pieces.next_work(bench.db, bench.clock, bench.lease("b"), bench.process).pieces == (piece,)


def test_an_account_in_trouble_while_planning_gives_the_product_back(bench):
    product = claimed(bench)
    assert not bench.outcome.of_product(DEAD_KEY, bench.lease(), product)
    assert (now(bench, product).state, now(bench, product).attempts) == (State.READY, 0)


def test_trouble_of_the_service_sets_a_piece_back_and_charges_nobody(bench):
    lease, product, piece = at_work(bench)
    assert bench.outcome.of_piece(BROKEN, lease, product, piece)
    assert now(bench, product) == product
    row = bench.db.row("SELECT setbacks, due_s, fence FROM piece")
    assert (row["setbacks"], row["fence"]) == (1, None)
    assert row["due_s"] > bench.clock.boot_s()


def test_the_eighth_failure_in_a_row_cools_the_service(bench):
    lease, product, _ = at_work(bench, sizes=tuple(2**24 + n for n in range(9)))
    todo = [pieces.next_work(bench.db, bench.clock, lease, bench.process).pieces[0] for _ in range(8)]
    for piece in todo:
        assert not cools(bench, SERVICE)
        bench.outcome.of_piece(BROKEN, lease, product, piece)
    assert cools(bench, SERVICE)
    assert now(bench, product).attempts == 0


def test_a_piece_that_keeps_failing_while_others_arrive_is_an_attempt(bench):
    lease, product, piece = at_work(bench)
    for setbacks in range(6):
        bench.outcome.delivered(lease, product)
        bench.clock.pass_s(1000)
        [piece] = pieces.next_work(bench.db, bench.clock, lease, bench.process).pieces if setbacks else [piece]
        assert now(bench, product).attempts == 0
        bench.outcome.of_piece(BROKEN, lease, product, piece)
    assert (now(bench, product).state, now(bench, product).attempts) == (State.WAITING, 1)


@pytest.mark.parametrize("code", ["ProxyResponse", "Redirected", "UnexpectedObject"])
def test_what_something_on_the_way_answers_is_never_an_attempt_however_often_it_comes(bench, code):
    foreign = ServiceError("a page", code=code)
    lease, product, piece = at_work(bench)
    planned = claimed(bench, "B")
    bench.db.rows("UPDATE product SET setbacks = 50 WHERE id = :id", id=planned.id)
    for setbacks in range(8):
        bench.outcome.delivered(lease, product)
        bench.clock.pass_s(1000)
        [piece] = pieces.next_work(bench.db, bench.clock, lease, bench.process).pieces if setbacks else [piece]
        bench.outcome.of_piece(foreign, lease, product, piece)
    bench.outcome.of_product(foreign, lease, now(bench, planned))
    assert (now(bench, product).state, now(bench, product).attempts) == (State.DOWNLOADING, 0)
    assert (now(bench, planned).state, now(bench, planned).attempts) == (State.WAITING, 0)


def test_trouble_of_the_service_while_planning_waits_uncharged(bench):
    product = claimed(bench)
    assert bench.outcome.of_product(BROKEN, bench.lease(), product)
    after = now(bench, product)
    assert (after.state, after.attempts, after.setbacks) == (State.WAITING, 0, 1)


def test_a_full_disk_pauses_its_destination_and_charges_nobody(bench):
    lease, product, piece = at_work(bench)
    assert bench.outcome.of_piece(FULL, lease, product, piece)
    after = now(bench, product)
    assert (after.state, after.attempts) == (State.WAITING, 0)
    assert cools(bench, disk_breaker(product.destination))


def test_a_full_disk_while_publishing_keeps_what_is_there(bench):
    bench.planned("A")
    bench.fetched(bench.lease())
    product = products.claim_verifying(bench.db, bench.clock, bench.process)
    bench.outcome.of_product(FULL, None, product)
    assert now(bench, product).state is State.WAITING
    assert pieces.objects(bench.db, product.id)[0].digests.md5


@pytest.mark.parametrize("error", [Stopped(), LeaseLost("overtaken")])
def test_a_stop_leaves_a_piece_as_it_was(bench, error):
    lease, product, piece = at_work(bench)
    pieces.advance(bench.db, lease, piece, 4)
    assert bench.outcome.of_piece(error, lease, product, piece) is not isinstance(error, Stopped)
    assert (now(bench, product).state, now(bench, product).attempts) == (State.DOWNLOADING, 0)
    assert bench.db.row("SELECT done_bytes, fence, setbacks FROM piece") == {
        "done_bytes": 4,
        "fence": None,
        "setbacks": 0,
    }


def test_a_stop_gives_back_what_was_being_planned_or_verified(bench):
    product = claimed(bench)
    assert not bench.outcome.of_product(Stopped(), bench.lease(), product)
    assert now(bench, product).state is State.READY
    verified = bench.planned("B", (0,))
    claim = products.claim_verifying(bench.db, bench.clock, bench.process)
    assert not bench.outcome.of_product(Stopped(), None, claim)
    assert products.get(bench.db, verified).state is State.DOWNLOADING


def test_a_bug_is_an_attempt_with_its_kind(bench):
    product = claimed(bench)
    bench.outcome.bug(ZeroDivisionError(), product)
    assert (now(bench, product).state, now(bench, product).attempts) == (State.WAITING, 1)
    assert "ZeroDivisionError" in now(bench, product).cause


def test_an_unexpected_error_is_logged_with_its_traceback_and_charged(bench, caplog):
    product = claimed(bench)
    assert not bounded(bench.outcome, product, lambda: bool(1 / 0))
    assert now(bench, product).attempts == 1
    assert caplog.records[0].exc_info[0] is ZeroDivisionError


@pytest.mark.parametrize("error", [StateError("full"), LeaseLost("moved on"), BROKEN], ids=lambda error: str(error))
def test_an_expected_error_passes_the_boundary_and_charges_nobody(bench, error):
    def step() -> bool:
        raise error

    product = claimed(bench)
    with pytest.raises(type(error)):
        bounded(bench.outcome, product, step)
    assert now(bench, product).attempts == 0


def test_a_bug_after_the_product_has_moved_on_charges_nobody(bench):
    lease, product, piece = at_work(bench)
    bench.outcome.of_piece(REFUSED, lease, product, piece)
    bench.outcome.bug(ZeroDivisionError(), product)
    assert (now(bench, product).state, now(bench, product).attempts) == (State.READY, 0)


def test_what_befell_one_session_is_not_charged_again_by_its_fellow(bench):
    bench.planned("A", (2**24, 2**24 + 1))
    one, other = bench.lease("a"), bench.lease("b")
    first = pieces.next_work(bench.db, bench.clock, one, bench.process)
    second = pieces.next_work(bench.db, bench.clock, other, bench.process)
    bench.outcome.of_piece(GONE, one, first.product, first.pieces[0])
    assert bench.outcome.of_piece(GONE, other, second.product, second.pieces[0])
    assert now(bench, first.product).attempts == 1
    with pytest.raises(LeaseLost):
        pieces.finish(bench.db, other, {second.pieces[0]: Digests()})


_CLASSES = {
    Blame.PRODUCT: ProductError,
    Blame.ACCOUNT: AccountError,
    Blame.SERVICE: ServiceError,
    Blame.DISK: DiskError,
    Blame.MACHINE: MachineError,
    Blame.BUG: TransferError,
}
_ROWS = [
    pytest.param(rule, code, id=f"{rule.blame}-{code}") for rule in RULES for code in rule.codes or ("SomethingNew",)
]


def error_of(rule, code):
    if rule.blame is Blame.NOBODY:
        return {"Stopped": Stopped, "OtherState": OwnedElsewhere, "LeaseLost": LeaseLost}[code]("what happened")
    return _CLASSES[rule.blame]("what happened", code=code)


def paid(bench):
    """Return the kinds of breakers that have counted a failure."""
    return {row["name"].partition(":")[0] for row in bench.db.rows("SELECT name FROM breaker")}


@pytest.mark.parametrize(("rule", "code"), _ROWS)
def test_a_product_that_is_being_planned_fares_as_its_row_says(bench, rule, code):
    product, terms = claimed(bench), rule.course.value
    bench.outcome.of_product(error_of(rule, code), bench.lease(), product)
    after = now(bench, product)
    assert (after.state, after.attempts) == (terms.state, int(terms.attempt))
    assert paid(bench) == ({terms.breaker} if terms.breaker else set())
    assert after.fence is None


@pytest.mark.parametrize(("rule", "code"), _ROWS)
def test_a_product_that_is_being_fetched_fares_as_its_row_says(bench, rule, code):
    (bench.root / "spool").mkdir()
    lease, product, piece = at_work(bench)
    terms = rule.course.value
    bench.outcome.of_piece(error_of(rule, code), lease, product, piece)
    after = now(bench, product)
    untouched = rule.course in (Course.SET_BACK, Course.COOL_ACCOUNT, Course.GIVE_BACK)
    assert after.state is (State.DOWNLOADING if untouched else terms.state)
    assert after.attempts == int(terms.attempt)
    assert paid(bench) == ({terms.breaker} if terms.breaker else set())
    assert bench.db.value("SELECT count(*) FROM piece WHERE fence IS NOT NULL") == 0


@pytest.mark.parametrize(
    ("raised", "blame", "code"),
    [
        (MemoryError(), Blame.MACHINE, "ENOMEM"),
        (OSError(errno.EMFILE, "too many open files"), Blame.MACHINE, "EMFILE"),
        (OSError(errno.EIO, "broken", "/spool/x"), Blame.DISK, "EIO"),
        (OSError(errno.ENAMETOOLONG, "too long"), Blame.PRODUCT, "ENAMETOOLONG"),
    ],
)
def test_what_python_says_of_disk_and_machine_is_no_bug(bench, raised, blame, code):
    product = claimed(bench)
    bench.outcome.bug(raised, product)
    row = bench.db.row("SELECT state, code, attempts FROM product WHERE id = :id", id=product.id)
    assert row == {"state": "waiting", "code": code, "attempts": int(blame is Blame.PRODUCT)}


def test_a_state_that_cannot_be_written_is_nobodys_attempt(bench):
    product = claimed(bench)
    with pytest.raises(StateError):
        bench.outcome.bug(StateError("full"), product)
    assert now(bench, product).attempts == 0


def test_a_spool_that_is_not_yet_begun_on_pauses_and_the_product_chooses_another(bench):
    product = claimed(bench)
    places = Places("/sick/.cdsed/A", "/sick")
    products.choose_place(bench.db, product, places, 10)
    assert bench.outcome.of_product(DiskError("read-only", code="EROFS"), bench.lease(), product)
    after = now(bench, product)
    assert (after.state, after.destination, after.staging, after.attempts) == (State.READY, None, None, 0)
    assert cools(bench, disk_breaker("/sick"))


def test_a_spool_in_trouble_is_named_once_in_the_log(bench, caplog):
    for name in ("A", "B", "C"):
        product = claimed(bench, name)
        products.choose_place(bench.db, product, Places(f"/sick/.cdsed/{name}", "/sick"), 10)
        bench.outcome.of_product(DiskError("read-only", code="EROFS"), None, product)
    assert caplog.text.count("/sick pauses") == 1


@pytest.mark.parametrize("code", ["ENOENT", "EEXIST", "Lost"])
def test_where_a_staging_directory_is_not_as_we_left_it_the_product_is_planned_anew_and_keeps_the_rest(bench, code):
    (bench.root / "spool").mkdir()
    lease, product, piece = at_work(bench)
    kept = bench.root / "staging" / "A" / "f1"
    kept.parent.mkdir(parents=True)
    kept.touch()
    assert bench.outcome.of_piece(DiskError("gone", code=code), lease, product, piece)
    after = now(bench, product)
    assert (after.state, after.attempts, after.setbacks) == (State.WAITING, 0, 1)
    assert kept.exists()
    assert paid(bench) == set()


def test_a_staging_directory_that_is_lost_again_and_again_is_an_attempt(bench):
    (bench.root / "spool").mkdir()
    product = claimed(bench)
    bench.db.rows("UPDATE product SET setbacks = 5")
    bench.outcome.of_product(DiskError("gone", code="ENOENT"), None, now(bench, product))
    assert now(bench, product).attempts == 1


def test_where_the_spool_itself_is_gone_it_pauses_and_no_product_begins_anew(bench):
    lease, product, piece = at_work(bench)  # its spool was never made
    bench.outcome.of_piece(DiskError("gone", code="ENOENT"), lease, product, piece)
    assert cools(bench, disk_breaker(product.destination))
    assert now(bench, product).setbacks == 0


def test_a_machine_that_is_short_of_something_brings_no_product_nearer_to_an_attempt(bench):
    product, lease = claimed(bench), bench.lease()
    for _ in range(20):
        bench.outcome.of_product(MachineError("short of memory", code="ENOMEM"), lease, product)
        bench.clock.pass_s(400)
        products.wake_due(bench.db, bench.clock)
        with bench.db.write():
            product = products.claim_ready(bench.db, bench.clock, product.id, bench.process)
    bench.outcome.of_product(ServiceError("cut", code="TruncatedBody"), lease, product)
    assert now(bench, product).attempts == 0
