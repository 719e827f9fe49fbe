"""Cancelling, refetching and retrying of products that are fetched in part, or put below a layout."""

from dataclasses import replace
from pathlib import Path

import pytest

from cdsed.local.marker import mark
from cdsed.local.presence import Presence
from cdsed.model.choice import Choice, union
from cdsed.model.listing import ListingHead, Named
from cdsed.model.product_state import State
from cdsed.store import cancelling, disks, leases, listings, products
from cdsed.store.choices import widen
from cdsed.store.move import Move
from cdsed.work.lines import Lines, PresenceCheck
from cdsed.work.refetch import refetch
from cdsed.work.requeue import requeue

NAME = "S1A_IW_GRDH_1SDV_20240604T110100_20240604T110131_054172_069690_E33E.SAFE"
SPOOL = "/spool"
PART = Choice.of(["measurement"], [])


@pytest.fixture
def lab(lab):
    lab.accounts("a")
    return lab


def listing(lab, name, number=None, *, include=(), found=None):
    """Drop a listing of one product; `found` is where a part of it is found on disk."""
    head = ListingHead(0, name, name, "default", 0, None, 0.0, None, include=tuple(include))
    head = listings.begin(lab.db, lab.clock, head, name).head
    where = {NAME: PresenceCheck(None, Path(found), in_part=True)} if found else {}
    Lines(lab.db, lab.clock, Presence([], [])).enter(head, 1, [Named(1, NAME)], where)
    listings.finish(lab.db, head.id, accepted=True, path=name)
    return head.id


def product(lab):
    found = products.find(lab.db, NAME)
    assert found is not None
    return found


def ended(lab, state, **values):
    """Let the queued product end like this."""
    move = Move(state, **values)
    if state is State.UNAVAILABLE:
        [claimed] = products.claim_resolving(lab.db, lab.clock, lab.process, [product(lab).id])
        products.move(lab.db, lab.clock, claimed, move)
        return
    products.move(lab.db, lab.clock, product(lab), move)


def test_a_listing_that_is_dropped_again_takes_back_a_cancellation_that_is_not_decided(lab):
    number = lab.planned(NAME)
    lease = lab.lease()
    lab.fetched(lease)
    leases.release(lab.db, lab.clock, lease, cooldown_s=0)
    assert cancelling.cancel(lab.db, lab.clock, [], [number], None).undecided == (NAME,)
    listing(lab, "again.txt")
    assert cancelling.undecided(lab.db, lab.clock) is None
    assert not cancelling.is_cancelled(lab.db, product(lab))


def test_a_part_that_is_asked_for_later_does_not_replace_the_whole_that_an_open_listing_still_wants(lab):
    listing(lab, "whole.txt")
    ended(lab, State.UNAVAILABLE, cause="gone")
    listing(lab, "part.txt", include=["measurement"])
    assert (product(lab).state, product(lab).choice) == (State.QUEUED, None)
    ended(lab, State.UNAVAILABLE, cause="gone")
    listing(lab, "found.txt", include=["measurement"], found="/spool/partial/x")
    assert (product(lab).state, product(lab).choice) == (State.QUEUED, None)


def test_a_retry_fetches_what_every_listing_wants_that_is_open_again(lab):
    whole = listing(lab, "whole.txt")
    ended(lab, State.UNAVAILABLE, cause="gone")
    listings.reported(lab.db, lab.clock, whole, seen=listings.newest_event(lab.db))
    listing(lab, "part.txt", include=["measurement"])
    assert product(lab).choice == PART.to_json()
    ended(lab, State.UNAVAILABLE, cause="gone")
    requeue(lab.db, lab.clock, [product(lab)])
    assert product(lab).choice is None


@pytest.mark.parametrize(
    ("layout", "partial", "below"),
    [
        (None, False, ""),
        ("{year}/{month}", False, "2024/06/"),
        ("{year}", True, "partial/2024/"),
        (None, True, "partial/"),
    ],
)
def test_a_product_below_a_layout_or_in_part_is_fetched_again_to_its_own_place(lab, layout, partial, below):
    listing(lab, "part.txt", include=["measurement"])
    lab.db.rows("UPDATE product SET layout = :layout", layout=layout)
    spool = lab.root / "spool"
    copy = spool / f"{below}{NAME}"
    copy.mkdir(parents=True)
    ended(lab, State.ALREADY_PRESENT, path=str(copy), partial=partial)
    [done] = refetch(lab.db, lab.clock, [product(lab).id], [spool], None)
    assert done.refused is None
    again = product(lab)
    assert (again.state, again.replaces, again.destination) == (State.QUEUED, str(copy), str(spool))
    products.forget_place(lab.db, again)
    assert product(lab).destination == str(spool)
    assert again.choice == (PART.to_json() if partial else None)  # a part does not replace a whole product
    ended(lab, State.CANCELLED)
    assert (product(lab).state, product(lab).path, product(lab).partial) == (State.ALREADY_PRESENT, str(copy), partial)


def test_a_copy_that_is_not_where_the_layout_puts_it_is_not_fetched_again(lab):
    listing(lab, "week.txt")
    lab.db.rows("UPDATE product SET layout = '{year}'")
    ended(lab, State.ALREADY_PRESENT, path=f"{SPOOL}/2024/06/{NAME}")
    [done] = refetch(lab.db, lab.clock, [product(lab).id], [Path(SPOOL)], None)
    assert "not its place by its layout" in (done.refused or "")


def test_a_copy_on_a_disk_that_is_away_is_not_fetched_again_to_another_one(lab):
    listing(lab, "week.txt")
    spool = lab.root / "spool"
    copy = spool / NAME
    copy.mkdir(parents=True)
    disks.remember(lab.db, lab.clock, spool, mark(spool))
    ended(lab, State.ALREADY_PRESENT, path=str(copy))
    mounted = spool.rename(lab.root / "mounted")
    spool.mkdir()  # the mount point
    [done] = refetch(lab.db, lab.clock, [product(lab).id], [spool], None)
    assert done.refused == f"the disk of {spool} is away: mount it first"
    assert product(lab).state is State.ALREADY_PRESENT
    spool.rmdir()
    mounted.rename(spool)
    [done] = refetch(lab.db, lab.clock, [product(lab).id], [spool], None)
    assert (done.refused, product(lab).replaces) == (None, str(copy))


def test_a_part_does_not_count_again_for_a_listing_that_wants_more(lab):
    listing(lab, "part.txt", include=["measurement"])
    copy = lab.root / "partial" / NAME
    copy.mkdir(parents=True)
    ended(lab, State.ALREADY_PRESENT, path=str(copy), partial=True)
    refetch(lab.db, lab.clock, [product(lab).id], [lab.root], None)
    listing(lab, "whole.txt")
    assert (product(lab).replaces, product(lab).choice) == (None, None)
    ended(lab, State.UNAVAILABLE, cause="gone")
    assert product(lab).state is State.UNAVAILABLE


def test_the_same_choice_keeps_the_copy_that_is_replaced(lab):
    listing(lab, "part.txt", include=["measurement"])
    copy = lab.root / "partial" / NAME
    copy.mkdir(parents=True)
    ended(lab, State.ALREADY_PRESENT, path=str(copy), partial=True)
    refetch(lab.db, lab.clock, [product(lab).id], [lab.root], None)
    widen(lab.db, product(lab), PART)
    assert product(lab).replaces == str(copy)
    assert product(lab).choice == union(PART, PART).to_json()
    assert replace(product(lab), layout="{tile}").top_of(str(copy)) is None
