"""Pieces: planning, hand-out to sessions, and progress that is kept."""

import random
from functools import partial

import pytest

from cdsed.errors import AccountError, DiskError, LeaseLost
from cdsed.model.objects import Digests, ResumePoint
from cdsed.model.product_state import State
from cdsed.store import breakers, digesting, leases, pieces, processes, products, refusals
from cdsed.store.breakers import BreakerPolicy, account_breaker, disk_breaker
from cdsed.store.cutting import Pacing
from cdsed.store.database import open_state
from cdsed.store.move import Move
from tests.support.state import BROKEN, listed

_MIB = 2**20


def next_work(lab, lease, **speeds):
    return pieces.next_work(lab.db, lab.clock, lease, lab.process, Pacing(partial(lock_of, lab), **speeds))


def lock_of(lab, account, slot):
    return lab.root / f"{account}.{slot}.lock"


def is_at(lab, lease, piece, done_bytes):
    """Let a session note in its lock file how far its piece is."""
    lock_of(lab, lease.account, lease.slot).write_bytes(ResumePoint(lease.fence, piece.id, done_bytes, 0).pack())


def claim(lab, number):
    with lab.db.write():
        return products.claim_ready(lab.db, lab.clock, number, lab.process)


def replan(lab, number, objects, staged, piece_bytes=10):
    """Plan a product again that is under way, as after a failure."""
    products.move(lab.db, lab.clock, products.get(lab.db, number), Move(State.READY))
    lab.plan(claim(lab, number), objects, staged, piece_bytes)


@pytest.fixture
def one(lab):
    lab.accounts("a", "b")
    return lab


def test_an_object_is_cut_into_pieces_and_an_empty_one_has_none(one):
    number = one.ready("A")
    one.plan(claim(one, number), [listed("big", 25), listed("empty", 0)], {}, piece_bytes=10)
    rows = one.db.rows("SELECT first_byte, size_bytes FROM piece ORDER BY first_byte")
    assert [(row["first_byte"], row["size_bytes"]) for row in rows] == [(0, 10), (10, 10), (20, 5)]
    assert products.get(one.db, number).size_bytes == 25
    assert len(pieces.objects(one.db, number)) == 2


def test_sessions_join_a_product_already_begun_before_they_begin_another(one):
    begun = one.planned("begun", (9 * _MIB, 9 * _MIB))
    other = one.ready("other")
    first, second, third = (next_work(one, one.lease("a")) for _ in range(3))
    assert [first.product.id, second.product.id, third.product.id] == [begun, begun, other]
    assert first.pieces != second.pieces
    assert third.pieces == ()
    assert one.state(other) is State.DOWNLOADING


def test_a_more_urgent_product_comes_before_one_already_begun(one):
    one.planned("begun")
    urgent = one.ready("urgent", priority=1)
    assert next_work(one, one.lease()).product.id == urgent


def test_small_pieces_come_in_batches_and_large_ones_alone(one):
    one.accounts("a", sessions=1)
    one.planned("A", (3 * _MIB, 3 * _MIB, 3 * _MIB, 9 * _MIB))
    lease = one.lease()
    assert [len(next_work(one, lease).pieces) for _ in range(3)] == [1, 2, 1]
    assert next_work(one, lease) is None


@pytest.mark.parametrize(("mib_per_s", "counts"), [(30, [4]), (1, [2, 2]), (None, [2, 2])])
def test_a_session_far_away_takes_at_once_what_it_fetches_in_some_seconds(one, mib_per_s, counts):
    one.planned("A", (12 * _MIB, 12 * _MIB, 12 * _MIB, 20 * _MIB))
    one.ready("other")
    lease, bytes_per_s = one.lease(), mib_per_s and mib_per_s * _MIB
    taken = [len(next_work(one, lease, bytes_per_s=bytes_per_s, batch_s=2.0).pieces) for _ in counts]
    assert taken == counts


@pytest.mark.parametrize(("batch_s", "counts"), [(0.0, [32, 32]), (2.0, [128, 2])])
def test_a_session_far_away_takes_more_small_pieces_at_once(one, batch_s, counts):
    one.planned("A", (10,) * 130)
    one.ready("other")
    lease = one.lease()
    assert [len(next_work(one, lease, batch_s=batch_s).pieces) for _ in counts] == counts


def test_the_last_pieces_get_smaller_so_that_all_sessions_end_together(one):
    number = one.ready("A")
    one.plan(claim(one, number), [listed("big", 400 * _MIB)], {}, piece_bytes=32 * _MIB)
    held = [one.lease("a") for _ in range(4)] + [one.lease("b") for _ in range(4)]
    work, sizes, first_bytes = {}, [], 0
    for turn in range(100):  # all are equally fast
        lease = held[turn % 8]
        if lease in work:
            pieces.finish(one.db, lease, {piece: Digests() for piece in work.pop(lease).pieces})
        for other, holds in work.items():
            is_at(one, other, holds.pieces[0], holds.pieces[0].size_bytes)
        if (handed := next_work(one, lease)) is None:
            break
        work[lease] = handed
        sizes.append(sum(piece.size_bytes for piece in handed.pieces))
        assert handed.pieces[0].first_byte == first_bytes
        first_bytes += sizes[-1]
    assert sum(sizes) == 400 * _MIB
    assert sizes[:5] == [32 * _MIB] * 5
    assert max(sizes[-4:]) <= 10 * _MIB
    assert min(sizes) >= 1.9 * _MIB
    assert len(sizes) < 40


def test_of_a_piece_that_is_cut_a_session_takes_most_of_what_all_have_left_each(one):
    number = one.ready("A")
    one.plan(claim(one, number), [listed("big", 96 * _MIB)], {}, piece_bytes=96 * _MIB)
    first, second = one.lease(), one.lease()
    one.accounts("a", sessions=2)
    known = {"bytes_per_s": 2e7, "typical_bytes_per_s": 2e7}
    [piece] = next_work(one, first, **known).pieces
    assert piece.size_bytes == pytest.approx(2 / 3 * 96 / 2 * _MIB, abs=_MIB)
    is_at(one, first, piece, piece.size_bytes - 8 * _MIB)
    [other] = next_work(one, second, **known).pieces
    assert other.size_bytes == pytest.approx(2 / 3 * (64 + 8) / 2 * _MIB, abs=_MIB)


def test_large_objects_arrive_side_by_side_so_that_several_processes_digest_them(one):
    number = one.ready("A")
    objects = [listed("small", _MIB), listed("large", 120 * _MIB), listed("larger", 150 * _MIB)]
    one.plan(claim(one, number), objects, {}, piece_bytes=30 * _MIB)
    one.ready("other")
    lease = one.lease()
    paths = [next_work(one, lease).pieces[0].path for _ in range(10)]
    assert paths == ["larger", *("large", "larger") * 4, "small"]


def test_the_last_small_pieces_are_dealt_out_to_all_sessions(one):
    one.accounts("a")
    one.planned("A", (_MIB // 4,) * 32)
    held = [one.lease() for _ in range(4)]
    counts = [len(next_work(one, lease).pieces) for lease in held]
    assert all(3 <= count <= 6 for count in counts)


def test_the_slower_the_sessions_the_smaller_may_the_last_pieces_be(one):
    number = one.ready("A")
    one.plan(claim(one, number), [listed("big", 8 * _MIB)], {}, piece_bytes=7 * _MIB)
    speeds = {"bytes_per_s": 5e6, "typical_bytes_per_s": 5e6}
    assert next_work(one, one.lease(), **speeds).pieces[0].size_bytes == pytest.approx(_MIB, rel=0.1)


def test_a_slow_session_takes_less_also_while_other_products_are_ready(one):
    number = one.ready("A")
    one.plan(claim(one, number), [listed("big", 400 * _MIB)], {}, piece_bytes=64 * _MIB)
    one.ready("other")
    speeds = [2e7, 1.2e7, 5e6, 1e6]
    taken = [
        next_work(one, one.lease(), bytes_per_s=speed, typical_bytes_per_s=2e7).pieces[0].size_bytes for speed in speeds
    ]
    assert taken[:2] == [64 * _MIB, 64 * _MIB]
    assert taken[2] == pytest.approx(16 * _MIB, rel=0.5)
    assert taken[3] == pytest.approx(8 * _MIB, rel=0.1)


def test_a_session_that_has_not_shown_how_fast_it_is_takes_half_a_piece_of_the_last_product(one):
    number = one.ready("A")
    one.plan(claim(one, number), [listed("big", 1000 * _MIB)], {}, piece_bytes=64 * _MIB)
    lease = one.lease()
    assert next_work(one, lease).pieces[0].size_bytes == 32 * _MIB
    assert next_work(one, lease, bytes_per_s=2e7, typical_bytes_per_s=2e7).pieces[0].size_bytes == 32 * _MIB  # the rest
    assert next_work(one, lease, bytes_per_s=2e7, typical_bytes_per_s=2e7).pieces[0].size_bytes == 64 * _MIB


def test_no_piece_is_cut_while_other_products_are_ready(one):
    number = one.ready("A")
    one.plan(claim(one, number), [listed("big", 100 * _MIB)], {}, piece_bytes=32 * _MIB)
    one.ready("other")
    assert next_work(one, one.lease()).pieces[0].size_bytes == 32 * _MIB


def test_a_whole_object_is_cut_only_if_much_is_left_because_its_digest_is_computed_while_it_arrives(one):
    one.planned("A", (9 * _MIB,))
    assert next_work(one, one.lease()).pieces[0].whole
    one.planned("B", (30 * _MIB,))
    assert not next_work(one, one.lease()).pieces[0].whole


def test_a_product_refused_to_an_account_is_given_to_another(one):
    number = one.ready("A")
    assert refusals.add_denial(one.db, one.clock, products.get(one.db, number), "a") == 1
    assert next_work(one, one.lease("a")) is None
    assert next_work(one, one.lease("b")).product.id == number


def test_a_product_refused_to_all_accounts_that_are_left_may_be_tried_by_them_again(one):
    number = one.ready("A")
    refusals.add_denial(one.db, one.clock, products.get(one.db, number), "a")
    one.accounts("a")  # the other has left the accounts file: no account would try, and no report would be written
    assert next_work(one, one.lease("a")).product.id == number


def test_an_account_that_comes_or_goes_changes_no_refusal_while_another_is_left(one):
    number = one.ready("A")
    refusals.add_denial(one.db, one.clock, products.get(one.db, number), "a")
    one.accounts("a", "b", "c")
    assert next_work(one, one.lease("a")) is None


@pytest.mark.parametrize(
    ("code", "left"), [("TooManySessions", 1), ("KeysManager", 1), ("RequestTimeTooSkewed", 1), ("KeyRevoked", 0)]
)
def test_an_account_that_is_out_of_use_for_a_while_may_try_a_refused_product_later(one, code, left):
    number = one.ready("A")
    error = AccountError("out of use", code=code)
    breakers.fail(one.db, one.clock, account_breaker("b"), BreakerPolicy(1, 10, 60), error)
    assert refusals.add_denial(one.db, one.clock, products.get(one.db, number), "a") == left


def test_a_product_waits_while_its_disk_pauses(one):
    number = one.planned("A")
    destination = products.get(one.db, number).destination
    pause = breakers.fail(one.db, one.clock, disk_breaker(destination), BreakerPolicy(1, 10, 60), BROKEN)
    assert next_work(one, one.lease()) is None
    one.clock.pass_s(pause + 0.1)
    assert next_work(one, one.lease()).product.id == number


def test_a_retried_piece_is_not_tried_before_it_is_due(one):
    one.planned("A")
    lease = one.lease()
    [piece] = next_work(one, lease).pieces
    pieces.let_go(one.db, lease, piece, transient_failure=True, due_s=one.clock.boot_s() + 5)
    assert next_work(one, lease) is None
    assert products.groups_at_work(one.db, one.clock) == []
    one.clock.pass_s(5.1)
    assert products.groups_at_work(one.db, one.clock) == ["default"]
    [again] = next_work(one, lease).pieces
    assert (again.id, again.transient_failures) == (piece.id, 1)


def test_of_the_products_that_workers_died_over_one_is_worked_on_at_a_time(one):
    suspects = [one.planned("A"), one.planned("B")]
    innocent = one.ready("C")
    one.db.rows("UPDATE product SET deaths = 1 WHERE safename IN ('A', 'B')")
    assert next_work(one, one.lease()).product.id == suspects[0]
    assert next_work(one, one.lease()) is None  # its session takes no other work
    other = one.new_process("download-2")
    lease = one.lease(process=other)
    assert pieces.next_work(one.db, one.clock, lease, other).product.id == innocent
    assert pieces.next_work(one.db, one.clock, lease, other) is None


def test_a_suspect_whose_disk_is_away_holds_up_no_other(one):
    one.planned("A", outputdir=str(one.root / "spool"))  # where the lab puts all that is planned
    other = one.ready("B", outputdir="/elsewhere")
    one.db.rows("UPDATE product SET deaths = 1")
    away = DiskError("it is away", code="NotMounted")
    breakers.fail(one.db, one.clock, disk_breaker(str(one.root / "spool")), BreakerPolicy(1, 600, 600), away)
    assert next_work(one, one.lease()).product.id == other


def test_a_suspect_that_waits_for_another_account_holds_up_no_other(one):
    refused, other = one.ready("A"), one.planned("B")
    one.db.rows("UPDATE product SET deaths = 1")
    refusals.add_denial(one.db, one.clock, products.get(one.db, refused), "a")
    assert one.fetched(one.lease()).id == other
    one.db.rows("UPDATE product SET deaths = 1")
    assert products.claim_verifying(one.db, one.clock, one.process).id == other


def test_a_suspect_of_one_group_does_not_hold_up_those_of_another(lab):
    lab.accounts("a", group="other")
    lab.planned("A", group="default")
    stuck = lab.planned("B", group="other")
    lab.db.rows("UPDATE product SET deaths = 1")
    assert next_work(lab, lab.lease()).product.id == stuck


def test_where_some_processes_publish_and_one_downloads_each_takes_its_part_of_a_suspect(one):
    arrived, lacking = one.planned("A", (10,)), one.planned("B")
    one.fetched(one.lease())
    publisher = one.new_process("publish-1")
    one.db.rows("UPDATE product SET deaths = 1")
    assert products.claim_verifying(one.db, one.clock, one.process) is None
    assert products.claim_verifying(one.db, one.clock, publisher).id == arrived
    assert next_work(one, one.lease()) is None  # one suspect at a time
    one.db.rows("UPDATE product SET deaths = 0 WHERE safename = 'A'")
    assert next_work(one, one.lease()).product.id == lacking


def test_what_arrived_advances_and_clears_suspicion(one):
    number = one.planned("A", (10,))
    one.db.rows("UPDATE product SET deaths = 2, transient_failures = 3")
    lease = one.lease()
    [piece] = next_work(one, lease).pieces
    pieces.advance(one.db, lease, piece, 4)
    assert one.db.row("SELECT deaths, transient_failures FROM product") == {"deaths": 0, "transient_failures": 0}
    leases.release(one.db, one.clock, lease, cooldown_s=0)
    [rest] = next_work(one, one.lease()).pieces
    assert (rest.done_bytes, rest.whole) == (4, False)
    assert products.claim_verifying(one.db, one.clock, one.process) is None
    assert one.state(number) is State.DOWNLOADING


def test_the_last_piece_opens_verification_to_one_process(one):
    number = one.planned("A", (10, 0))
    one.fetched(one.lease())
    claimed = products.claim_verifying(one.db, one.clock, one.process)
    assert (claimed.id, claimed.state) == (number, State.VERIFYING)
    assert products.claim_verifying(one.db, one.clock, one.process) is None


def test_digests_of_what_came_whole_are_kept(one):
    number = one.planned("A")
    one.fetched(one.lease())
    assert pieces.objects(one.db, number)[0].digests == Digests(md5="0" * 32)


def test_without_a_pending_digest_no_write_lock_is_taken(one):
    one.planned("A")
    other = open_state(one.root / "state")
    with other.write():
        assert digesting.claim(one.db, one.clock, one.process, 8) is None
    other.close()


def test_a_new_plan_keeps_what_arrived_of_unchanged_objects_and_begins_changed_ones_again(one):
    one.accounts("a", sessions=1)
    number = one.planned("A", (10, 20, 30))
    one.fetched(one.lease())
    objects = [listed("f0", 10), listed("f1", 20, etag="new"), listed("f3", 5)]
    replan(one, number, objects, {"f0": 10, "f1": 20, "f2": 30})
    stored = {item.path: item for item in pieces.objects(one.db, number)}
    assert set(stored) == {"f0", "f1", "f3"}
    assert stored["f0"].digests.md5
    assert not stored["f1"].digests.md5
    done = one.db.rows(
        "SELECT path, sum(done_bytes) AS done FROM piece JOIN object ON object.id = object GROUP BY path"
    )
    assert {row["path"]: row["done"] for row in done} == {"f0": 10, "f1": 0, "f3": 0}


@pytest.mark.parametrize("staged", [{}, {"f0": 9}])
def test_what_is_no_longer_on_disk_is_fetched_again(one, staged):
    number = one.planned("A")
    one.fetched(one.lease())
    replan(one, number, [listed("f0", 10)], staged)
    assert pieces.objects(one.db, number)[0].digests == Digests()
    assert one.db.value("SELECT done_bytes FROM piece") == 0


def test_a_lost_file_is_forgotten_before_it_is_made_again(one):
    """Else a crash between the two leaves an empty file of the right size with the digest of a good one."""
    number = one.planned("A", (10, 20))
    one.fetched(one.lease())
    products.move(one.db, one.clock, products.get(one.db, number), Move(State.READY))
    pieces.forget_lost(one.db, claim(one, number), {"f1": 20})
    assert [item.path for item in pieces.objects(one.db, number) if item.digests != Digests()] == ["f1"]
    assert one.db.rows("SELECT sum(done_bytes) AS done FROM piece GROUP BY object") == [{"done": 0}, {"done": 20}]


def test_a_bad_copy_is_fetched_again_whole(one):
    number = one.planned("A")
    one.fetched(one.lease())
    [stored] = pieces.objects(one.db, number)
    pieces.mark_bad(one.db, {stored.id: "bad"})
    [marked] = pieces.objects(one.db, number)
    assert (marked.bad_digest, marked.digests) == ("bad", Digests())
    assert next_work(one, one.lease()).pieces[0].whole


def test_a_plan_without_the_claim_is_lost(one):
    number = one.ready("A")
    product = claim(one, number)
    one.db.rows("UPDATE product SET fence = fence + 1")
    with pytest.raises(LeaseLost):
        one.plan(product, [listed("f", 1)], {})
    assert pieces.objects(one.db, number) == []


@pytest.fixture
def two(lab):
    lab.accounts("a", sessions=2)
    return lab


def arrived(lab, name):
    """A product whose last piece has arrived."""
    return lab.planned(name, sizes=())


def test_sessions_begin_no_product_while_more_wait_for_verification_than_there_are_sessions(two):
    first, *_ = [arrived(two, name) for name in "ABC"]
    waits, lease = two.ready("waits"), two.lease()
    assert (next_work(two, lease), two.state(waits)) == (None, State.READY)
    assert products.claim_verifying(two.db, two.clock, two.process).id == first
    assert next_work(two, lease).product.id == waits


def test_what_is_begun_is_fetched_however_much_waits_for_verification(two):
    begun = two.planned("begun")
    for name in "ABC":
        arrived(two, name)
    two.ready("urgent", priority=1)
    assert next_work(two, two.lease()).product.id == begun


@pytest.mark.parametrize(
    "hinders",
    [
        lambda lab: breakers.fail(
            lab.db, lab.clock, disk_breaker(str(lab.root / "spool")), BreakerPolicy(1, 60, 60), BROKEN
        ),
        lambda lab: lab.db.rows(
            "INSERT INTO pause VALUES ('disk', :place, 'person', 0, NULL)", place=str(lab.root / "spool")
        ),
        lambda lab: lab.db.rows("UPDATE product SET cancels = 1 WHERE state = 'downloading'"),
    ],
    ids=["its disk is out", "its disk is paused", "it is cancelled"],
)
def test_what_has_arrived_and_cannot_go_on_keeps_no_session_from_beginning(two, hinders):
    for name in "ABC":
        arrived(two, name)
    elsewhere = two.ready("elsewhere")
    hinders(two)
    assert next_work(two, two.lease()).product.id == elsewhere


@pytest.mark.parametrize("seed", range(12))
def test_at_most_twice_as_many_products_as_sessions_are_begun_however_often_workers_die(lab, seed):
    dice, sessions = random.Random(seed), 1 + seed % 4
    lab.accounts("a", sessions=sessions)
    for number in range(40):
        lab.ready(f"P{number:02}")
    held = [[lab.lease(), None] for _ in range(sessions)]
    for _ in range(300):
        one = dice.choice(held)
        match dice.choice(["work", "work", "verify", "die"] if dice.random() < 0.2 else ["work"]):
            case "die":  # all sessions, as in a kill of the daemon
                processes.release(lab.db, lab.clock, lab.process)
                lab.process = lab.new_process(f"download-{dice.random()}")
                held = [[lab.lease(), None] for _ in range(sessions)]
            case "verify" if (done := products.claim_verifying(lab.db, lab.clock, lab.process)) is not None:
                products.move(lab.db, lab.clock, done, Move(State.DONE, path="/spool/x"))
            case "work" if one[1] is None:
                oldest = lab.db.value("SELECT min(id) FROM product WHERE state = 'ready'")
                one[1] = next_work(lab, one[0])
                assert one[1] is None or one[1].pieces or one[1].product.id == oldest
            case "work" if one[1].pieces:
                pieces.finish(lab.db, one[0], {piece: Digests(md5="0" * 32) for piece in one[1].pieces})
                one[1] = None
            case "work":
                lab.plan(one[1].product, [listed("f", 10)], {})
                one[1] = None
        assert lab.db.value("SELECT count(*) FROM product WHERE state = 'downloading'") <= 2 * sessions
