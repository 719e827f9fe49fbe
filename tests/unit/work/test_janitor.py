"""What the janitor removes from the pre-spools, and what it must leave, on a real state and real directories."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from cdsed.config.settings import Settings
from cdsed.model.objects import Places
from cdsed.model.product_state import State
from cdsed.store import notices, products
from cdsed.store.move import Move
from cdsed.transfer.ownerfile import this_owner
from cdsed.transfer.owners import Owners
from cdsed.work.janitor import tidy
from tests.support.state import DiskLab


@dataclass
class JanitorContext(DiskLab):
    """What the janitor needs of a worker's context, with one spool."""

    spool: Path
    owners: Owners


@pytest.fixture
def context(lab):
    spool = lab.root / "spool"
    (spool / ".cdsed").mkdir(parents=True, mode=0o700)
    settings = Settings.model_validate({"spools": [str(spool)]})
    return JanitorContext(lab, settings, spool, Owners(this_owner("a" * 32, lab.root, os.getpid())))


def under_way(context, staging, name="A"):
    number = context.lab.ready(name)
    with context.db.write():
        product = products.claim_ready(context.db, context.clock, number, context.lab.process)
    products.choose_place(context.db, product, Places(str(staging), str(staging.parents[1])), 10)
    return product


def test_what_is_under_way_by_another_name_of_its_directory_stays(context):
    (context.lab.root / "alias").symlink_to(context.spool)  # a listing may give it as its outputdir
    staged = context.spool / ".cdsed" / "A"
    staged.mkdir()
    product = under_way(context, context.lab.root / "alias" / ".cdsed" / "A")
    tidy(context, context.stop)
    assert staged.is_dir()
    products.move(context.db, context.clock, product, Move(State.FAILED, cause="test"))
    tidy(context, context.stop)
    assert not staged.exists()


def test_what_its_own_worker_removes_meanwhile_pauses_no_disk(context, monkeypatch):
    staged = context.spool / ".cdsed" / "A"
    staged.mkdir()
    products.move(context.db, context.clock, under_way(context, staged), Move(State.FAILED, cause="test"))
    find = products.find

    def find_late(db, name):
        staged.rmdir()
        return find(db, name)

    monkeypatch.setattr(products, "find", find_late)
    tidy(context, context.stop)  # a pause would need its `outcome`, which it does not have
    assert not list(staged.parent.iterdir())


def test_a_product_that_was_published_there_stays(context):
    published = context.spool / ".cdsed" / "A"  # its listing gave the pre-spool as its outputdir
    published.mkdir()
    products.move(
        context.db,
        context.clock,
        under_way(context, published / ".cdsed" / "A"),
        Move(State.ALREADY_PRESENT, path=str(published)),
    )
    tidy(context, context.stop)
    assert published.is_dir()


def test_the_copy_a_dead_worker_left_beside_a_destination_goes_also_with_a_pre_spool_elsewhere(context):
    context.settings = Settings.model_validate(
        {"spools": [str(context.spool)], "pre_spool": str(context.lab.root / "p")}
    )
    copy = context.spool / ".cdsed" / "A.copy"
    copy.mkdir()
    product = under_way(context, context.lab.root / "p" / "A")
    products.move(context.db, context.clock, product, Move(State.FAILED, cause="test"))
    tidy(context, context.stop)
    assert not copy.exists()


def test_what_publishing_set_aside_is_logged_and_left_to_its_owner(context):
    replaced = context.spool / ".cdsed" / "replaced"
    for name in ("A.1", "B.1"):
        (replaced / name).mkdir(parents=True)

    def reported():
        tidy(context, context.stop)
        return [notice.text for notice in notices.active(context.db, context.clock, running=False)]

    assert reported() == [
        f"{replaced} keeps what stood in the place of products (2 so far): remove what you do not need"
    ]
    assert len(list(replaced.iterdir())) == 2
    elsewhere = {"spools": [str(context.lab.root / "other")], "pre_spool": str(context.lab.root / "p")}
    context.settings = Settings.model_validate(elsewhere)
    assert len(reported()) == 1, "it still is there"
    shutil.rmtree(replaced)
    assert reported() == []


def other_state(context):
    return Owners(this_owner("b" * 32, context.lab.root / "other", 4711))


def nothing_to_forget():
    raise AssertionError("it had no owner before")


def test_what_another_state_owns_stays_although_this_one_knows_the_product(context):
    room = context.spool / ".cdsed"
    for name in ("A", "A.copy", "A.gone"):
        (room / name).mkdir()
    product = under_way(context, room / "A")
    products.move(context.db, context.clock, product, Move(State.FAILED, cause="test"))
    other = other_state(context)
    other.claim(room, "A", nothing_to_forget)
    tidy(context, context.stop)
    assert {path.name for path in room.iterdir()} == {"A", "A.copy", "A.gone", "owners"}
    [notice] = notices.active(context.db, context.clock, running=True)
    assert "another cdsed downloads 1 product" in notice.text
    assert "pid 4711" in notice.text
    other.release(room, "A")
    tidy(context, context.stop)
    assert {path.name for path in room.iterdir()} == {"owners"}
    assert notices.active(context.db, context.clock, running=True) == []


def test_a_place_is_given_back_when_no_product_under_way_needs_it(context):
    room = context.spool / ".cdsed"
    product = under_way(context, room / "A")
    for name in ("A", "B"):
        context.owners.claim(room, name, nothing_to_forget)
    tidy(context, context.stop)
    assert context.owners.owned(room) == (["A"], {})
    products.move(context.db, context.clock, product, Move(State.FAILED, cause="test"))
    tidy(context, context.stop)
    assert context.owners.owned(room) == ([], {})


def test_empty_directories_of_a_layout_that_a_kill_left_of_a_failed_product_are_removed(context):
    name = "S1A_IW_GRDH_1SDV_20240604T110100_20240604T110131_054172_069690_E33E.SAFE"
    product = under_way(context, context.spool / ".cdsed" / name, name)
    context.db.rows("UPDATE product SET layout = '{year}/{doy}' WHERE id = :id", id=product.id)
    (context.spool / "2024/156").mkdir(parents=True)
    (context.spool / "partial/2024/156").mkdir(parents=True)
    context.owners.claim(context.spool / ".cdsed", name, lambda: None)
    tidy(context, context.stop)
    assert (context.spool / "2024/156").is_dir()
    products.move(context.db, context.clock, product, Move(State.FAILED, cause="test"))
    tidy(context, context.stop)
    assert sorted(path.name for path in context.spool.iterdir()) == [".cdsed"]
