"""Taking the place of a product, on a real state and real directories, beside another state."""

import errno
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from cdsed.config.settings import Settings
from cdsed.errors import DiskError, OwnedElsewhere
from cdsed.model.objects import ListedObject, Places
from cdsed.store import breakers, pieces, products
from cdsed.store.breakers import BreakerPolicy
from cdsed.transfer.ownerfile import this_owner
from cdsed.transfer.owners import GRACE_S, Owners
from cdsed.work.destination import Destination
from tests.support.state import DiskLab

_OTHER = "b" * 32


@dataclass
class OwnerContext(DiskLab):
    """What owning needs of a worker's context, with two spools and their pre-spools."""

    rooms: list[Path]
    owners: Owners


@pytest.fixture
def context(lab):
    spools = [lab.root / "first", lab.root / "second"]
    rooms = [spool / ".cdsed" for spool in spools]
    for room in rooms:
        room.mkdir(parents=True, mode=0o700)
    settings = Settings.model_validate({"spools": [str(spool) for spool in spools]})
    return OwnerContext(lab, settings, rooms, Owners(this_owner("a" * 32, lab.root, os.getpid())))


@pytest.fixture
def other():
    """Give another state."""
    return Owners(this_owner(_OTHER, Path("/their/state"), 4711))


def claimed(context, room):
    """Return a product that is claimed, for staging in a pre-spool, and its staging directory."""
    number = context.lab.ready("A")
    with context.db.write():
        product = products.claim_ready(context.db, context.clock, number, context.lab.process)
    places = Places(str(room / "A"), str(room.parent))
    products.choose_place(context.db, product, places, 10)
    return products.get(context.db, product.id), places


def nothing():
    """Forget nothing."""


def test_a_product_that_another_state_brings_to_any_of_the_spools_is_waited_for(context, other):
    product, _ = claimed(context, context.rooms[0])
    other.claim(context.rooms[1], "A", nothing)
    with pytest.raises(OwnedElsewhere, match=r"to .*/second; this one waits"):
        Destination(context, product).refuse_other()
    with pytest.raises(OwnedElsewhere):
        Destination(context, product).claim()
    assert context.owners.owned(context.rooms[0]) == ([], {}), "what was claimed meanwhile is given back"
    other.release(context.rooms[1], "A")
    Destination(context, product).claim()
    assert context.owners.owned(context.rooms[0]) == (["A"], {})


def test_a_failing_or_paused_spool_delays_no_product_that_may_use_another(context, other, monkeypatch):
    product, _ = claimed(context, context.rooms[0])
    ask = context.owners.other

    def sick(room, name, **options):
        if room == context.rooms[1]:
            raise OSError(errno.EIO, "broken")
        return ask(room, name, **options)

    monkeypatch.setattr(context.owners, "other", sick)
    Destination(context, product).claim()
    monkeypatch.undo()
    other.claim(context.rooms[1], "A", nothing)
    error = DiskError("hangs", code="Hung")
    breakers.fail(
        context.db,
        context.clock,
        breakers.disk_breaker(str(context.rooms[1].parent)),
        BreakerPolicy(1, 60.0, 60.0),
        error,
    )
    Destination(context, product).claim()


def test_what_arrived_before_another_state_took_the_place_over_is_forgotten_when_it_comes_back(context, other):
    room = context.rooms[0]
    product, places = claimed(context, room)
    Destination(context, product).claim()
    pieces.plan(context.db, product, [ListedObject("A/f", "f", 10, "e")], places, 10)
    context.owners.release(room, "A")
    other.claim(room, "A", nothing)  # while this state was dead
    with pytest.raises(OwnedElsewhere):
        Destination(context, products.get(context.db, product.id)).check()
    (room / "A").mkdir()
    (room / "A" / "f").write_bytes(b"0123456789")  # this state does not know which bytes of it have arrived
    _die(other, room)
    assert pieces.objects(context.db, product.id) != []
    Destination(context, product).claim()
    assert pieces.objects(context.db, product.id) == []
    assert not (room / "A").exists()
    assert Destination(context, products.get(context.db, product.id)).check() is True


def test_of_a_dead_state_only_the_final_name_is_taken_over_where_each_has_its_pre_spool(context, other):
    mine, [near, _] = context.lab.root / "pre-spool", context.rooms
    mine.mkdir(mode=0o700)
    product, places = claimed(context, near)
    places = Places(str(mine / "A"), places.destination)
    product = replace(product, staging=places.staging)
    Destination(context, product).claim()
    pieces.plan(context.db, product, [ListedObject("A/f", "f", 10, "e")], places, 10)
    context.owners.release(near, "A")
    other.claim(near, "A", nothing)
    _die(other, near)
    Destination(context, product).claim()
    assert pieces.objects(context.db, product.id) != []


def _die(state, room):
    """Let a state be dead: the kernel has released its lock, and its last heartbeat is old."""
    os.close(state._attended.pop(room))
    long_ago_s = time.time() - GRACE_S - 1
    os.utime(room / "owners" / f"{_OTHER}.state", (long_ago_s, long_ago_s))
