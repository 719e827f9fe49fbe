"""What the status says of transfers, rates, times to go, stalls, disks, and why nothing moves."""

from pathlib import Path

import pytest

from cdsed.errors import AccountError, DiskError, ServiceError
from cdsed.model.objects import Digests
from cdsed.model.operation import DiskStatus, EtaLimit, ProductAt
from cdsed.model.product_state import State
from cdsed.model.status_report import SessionMark, StatusReport
from cdsed.store import (
    backlog,
    breakers,
    free_space,
    leases,
    page,
    pauses,
    pieces,
    processes,
    products,
    snapshot,
    transfers,
)
from cdsed.store.audit import rules_broken
from cdsed.store.breakers import BreakerPolicy
from cdsed.store.leases import AccountLimits
from cdsed.store.products import Move
from cdsed.store.queries import Queries
from tests.support.state import StateLab

_OPENS = BreakerPolicy(threshold=1, first_s=30, longest_s=300)
_GRD = "S1A_IW_GRDH_1SDV_202401{:02d}T161924_20240101T161949_003076_003856_634E.SAFE"
_SLC = "S1A_IW_SLC__1SDV_202401{:02d}T161924_20240101T161949_003076_003856_634E.SAFE"


def report(lab: StateLab, *, running: bool = True) -> StatusReport:
    processes.daemon_started(lab.db, lab.clock, version="1", once=False)
    return snapshot.report(lab.db, lab.clock, running=running)


def pause(lab: StateLab, kind: str, name: str = "", *, source: str = "person", for_s: float | None = None) -> None:
    until = None if for_s is None else lab.clock.utc_s() + for_s
    insert = "INSERT INTO pause VALUES (:kind, :name, :source, 0, :until)"
    lab.db.rows(insert, kind=kind, name=name, source=source, until=until)


def works(
    lab: StateLab, account: str = "a", *, steps: int = 6, requests: int = 10, size_bytes: int = 5_000_000
) -> None:
    """Let an account receive so much in each of some steps of 5 s."""
    for _ in range(steps):
        leases.count_traffic(lab.db, lab.clock, account, requests=requests, size_bytes=size_bytes)
        lab.clock.pass_s(5)


def waiting(lab: StateLab, count: int, form: str = _GRD, first: int = 1) -> list[int]:
    return [lab.ready(form.format(day)) for day in range(first, first + count)]


# In transfer


def test_a_product_in_transfer_says_how_far_it_is_with_all_its_sessions(lab):
    lab.accounts("a", "b")
    lab.planned("A", (60_000_000,))
    first, second = lab.lease("a"), lab.lease("b")
    works_on = [pieces.next_work(lab.db, lab.clock, lease, lab.process) for lease in (first, second)]
    lab.clock.pass_s(10)
    pieces.advance(lab.db, first, works_on[0].pieces[0], 5_000_000)
    leases.count_traffic(lab.db, lab.clock, "a", requests=1, size_bytes=5_000_000, lease=first)
    whole = works_on[1].pieces[0]
    pieces.finish(lab.db, second, {whole: Digests()})
    leases.count_traffic(lab.db, lab.clock, "b", requests=1, size_bytes=whole.size_bytes, lease=second)
    lab.clock.pass_s(10)
    [transfer] = report(lab).transfers
    assert (transfer.safename, transfer.accounts, transfer.sessions) == ("A", ("a", "b"), 2)
    assert (transfer.done_bytes, transfer.size_bytes) == (5_000_000 + whole.size_bytes, 60_000_000)
    assert transfer.rate_bytes_per_s == pytest.approx((5_000_000 + whole.size_bytes) / 20)
    assert transfer.since_at == lab.clock.utc_s() - 20


def test_a_product_is_in_transfer_only_while_a_session_works_on_it(lab):
    lab.accounts("a")
    lab.planned("A", (10, 10))
    lab.planned("B", (10,))
    assert report(lab).transfers == ()
    lease = lab.lease()
    pieces.next_work(lab.db, lab.clock, lease, lab.process)
    assert [each.safename for each in report(lab).transfers] == ["A"]
    assert report(lab).transfers[0].rate_bytes_per_s is None, "it has just begun"
    leases.release(lab.db, lab.clock, lease, cooldown_s=0)
    assert report(lab).transfers == ()


def test_a_killed_worker_leaves_no_transfer_and_what_it_wrote_counts(lab):
    lab.accounts("a")
    lab.planned("A", (1000,))
    lease = lab.lease()
    pieces.next_work(lab.db, lab.clock, lease, lab.process)
    lab.db.rows("UPDATE piece SET written_bytes = 400")
    processes.release(lab.db, lab.clock, lab.process)
    assert report(lab).transfers == ()
    lab.process = lab.new_process("download-2")
    pieces.next_work(lab.db, lab.clock, lab.lease(), lab.process)
    assert [each.done_bytes for each in report(lab).transfers] == [400]
    assert lab.db.value("SELECT count(*) FROM session WHERE product IS NOT NULL") == 1


def test_a_product_that_comes_as_a_zip_is_in_transfer_without_pieces(lab):
    lab.accounts("a")
    number = lab.ready("A")
    lab.db.rows("UPDATE product SET size_bytes = 1000")
    lease = lab.lease()
    pieces.next_work(lab.db, lab.clock, lease, lab.process)
    assert report(lab).transfers == (), "it is being planned"
    leases.count_traffic(lab.db, lab.clock, "a", requests=1, size_bytes=300, lease=lease)
    lab.clock.pass_s(10)
    [transfer] = report(lab).transfers
    assert (transfer.done_bytes, transfer.size_bytes, transfer.rate_bytes_per_s) == (300, 1000, pytest.approx(30))
    leases.count_traffic(lab.db, lab.clock, "a", requests=0, size_bytes=900, lease=lease)
    assert report(lab).transfers[0].done_bytes == 1000, "a zip may be larger than its files"
    assert products.get(lab.db, number).state is State.DOWNLOADING


def test_the_bytes_of_a_product_are_forgotten_with_old_traffic(lab):
    lab.accounts("a")
    lab.planned("A", (100,))
    lease = lab.lease()
    pieces.next_work(lab.db, lab.clock, lease, lab.process)
    leases.count_traffic(lab.db, lab.clock, "a", requests=1, size_bytes=10, lease=lease)
    lab.clock.pass_s(300)
    assert report(lab).transfers[0].rate_bytes_per_s == 0
    leases.forget_old_traffic(lab.db, lab.clock)
    assert lab.db.rows("SELECT * FROM received") == []


# Rates


def test_the_last_hour_is_shown_in_periods_of_five_minutes(lab):
    lab.clock.boot = 10_000.0
    lab.accounts("a", "b")
    works(lab, "a", steps=60, size_bytes=1000)
    works(lab, "b", steps=30, size_bytes=4000)
    seen = report(lab)
    assert len(seen.rate_steps) == 12
    assert seen.rate_steps[-2:] == pytest.approx((100, 500), rel=0.2)
    assert sum(seen.rate_steps[:9]) == 0
    assert seen.rate_bytes_per_s == seen.rates.over_1_min == pytest.approx(800, rel=0.1)


def test_each_hour_has_a_value_also_without_traffic(lab):
    lab.accounts("a")
    works(lab, steps=1, size_bytes=7)
    lab.clock.pass_s(26 * 3600)
    works(lab, steps=1, size_bytes=5)
    day, month = page.traffic(lab.db, lab.clock, 24), page.traffic(lab.db, lab.clock, 30 * 24)
    assert day.bytes_of == {"a": (0,) * 23 + (5,)}
    assert len(month.bytes_of["a"]) == 30 * 24
    assert sum(month.bytes_of["a"]) == 12
    assert 0 <= lab.clock.utc_s() - day.first_at - 23 * 3600 < 3600


# Times to go


def test_products_that_are_not_planned_count_with_the_requests_and_bytes_of_their_kind(lab):
    lab.accounts("a", requests_per_minute=100)
    for number, requests, size_bytes in ((lab.planned(_GRD.format(28), (1000,) * 9), 10, 9000),):
        backlog.learn(lab.db, products.get(lab.db, number), requests)
        assert lab.db.value("SELECT size_bytes FROM product_kind") == size_bytes
    listing = lab.listed("x", *waiting(lab, 20))
    found = backlog.read(lab.db, lab.clock)
    assert [(each.id, each.load.requests, each.load.size_bytes) for each in found.listings] == [(listing, 200, 180_000)]
    assert found.to_go_bytes == 180_000 + 9000
    assert found.requests_known
    lab.listed("other", *waiting(lab, 5, _SLC))
    assert backlog.read(lab.db, lab.clock).listings[1].load.requests == 50, "the mean of its family"


def test_a_size_that_is_known_counts_instead_of_the_mean(lab):
    lab.accounts("a")
    backlog.learn(lab.db, products.get(lab.db, lab.planned(_GRD.format(28), (1000,))), 2)
    number = lab.ready(_GRD.format(1))
    lab.listed("x", number, lab.ready(_GRD.format(2)))
    lab.db.rows("UPDATE product SET size_bytes = 50 WHERE id = :id", id=number)
    assert backlog.read(lab.db, lab.clock).listings[0].load.size_bytes == 1050


def test_a_listing_behind_another_ends_later_and_a_priority_turns_them_round(lab):
    lab.accounts("a", requests_per_minute=100)
    backlog.learn(lab.db, products.get(lab.db, lab.planned(_GRD.format(28), (1000,) * 9)), 10)
    lab.listed("first", *waiting(lab, 13))
    second = lab.listed("second", *waiting(lab, 13, first=14))
    works(lab)

    def seconds() -> dict[str, float]:
        return {each.name: each.eta.seconds for each in report(lab).listings if each.eta}

    assert seconds()["first"] < seconds()["second"] == report(lab).eta.seconds
    lab.db.rows("UPDATE listing SET priority = 5 WHERE id = :id", id=second)
    assert seconds()["second"] < seconds()["first"]


def test_a_product_of_two_listings_is_fetched_once(lab):
    lab.accounts("a")
    backlog.learn(lab.db, products.get(lab.db, lab.planned(_GRD.format(28), (1000,))), 2)
    numbers = waiting(lab, 10)
    lab.listed("x", *numbers)
    lab.listed("y", *numbers)
    found = backlog.read(lab.db, lab.clock)
    assert sum(each.load.requests for each in found.listings) == pytest.approx(20, abs=2)


def test_the_group_without_quota_decides_and_the_other_does_not_wait_for_it(lab):
    limits = [("a", "default", 100), ("b", "other", 2000)]
    leases.sync_accounts(
        lab.db, [AccountLimits(name, group, 4, most, 10**13, None, has_keys=True) for name, group, most in limits]
    )
    backlog.learn(lab.db, products.get(lab.db, lab.planned(_GRD.format(28), (1000,) * 9)), 10)
    lab.listed("slow", *waiting(lab, 27))
    lab.listed("quick", *[lab.ready(_SLC.format(day), group="other") for day in range(1, 28)], group="other")
    works(lab, "a", requests=30)
    works(lab, "b", requests=30)
    slow, quick = report(lab).listings
    assert report(lab).eta == slow.eta
    assert quick.eta.seconds < slow.eta.seconds
    assert slow.eta.limit is EtaLimit.REQUESTS


@pytest.mark.parametrize(("kind", "name"), [("machine", ""), ("group", "default"), ("account", "a")])
def test_a_limit_of_bandwidth_counts_at_once(lab, kind, name):
    lab.accounts("a")
    lab.listed("x", lab.planned("A", (30_000_000,) * 10))
    works(lab)
    assert report(lab).eta.seconds == pytest.approx(300, rel=0.1)
    lab.db.rows("INSERT INTO bandwidth_limit VALUES (:kind, :name, 100000, NULL)", kind=kind, name=name)
    assert report(lab).eta.seconds == pytest.approx(3000, rel=0.1)
    assert report(lab).eta.limit is EtaLimit.BANDWIDTH


def test_the_bandwidth_of_the_accounts_file_gives_a_time_before_anything_was_measured(lab):
    lab.accounts("a", bandwidth_bytes_per_s=1_000_000)
    lab.listed("x", lab.planned("A", (30_000_000,) * 10))
    assert report(lab).eta.seconds == pytest.approx(75, rel=0.02)


def test_without_any_measure_no_time_is_known(lab):
    lab.accounts("a")
    lab.listed("x", lab.planned("A", (30_000_000,) * 10))
    assert report(lab).eta is None


def test_a_pause_delays_a_listing_and_one_without_end_makes_its_time_a_lower_bound(lab):
    lab.accounts("a")
    first = lab.listed("first", lab.planned("A", (30_000_000,) * 10))
    lab.listed("second", lab.planned("B", (30_000_000,)))
    works(lab)
    pause(lab, "listing", str(first), for_s=3600)
    paused, other = report(lab).listings
    assert (paused.eta.limit, paused.eta.lower_bound) == (EtaLimit.PAUSE, True)
    assert paused.eta.seconds == pytest.approx(3600, rel=0.1)
    assert other.eta.seconds == pytest.approx(30, rel=0.1), "it passes the one that is paused"
    pause(lab, "all")
    assert {(each.eta.limit, each.eta.lower_bound) for each in report(lab).listings} == {(EtaLimit.PAUSE, True)}


@pytest.mark.parametrize(("kind", "name"), [("all", ""), ("group", "default"), ("account", "a")])
def test_what_is_paused_for_a_while_is_done_later(lab, kind, name):
    lab.accounts("a")
    lab.listed("x", lab.planned("A", (30_000_000,) * 10))
    works(lab)
    before = report(lab).eta
    pause(lab, kind, name, source="window", for_s=7200)
    after = report(lab).eta
    assert (after.limit, after.lower_bound) == (EtaLimit.PAUSE, True)
    assert after.seconds == pytest.approx(7200 + before.seconds, rel=0.05)


def test_a_product_that_backs_off_delays_its_listing(lab):
    lab.accounts("a")
    number = lab.ready("A")
    lab.listed("x", number, lab.planned("B", (30_000_000,)))
    works(lab)
    with lab.db.write():
        claimed = products.claim_ready(lab.db, lab.clock, number, lab.process)
    products.move(lab.db, lab.clock, claimed, Move(State.RETRY_WAIT, cause="x", due_s=lab.clock.boot_s() + 900))
    [listing] = report(lab).listings
    assert (listing.eta.limit, listing.eta.lower_bound) == (EtaLimit.PAUSE, True)
    assert listing.eta.seconds == pytest.approx(900, abs=60)


def test_an_account_that_needs_a_person_does_no_work_in_the_forecast(lab):
    lab.accounts("a", "b")
    lab.listed("x", lab.planned("A", (30_000_000,) * 10))
    works(lab, "a")
    works(lab, "b")
    both = report(lab).eta.seconds
    error = AccountError("account b: refused", code="InvalidAccessKeyId")
    breakers.fail(lab.db, lab.clock, "account:b", _OPENS, error)
    assert report(lab).eta.seconds == pytest.approx(2 * both, rel=0.1)
    breakers.fail(lab.db, lab.clock, "account:a", _OPENS, error)
    assert report(lab).eta is None


def test_an_hour_without_work_does_not_slow_the_forecast_down(lab):
    lab.accounts("a")
    lab.listed("x", lab.planned("A", (30_000_000,) * 10))
    works(lab, steps=4)
    lab.clock.pass_s(1800)
    assert report(lab).eta.seconds == pytest.approx(300, rel=0.1)
    works(lab, steps=3)
    assert report(lab).eta.seconds == pytest.approx(300, rel=0.1)


def test_a_new_account_is_expected_to_be_as_fast_as_the_others(lab):
    lab.accounts("a", "b")
    lab.listed("x", lab.planned("A", (30_000_000,) * 10))
    works(lab, "a")
    assert report(lab).eta.seconds == pytest.approx(150, rel=0.1)


def test_a_daemon_that_does_not_run_gives_no_time_and_no_transfer(lab):
    lab.accounts("a")
    lab.listed("x", lab.planned("A", (30_000_000,)))
    works(lab)
    seen = report(lab, running=False)
    assert (seen.eta, seen.transfers, seen.stalled_for_s) == (None, (), None)


def test_the_backlog_is_counted_like_the_products_themselves(lab):
    lab.accounts("a")
    lab.listed("x", lab.planned(_GRD.format(1), (10,)), lab.queued(_GRD.format(2)), lab.ready(_SLC.format(1)))
    lab.finish(lab.queued("C"), State.FAILED)
    [again] = lab.db.rows("SELECT id FROM product WHERE state = 'failed'")
    products.requeue(lab.db, lab.clock, products.get(lab.db, again["id"]))
    assert not [broken for broken in rules_broken(lab.db) if broken.rule == "backlog"]
    lab.db.rows("UPDATE backlog SET products = products + 1 WHERE listing = 0")
    assert [broken for broken in rules_broken(lab.db) if broken.rule == "backlog"]


# Stalls


def stalled(lab: StateLab) -> float | None:
    return report(lab).stalled_for_s


def test_sessions_at_work_without_a_byte_are_stalled_only_after_a_connection_would_be_cut(lab):
    lab.accounts("a")
    lab.planned("A", (100,))
    lease = lab.lease()
    pieces.next_work(lab.db, lab.clock, lease, lab.process)
    lab.clock.pass_s(69)
    assert stalled(lab) is None
    lab.clock.pass_s(2)
    assert stalled(lab) == 71
    assert (report(lab).eta, report(lab).why_idle) == (None, None)
    leases.count_traffic(lab.db, lab.clock, "a", requests=1, size_bytes=1, lease=lease)
    assert stalled(lab) is None
    lab.clock.pass_s(80)
    assert stalled(lab) == pytest.approx(80, abs=5)
    processes.stalls_after(lab.db, 200)
    assert stalled(lab) is None


def test_a_stall_has_the_last_failure_of_the_service_as_its_reason(lab):
    lab.accounts("a")
    lab.planned("A", (100,))
    pieces.next_work(lab.db, lab.clock, lab.lease(), lab.process)
    failure = ServiceError("s3: no response in time", code="Timeout")
    breakers.fail(lab.db, lab.clock, breakers.SERVICE, BreakerPolicy(8, 1, 1), failure)
    assert report(lab).stalled_because is None
    lab.clock.pass_s(80)
    assert report(lab).stalled_because == "s3: no response in time"


def test_neither_a_wait_for_a_quota_nor_a_verification_is_a_stall(lab):
    lab.accounts("a", requests_per_minute=1, sessions=1)
    lab.planned("A", (10,))
    lease = lab.lease()
    assert not leases.claim_one_more(lab.db, lab.clock, lease)
    lab.clock.pass_s(1000)
    assert stalled(lab) is None
    leases.release(lab.db, lab.clock, lease, cooldown_s=0)
    assert stalled(lab) is None
    lab.lease()
    assert stalled(lab) is None, "it has just been leased"


# The product published last, and the one waiting longest


def test_the_product_published_last_and_the_one_listed_first_are_named(lab):
    lab.accounts("a")
    assert (report(lab).last_published, report(lab).oldest_waiting) == (None, None)
    lab.finish(lab.queued("A"), State.DONE)
    published = lab.clock.utc_s()
    first = lab.queued("B")
    lab.listed("x", first, lab.queued("C"))
    listed_at = lab.clock.utc_s()
    lab.clock.pass_s(100)
    seen = report(lab)
    assert seen.last_published == ProductAt("A", published)
    assert seen.oldest_waiting == ProductAt("B", listed_at)
    products.move(lab.db, lab.clock, products.get(lab.db, first), Move(State.CANCELLED, cause="test"))
    lab.listed("y", first)
    products.requeue(lab.db, lab.clock, products.get(lab.db, first))
    lab.db.rows("UPDATE listing SET state = 'reported', reported_at = 0 WHERE name = 'x'")
    lab.listed("z", 3)
    assert report(lab).oldest_waiting.at == lab.clock.utc_s(), "asked for again, it waits since then"


def test_the_product_waiting_longest_is_found_among_many_that_are_finished(lab, monkeypatch):
    monkeypatch.setattr(transfers, "_OLDEST_LOOKED_AT", 2)
    numbers = [lab.queued(name) for name in "ABCDEF"]
    lab.listed("x", *numbers)
    at = lab.clock.utc_s()
    lab.clock.pass_s(100)
    lab.listed("y", lab.queued("Z"))
    for number in numbers[:3] + numbers[4:]:
        lab.db.rows("UPDATE product SET state = 'already_present', path = '/x' WHERE id = :id", id=number)
    assert transfers.oldest_waiting(lab.db) == ProductAt("D", at), "found from the end"
    lab.db.rows("UPDATE listing SET state = 'reported', reported_at = 0")
    assert transfers.oldest_waiting(lab.db).safename in {"D", "Z"}, "no open listing wants it"


def test_no_query_for_the_product_waiting_longest_scans_all_products(lab):
    sql = Queries("transfers")
    for query in (sql.oldest_listing, sql.waiting_in_listing, sql.waiting_in_no_listing):
        plan = lab.db.rows(f"EXPLAIN QUERY PLAN {query}", listing=1, most=1)
        assert [row["detail"] for row in plan if row["detail"] == "SCAN product"] == []


# Disks


def test_disks_say_what_is_free_or_why_that_is_not_known(lab):
    free_space.note(lab.db, lab.clock, Path("/a"), 10)
    free_space.note(lab.db, lab.clock, Path("/b"), None, "No such device")
    free_space.note(lab.db, lab.clock, Path("/c"), 30)
    breakers.fail(lab.db, lab.clock, "disk:/c", _OPENS, DiskError("/c: it hangs", code="Hung"))
    assert report(lab).disks == (
        DiskStatus("/a", 10),
        DiskStatus("/b", None, "No such device"),
        DiskStatus("/c", None, "/c: it hangs"),
    )
    assert report(lab, running=False).disks[0] == DiskStatus("/a", None)
    lab.clock.pass_s(100)
    assert report(lab).disks[0] == DiskStatus("/a", None, "it has not answered for 100 s")
    free_space.forget_others(lab.db, [Path("/b")])
    assert [each.place for each in report(lab).disks] == ["/b"]


# Why nothing moves


def why(lab: StateLab) -> str | None:
    return report(lab).why_idle


@pytest.mark.parametrize("kind", ["all", "group", "listing", "account"])
def test_work_that_is_paused_says_by_whom_and_until_when(lab, kind):
    lab.accounts("a")
    listing = lab.listed("week.txt", lab.ready("A"))
    name, shown = {
        "all": ("", "everything"),
        "group": ("default", "group default"),
        "listing": (str(listing), "listing week.txt"),
        "account": ("a", "account a"),
    }[kind]
    pause(lab, kind, name)
    undo = "cdsed resume" if kind == "all" else f"cdsed resume {shown}"
    assert why(lab) == f"{shown} is paused by a person until `{undo}`"
    assert (report(lab).needs_account, report(lab).quota_wait) == (False, None)
    lab.db.rows("DELETE FROM pause")
    pause(lab, kind, name, source="window", for_s=60)
    assert why(lab) == f"{shown} is paused by a time window of the settings until 2027-01-15T08:01:00Z"
    lab.clock.pass_s(61)
    assert why(lab) is None


def test_work_for_spools_that_are_all_paused_says_which_is_resumed_first_and_has_no_time_to_go(lab):
    lab.accounts("a")
    lab.listed("week.txt", lab.ready("A"))
    at = lab.clock.utc_s()
    pauses.add(lab.db, lab.clock, "disk", "/one", None)
    pauses.add(lab.db, lab.clock, "disk", "/two", at + 60)
    pauses.follow_spools(lab.db, lab.clock, ["/one", "/two"])
    assert why(lab) == "disk /two is paused by a person until 2027-01-15T08:01:00Z"
    pauses.add(lab.db, lab.clock, "disk", "/two", None)
    assert "is paused by a person until `cdsed resume disk /one`" in (why(lab) or "")
    [listing] = report(lab).listings
    assert listing.eta is None or listing.eta.seconds is None
    pauses.remove(lab.db, "disk", "/two")
    pauses.follow_spools(lab.db, lab.clock, ["/one", "/two"])
    assert why(lab) is None


def test_a_pause_of_other_work_does_not_hide_why_nothing_moves(lab):
    lab.accounts("a", requests_per_minute=1)
    first = lab.listed("first", lab.ready("A"))
    lab.listed("second", lab.ready("B"))
    pause(lab, "listing", str(first))
    assert why(lab) is None, "the other listing moves at once"
    leases.count_traffic(lab.db, lab.clock, "a", requests=1, size_bytes=0)
    assert why(lab).startswith("the work waits for a quota: a: its requests of this minute are used up")
    lab.accounts("a", "b")
    pause(lab, "account", "a")
    breakers.fail(lab.db, lab.clock, "account:b", _OPENS, AccountError("account b: refused", code="AccessDenied"))
    assert why(lab) == "no account can be used: b: refused"


def test_a_pause_and_waiting_products_are_both_named(lab):
    lab.accounts("a")
    number = lab.ready("A")
    first = lab.listed("first", number)
    lab.listed("second", lab.ready("B"))
    with lab.db.write():
        claimed = products.claim_ready(lab.db, lab.clock, number, lab.process)
    products.move(lab.db, lab.clock, claimed, Move(State.RETRY_WAIT, cause="x", due_s=lab.clock.boot_s() + 900))
    pause(lab, "listing", str(first + 1))
    waits, paused = "1 products wait for their next try", "listing second is paused by a person"
    assert why(lab) == f"{waits}; {paused} until `cdsed resume listing second`"


def test_nothing_is_said_while_a_session_works_or_a_product_is_verified(lab):
    lab.accounts("a")
    lab.listed("x", lab.planned("A", (10,)))
    lease = lab.lease()
    lab.fetched(lease)
    pause(lab, "all")
    assert SessionMark.BUSY in report(lab).accounts[0].sessions
    assert why(lab) is None, "the session still works"
    leases.release(lab.db, lab.clock, lease, cooldown_s=0)
    assert products.claim_verifying(lab.db, lab.clock, lab.process) is not None
    assert why(lab) is None


def test_sessions_that_rest_for_long_say_so_and_for_a_moment_nothing(lab):
    lab.accounts("a", sessions=1)
    lab.listed("x", lab.ready("A"))
    leases.release(lab.db, lab.clock, lab.lease(), cooldown_s=60)
    assert why(lab) == "every session rests after its use; the first continues in 60 s"
    lab.clock.pass_s(55)
    assert why(lab) is None


def test_a_group_without_accounts_and_a_disk_that_is_paused_are_named(lab):
    lab.accounts("a")
    lab.listed("x", lab.ready("A", group="gone"), group="gone")
    assert "has no account of group gone" in why(lab)
    breakers.fail(lab.db, lab.clock, "disk:/spool", _OPENS, DiskError("/spool: full", code="ENOSPC"))
    assert "disk:/spool backs off" in why(lab)
