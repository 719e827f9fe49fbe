"""Pauses, drains, cancellations, priorities and refetches as the state keeps them."""

from pathlib import Path

import pytest

from cdsed.cli import drain
from cdsed.cli.choosing import choose, listings_named
from cdsed.errors import UsageError
from cdsed.model.listing import Counts, ListingHead
from cdsed.model.product_state import State
from cdsed.model.status_report import DaemonState
from cdsed.store import (
    cancelling,
    commands,
    drains,
    leases,
    listings,
    pauses,
    pieces,
    priorities,
    processes,
    products,
    recovery,
    selection,
    snapshot,
)
from cdsed.store.audit import rules_broken
from cdsed.store.move import Move
from cdsed.store.refetching import refetch
from cdsed.work import controls
from cdsed.work.requeue import requeue, requeue_all


def listing(lab, name, *numbers, priority=0):
    head = ListingHead(0, name, name, "default", priority, None, 0.0, None)
    entered = listings.begin(lab.db, lab.clock, head, name)
    for line, number in enumerate(numbers, 1):
        listings.want(lab.db, entered.head.id, number, line)
    listings.count(lab.db, entered.head.id, len(numbers), Counts(accepted=len(numbers)), [])
    listings.finish(lab.db, entered.head.id, accepted=True, path=name)
    return entered.head.id


def work(lab, account="a"):
    """Return the name of the product that a session works on next; None if none may begin."""
    lease = lab.lease(account)
    given = pieces.next_work(lab.db, lab.clock, lease, lab.process)
    leases.release(lab.db, lab.clock, lease, cooldown_s=0)
    if given is None:
        return None
    if not given.pieces:
        products.move(lab.db, lab.clock, given.product, Move(State.READY))
    return given.product.safename


def verifying(lab, name="A"):
    """Bring a product to its verification."""
    number = lab.planned(name)
    lease = lab.lease()
    lab.fetched(lease)
    leases.release(lab.db, lab.clock, lease, cooldown_s=0)
    product = products.claim_verifying(lab.db, lab.clock, lab.process)
    assert product is not None
    assert product.id == number
    return product


@pytest.fixture
def lab(lab):
    lab.accounts("a", "b")
    return lab


@pytest.mark.parametrize(("kind", "name"), [("all", ""), ("group", "default")])
def test_a_pause_gives_no_lease_and_no_work_and_ends_when_resumed(lab, kind, name):
    lab.ready("A")
    held = lab.lease()
    pauses.add(lab.db, lab.clock, kind, name, None)
    assert lab.free() == []
    assert not leases.may_continue(lab.db, lab.clock, held)
    assert pieces.next_work(lab.db, lab.clock, held, lab.process) is None
    assert products.groups_at_work(lab.db, lab.clock) == []
    pauses.remove(lab.db, kind, name)
    assert leases.may_continue(lab.db, lab.clock, held)
    assert work(lab) == "A"


def test_a_paused_account_rests_while_another_of_its_group_works(lab):
    lab.ready("A")
    held = lab.lease("a")
    pauses.add(lab.db, lab.clock, "account", "a", None)
    assert {session.account for session in lab.free()} == {"b"}
    assert not leases.may_continue(lab.db, lab.clock, held)
    assert work(lab, "b") == "A"


def test_a_product_of_a_paused_listing_waits_unless_an_open_one_wants_it(lab):
    only, both = lab.ready("A"), lab.ready("B")
    paused, other = listing(lab, "x.txt", only, both), listing(lab, "y.txt", both)
    pauses.add(lab.db, lab.clock, "listing", str(paused), None)
    assert work(lab) == "B"
    pauses.add(lab.db, lab.clock, "listing", str(other), None)
    assert work(lab) is None
    assert products.groups_at_work(lab.db, lab.clock) == []
    pauses.remove(lab.db, "listing", str(paused))
    assert work(lab) == "A"
    assert rules_broken(lab.db) == []


def test_a_paused_product_in_transfer_stays_as_it_is_and_takes_no_attempt(lab):
    number = lab.planned("A", (10, 10))
    paused = listing(lab, "x.txt", number)
    pauses.add(lab.db, lab.clock, "listing", str(paused), None)
    assert work(lab) is None
    product = products.get(lab.db, number)
    assert (product.state, product.attempts, product.planned) == (State.DOWNLOADING, 0, True)
    assert pieces.rests(lab.db, product)  # a session ends its batch of small pieces early
    pauses.remove(lab.db, "listing", str(paused))
    assert not pieces.rests(lab.db, product)


def test_a_product_that_joins_a_paused_listing_later_waits_too(lab):
    number = lab.ready("A")
    paused = listing(lab, "x.txt")
    pauses.add(lab.db, lab.clock, "listing", str(paused), None)
    listings.want(lab.db, paused, number, 1)
    assert work(lab) is None
    listing(lab, "y.txt", number)
    assert work(lab) == "A"


def test_the_pause_of_a_listing_ends_with_its_report(lab):
    number = lab.ready("A")
    paused = listing(lab, "x.txt", number)
    pauses.add(lab.db, lab.clock, "listing", str(paused), None)
    listings.reported(lab.db, lab.clock, paused, seen=listings.newest_event(lab.db))
    assert pauses.active(lab.db, lab.clock) == ()
    assert work(lab) == "A"


def test_a_paused_disk_takes_no_product_and_no_verification(lab):
    place = str(lab.root / "spool")
    lab.planned("A")
    lab.ready("B", outputdir="/elsewhere")
    pauses.add(lab.db, lab.clock, "disk", place, None)
    assert work(lab) == "B"
    lease = lab.lease()
    assert pieces.next_work(lab.db, lab.clock, lease, lab.process).product.safename == "B"
    pauses.remove(lab.db, "disk", place)
    lab.fetched(lease)
    pauses.add(lab.db, lab.clock, "disk", place, None)
    assert products.claim_verifying(lab.db, lab.clock, lab.process) is None
    pauses.remove(lab.db, "disk", place)
    assert products.claim_verifying(lab.db, lab.clock, lab.process) is not None


def test_products_without_a_place_wait_only_while_every_spool_is_paused(lab):
    lab.ready("A")
    spools = ["/one", "/two"]
    pauses.add(lab.db, lab.clock, "disk", "/one", None)
    pauses.follow_spools(lab.db, lab.clock, spools)
    assert work(lab) == "A"
    pauses.add(lab.db, lab.clock, "disk", "/two", None)
    pauses.follow_spools(lab.db, lab.clock, spools)
    assert work(lab) is None
    assert {pause.name for pause in pauses.active(lab.db, lab.clock)} == set(spools)
    pauses.remove(lab.db, "disk", "/one")
    pauses.follow_spools(lab.db, lab.clock, spools)
    assert work(lab) == "A"


def test_a_pause_with_an_end_is_over_then(lab, caplog):
    lab.ready("A")
    pauses.add(lab.db, lab.clock, "all", "", lab.clock.utc_s() + 60)
    lab.clock.pass_s(59)
    controls.look(lab.db, lab.clock, [])
    assert pauses.active(lab.db, lab.clock)
    lab.clock.pass_s(2)
    assert pauses.active(lab.db, lab.clock) == ()  # a daemon that is stopped cannot remove it
    with caplog.at_level("INFO"):
        controls.look(lab.db, lab.clock, [])
    assert "the pause of all" in caplog.text
    assert work(lab) == "A"


def test_a_person_resumes_a_window_until_its_own_end(lab):
    end_at = lab.clock.utc_s() + 3600
    begin = (
        "INSERT INTO pause VALUES ('account', 'a', 'window', :at, :until) ON CONFLICT DO UPDATE SET until_at = :until"
    )

    def window():
        lab.db.rows(begin, at=lab.clock.utc_s(), until=end_at)

    window()
    assert {session.account for session in lab.free()} == {"b"}
    pauses.remove(lab.db, "account", "a")
    window()  # the daemon enters it again
    assert pauses.active(lab.db, lab.clock) == ()
    lab.clock.pass_s(3601)
    controls.look(lab.db, lab.clock, [])
    end_at += 86_400
    window()
    assert [pause.source for pause in pauses.active(lab.db, lab.clock)] == ["window"]
    pauses.remove(lab.db, "account", "a")
    pauses.add(lab.db, lab.clock, "account", "a", None)  # pausing it again allows the window, too
    window()
    assert len(pauses.active(lab.db, lab.clock)) == 2


def test_the_status_says_who_paused_what_and_until_when_only_if_that_is_why(lab):
    first, second = lab.ready("A"), lab.ready("B")
    listing(lab, "y.txt", second)
    paused = listing(lab, "x.txt", first)
    processes.daemon_started(lab.db, lab.clock, version="1", once=False)
    pauses.add(lab.db, lab.clock, "listing", str(paused), lab.clock.utc_s() + 7200)
    report = snapshot.report(lab.db, lab.clock, running=True)
    assert report.daemon.state is DaemonState.RUNNING
    assert [(pause.kind, pause.name, pause.source) for pause in report.pauses] == [("listing", "x.txt", "person")]
    assert report.why_idle is None
    pauses.add(lab.db, lab.clock, "all", "", None)
    report = snapshot.report(lab.db, lab.clock, running=True)
    assert report.why_idle is not None
    assert report.why_idle.startswith("everything is paused by a person until `cdsed resume`")
    assert not report.needs_account


def test_a_drained_account_finishes_what_was_begun_and_begins_nothing(lab):
    lab.planned("A", (10, 10))
    lab.clock.pass_s(1)
    drains.add(lab.db, lab.clock, "a")
    lab.clock.pass_s(1)
    lab.ready("B")
    assert drains.note_done(lab.db, lab.clock) == []
    assert work(lab, "a") == "A"
    lease = lab.lease("b")
    lab.fetched(lease)
    finished = products.claim_verifying(lab.db, lab.clock, lab.process)
    products.move(lab.db, lab.clock, finished, Move(State.DONE, path="/spool/A"))
    assert "a" not in {session.account for session in lab.free()}
    assert pieces.next_work(lab.db, lab.clock, lease, lab.process).product.safename == "B"
    assert drains.note_done(lab.db, lab.clock) == ["a"]
    assert drains.remove(lab.db, "a")
    assert "a" in {session.account for session in lab.free()}


def test_an_account_whose_name_has_the_characters_of_a_pattern_is_drained_by_its_name(lab):
    with lab.db.write():
        for name in ("lab[1]", "lab1"):
            lab.db.rows(
                "INSERT INTO account VALUES (:name, 'default', 1, 1, 1, NULL, 1, NULL, '', 0, 0, NULL)", name=name
            )
    assert _drained(lab, "lab[1]") == ["lab[1]"]  # and not the one that fits it as a pattern
    assert _drained(lab, "lab[1]*") == ["lab1"]
    assert _drained(lab, "lab1", "lab*") == ["lab1", "lab[1]"]
    with pytest.raises(UsageError, match="no account is named"):
        _drained(lab, "lab[2]")


def _drained(lab, *names):
    return [name for _, name in drain._targets(lab.db, list(names), "account")]


def test_a_drained_daemon_leaves_what_is_ready(lab):
    number = lab.ready("A")
    listing(lab, "x.txt", number)
    drains.add(lab.db, lab.clock, "")
    assert lab.free() == []
    assert products.groups_at_work(lab.db, lab.clock) == []
    processes.daemon_started(lab.db, lab.clock, version="1", once=False)
    assert "the daemon is drained by a person" in (snapshot.report(lab.db, lab.clock, running=True).why_idle or "")


@pytest.mark.parametrize("state", [State.QUEUED, State.READY, State.DOWNLOADING, State.RETRY_WAIT])
def test_a_product_is_cancelled_at_once_in_every_state_in_which_it_cannot_be_published(lab, state):
    number = {State.QUEUED: lab.queued, State.DOWNLOADING: lab.planned}.get(state, lab.ready)("A")
    if state is State.RETRY_WAIT:
        with lab.db.write():
            product = products.claim_ready(lab.db, lab.clock, number, lab.process)
        products.move(lab.db, lab.clock, product, Move(state, cause="x", code="Changed", due_s=5.0))
    found = cancelling.cancel(lab.db, lab.clock, [], [number], "mika")
    assert (found.products, found.undecided) == (("A",), ())
    assert lab.state(number) is State.CANCELLED
    assert snapshot.history(lab.db, products.get(lab.db, number))[-1].cause == "cancelled by mika"
    assert rules_broken(lab.db) == []
    assert snapshot.report(lab.db, lab.clock, running=True).errors == ()


def test_a_session_at_a_cancelled_product_loses_its_piece_and_nothing_else(lab):
    number = lab.planned("A", (10, 10))
    lease = lab.lease()
    given = pieces.next_work(lab.db, lab.clock, lease, lab.process)
    cancelling.cancel(lab.db, lab.clock, [], [number], None)
    assert not pieces.let_go(lab.db, lease, given.pieces[0])
    assert leases.may_continue(lab.db, lab.clock, lease)
    assert rules_broken(lab.db) == []


def test_a_planner_at_a_cancelled_product_loses_its_claim(lab):
    number = lab.ready("A")
    with lab.db.write():
        product = products.claim_ready(lab.db, lab.clock, number, lab.process)
    cancelling.cancel(lab.db, lab.clock, [], [number], None)
    with pytest.raises(Exception, match="another worker"):
        lab.plan(product, [], {})
    assert lab.state(number) is State.CANCELLED


def test_a_product_in_verification_is_cancelled_only_if_it_is_not_published_first(lab):
    product = verifying(lab)
    found = cancelling.cancel(lab.db, lab.clock, [], [product.id], None)
    assert (found.products, found.undecided) == ((), ("A",))
    assert cancelling.is_cancelled(lab.db, product)
    products.move(lab.db, lab.clock, product, Move(State.DONE, path="/spool/A"))
    assert lab.state(product.id) is State.DONE
    assert not cancelling.is_cancelled(lab.db, product)


def test_a_product_whose_verification_fails_after_it_was_cancelled_is_cancelled(lab):
    product = verifying(lab)
    cancelling.cancel(lab.db, lab.clock, [], [product.id], None)
    pieces.mark_bad(lab.db, {stored.id: None for stored in pieces.objects(lab.db, product.id)})
    products.move(lab.db, lab.clock, product, Move(State.RETRY_WAIT, cause="bad", code="Damaged", due_s=9.0))
    assert lab.state(product.id) is State.CANCELLED


@pytest.mark.parametrize("state", [State.RETRY_WAIT, State.DOWNLOADING])
def test_a_product_that_arrived_stays_undecided_until_the_disk_has_been_looked_at(lab, state):
    product = verifying(lab)
    cancelling.cancel(lab.db, lab.clock, [], [product.id], None)
    due_s = 9.0 if state is State.RETRY_WAIT else None
    products.move(lab.db, lab.clock, product, Move(state, cause="disk", due_s=due_s))
    assert cancelling.undecided(lab.db, lab.clock) == product.id
    assert products.claim_verifying(lab.db, lab.clock, lab.process) is None
    now = products.get(lab.db, product.id)
    changed_at = cancelling.changed_at(lab.db, product.id)
    assert not cancelling.decide(lab.db, lab.clock, now, changed_at - 1, published=True)
    assert cancelling.decide(lab.db, lab.clock, now, changed_at, published=False)
    assert lab.state(product.id) is State.CANCELLED
    assert rules_broken(lab.db) == []


def test_a_cancelled_listing_is_finished_at_once_and_keeps_what_another_wants(lab):
    mine, both, done = lab.ready("A"), lab.ready("B"), lab.queued("C")
    lab.finish(done, State.ALREADY_PRESENT)
    gone, stays = listing(lab, "x.txt", mine, both, done), listing(lab, "y.txt", both)
    found = cancelling.cancel(lab.db, lab.clock, [gone], [], None)
    assert (found.listings, found.products, found.kept, found.finished) == (1, ("A",), 1, 1)
    assert [each.head.id for each in listings.finished(lab.db, 9)] == [gone]
    rows = {row.safename: row.state for row in listings.report_rows(lab.db, gone)}
    assert rows == {"A": "cancelled", "B": "cancelled", "C": "already_present"}
    assert lab.state(both) is State.READY
    assert cancelling.cancel(lab.db, lab.clock, [stays], [], None).products == ("B",)


def test_the_report_of_a_cancelled_listing_waits_for_what_is_undecided(lab):
    product = verifying(lab)
    gone = listing(lab, "x.txt", product.id)
    cancelling.cancel(lab.db, lab.clock, [gone], [], None)
    assert listings.finished(lab.db, 9) == []
    products.move(lab.db, lab.clock, product, Move(State.DONE, path="/spool/A"))
    assert [each.head.id for each in listings.finished(lab.db, 9)] == [gone]


def test_retry_takes_a_cancelled_listing_up_again(lab):
    mine, both = lab.ready("A"), lab.ready("B")
    gone, _ = listing(lab, "x.txt", mine, both), listing(lab, "y.txt", both)
    cancelling.cancel(lab.db, lab.clock, [gone], [], None)
    listings.reported(lab.db, lab.clock, gone, seen=listings.newest_event(lab.db))
    done = list(requeue_all(lab.db, lab.clock, frozenset({State.CANCELLED}), gone))
    assert [(each.safename, each.was) for each in done] == [("A", State.CANCELLED)]
    assert listings.get(lab.db, gone).state == "open"
    assert listings.finished(lab.db, 9) == []


def test_retry_takes_back_a_cancellation_that_is_not_decided_yet(lab):
    product = verifying(lab)
    gone = listing(lab, "x.txt", product.id)
    cancelling.cancel(lab.db, lab.clock, [gone], [], None)
    [done] = requeue(lab.db, lab.clock, [products.get(lab.db, product.id)])
    assert done.started
    assert not cancelling.is_cancelled(lab.db, product)


def test_what_a_cancelled_listing_names_later_is_cancelled_too(lab):
    head = ListingHead(0, "x.txt", "x", "default", 0, None, 0.0, None)
    taking = listings.begin(lab.db, lab.clock, head, "x.txt").head.id
    cancelling.cancel(lab.db, lab.clock, [taking], [], None)
    number = lab.queued("A")
    listings.want(lab.db, taking, number, 1)
    cancelling.cancel_rest(lab.db, lab.clock, taking)
    assert lab.state(number) is State.CANCELLED


def test_retry_chooses_by_the_class_of_the_error(lab):
    for name, code in (("A", "NotInCatalogue"), ("B", "Offline")):
        number = lab.queued(name)
        [product] = products.claim_resolving(lab.db, lab.clock, lab.process, [number])
        products.move(lab.db, lab.clock, product, Move(State.UNAVAILABLE, cause=code, code=code))
    done = list(requeue_all(lab.db, lab.clock, frozenset({State.UNAVAILABLE}), None, "Offline"))
    assert [each.safename for each in done] == ["B"]


def test_a_product_has_the_priority_of_its_most_urgent_listing_or_its_own(lab):
    mine, both = lab.ready("A"), lab.ready("B")
    low, _ = listing(lab, "x.txt", mine, both), listing(lab, "y.txt", both, priority=3)
    assert priorities.set_listing(lab.db, low, 2) == 2
    assert [products.get(lab.db, each).priority for each in (mine, both)] == [2, 3]
    assert priorities.set_product(lab.db, mine, 9)
    assert work(lab) == "A"
    priorities.set_listing(lab.db, low, 0)
    assert work(lab) == "B"
    lab.finish(last := lab.queued("C"), State.CANCELLED)
    assert not priorities.set_product(lab.db, last, 1)


def refetched(lab):
    number = lab.queued("A")
    products.move(lab.db, lab.clock, products.get(lab.db, number), Move(State.ALREADY_PRESENT, path="/spool/A"))
    assert refetch(lab.db, lab.clock, products.get(lab.db, number), 77, "mika")
    return number


def test_a_product_that_is_fetched_again_remembers_the_copy_that_it_replaces(lab):
    product = products.get(lab.db, refetched(lab))
    assert (product.state, product.replaces, product.replaces_inode) == (State.QUEUED, "/spool/A", 77)
    assert product.destination == "/spool"


@pytest.mark.parametrize("end", ["unavailable", "cancelled"])
def test_the_former_copy_counts_again_if_no_new_one_comes(lab, end):
    number = refetched(lab)
    if end == "cancelled":
        cancelling.cancel(lab.db, lab.clock, [], [number], None)
    else:
        [product] = products.claim_resolving(lab.db, lab.clock, lab.process, [number])
        products.move(lab.db, lab.clock, product, Move(State.UNAVAILABLE, cause="deleted", code="Deleted"))
    product = products.get(lab.db, number)
    assert (product.state, product.path, product.replaces) == (State.ALREADY_PRESENT, "/spool/A", None)
    assert "the former copy stays" in (product.cause or "")
    assert rules_broken(lab.db) == []


@pytest.mark.parametrize("on_disk", [True, False])
def test_a_backup_with_a_cancellation_that_was_not_decided_is_recovered_and_the_disk_decides(lab, on_disk):
    product = verifying(lab)
    cancelling.cancel(lab.db, lab.clock, [], [product.id], None)
    recovery.release_all(lab.db, lab.clock)
    assert cancelling.undecided(lab.db, lab.clock) == product.id
    place = (Path("/spool/A"), False) if on_disk else None
    recovery.rescan(lab.db, lab.clock, lambda _: place)
    if not on_disk:
        products.wake_due(lab.db, lab.clock)
        waits = products.get(lab.db, product.id)
        changed_at = cancelling.changed_at(lab.db, product.id)
        assert cancelling.decide(lab.db, lab.clock, waits, changed_at, published=False)
    assert lab.state(product.id) is (State.ALREADY_PRESENT if on_disk else State.CANCELLED)
    assert rules_broken(lab.db) == []


def test_patterns_are_those_of_a_shell_and_need_no_extension(lab):
    first, second = lab.queued("S1A_X_1.SAFE"), lab.queued("S1B_Y_2.SAFE")
    assert selection.products_like(lab.db, "S1A*") == [first]
    assert selection.products_like(lab.db, "S1[!A]_Y_?") == [second]
    week = listing(lab, "week-1.txt", first)
    assert selection.listings_like(lab.db, "week-*") == [week]


def test_a_listing_whose_name_has_the_characters_of_a_pattern_or_is_that_of_a_product_is_found(lab):
    number = lab.queued("S1A_X_1.SAFE")
    odd, like = listing(lab, "odd[1].txt", number), listing(lab, "S1A_X_1.SAFE", number)
    other = listing(lab, "odd1.txt", number)
    assert choose(lab.db, ["odd[1].txt"]).listings == [odd]  # and not the one that fits it as a pattern
    assert choose(lab.db, ["odd[1]*"]).listings == [other]
    assert listings_named(lab.db, "odd[1].txt") == [odd]
    assert listings_named(lab.db, "S1A_X_1.SAFE") == [like]


def test_commands_of_people_are_copied_to_the_log_once(lab, caplog):
    commands.add(lab.db, lab.clock, "mika", "pause everything")
    with caplog.at_level("INFO"):
        controls.look(lab.db, lab.clock, [])
        controls.look(lab.db, lab.clock, [])
    assert caplog.messages.count("mika commanded: pause everything") == 1


def test_work_is_handed_out_as_quickly_when_thousands_of_products_are_held(lab):
    other = lab.ready("Z")
    paused = listing(lab, "x.txt")
    many = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) "
    lab.db.rows(
        many + "INSERT INTO product (safename, state, account_group, priority, s3_path, path_source, changed_at) "
        "SELECT 'P' || i, 'ready', 'default', 9, '/x', 'name', 0 FROM n"
    )
    lab.db.rows("INSERT INTO want SELECT :listing, id, id FROM product WHERE safename LIKE 'P%'", listing=paused)
    pauses.add(lab.db, lab.clock, "listing", str(paused), None)
    lease = lab.lease()
    given = pieces.next_work(lab.db, lab.clock, lease, lab.process)
    assert given.product.id == other
    steps = lab.db.rows(
        "EXPLAIN QUERY PLAN " + pieces._SQL.next_product,
        group="default", account="a", now_s=0.0, begins=1, begun_by=9e9,
    )  # fmt: skip
    plan = " ".join(str(step["detail"]) for step in steps)
    assert "product_by_place (account_group=? AND held=? AND place=?)" in plan
    assert "SCAN product" not in plan.replace("SCAN product USING INDEX product_downloading", "")
