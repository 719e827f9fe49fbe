"""What the janitor removes from the pre-spools, and what it must leave, on a real state and real directories."""

import os
import shutil
import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cdsed.config.settings import Settings
from cdsed.model.product import State
from cdsed.model.transfer import Places
from cdsed.process.threadwatch import ThreadWatch
from cdsed.store import notices, products
from cdsed.store.products import Move
from cdsed.transfer.ownerfile import this_owner
from cdsed.transfer.owners import Owners
from cdsed.work.janitor import tidy
from tests.support.state import StateLab


@dataclass
class JanitorBench:
    """What the janitor needs of a bench, with one spool."""

    lab: StateLab
    settings: Settings
    spool: Path
    owners: Owners
    watch: ThreadWatch = field(default_factory=ThreadWatch)
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def db(self):
        return self.lab.db

    @property
    def clock(self):
        return self.lab.clock


@pytest.fixture
def bench(lab):
    spool = lab.root / "spool"
    (spool / ".cdsed").mkdir(parents=True, mode=0o700)
    settings = Settings.model_validate({"spools": [str(spool)]})
    return JanitorBench(lab, settings, spool, Owners(this_owner("a" * 32, lab.root, os.getpid())))


def under_way(bench, staging, name="A"):
    number = bench.lab.ready(name)
    with bench.db.write():
        product = products.claim_ready(bench.db, bench.clock, number, bench.lab.process)
    products.choose_place(bench.db, product, Places(str(staging), str(staging.parents[1])), 10)
    return product


def test_what_is_under_way_by_another_name_of_its_directory_stays(bench):
    (bench.lab.root / "alias").symlink_to(bench.spool)  # a listing may give it as its outputdir
    staged = bench.spool / ".cdsed" / "A"
    staged.mkdir()
    product = under_way(bench, bench.lab.root / "alias" / ".cdsed" / "A")
    tidy(bench)
    assert staged.is_dir()
    products.move(bench.db, bench.clock, product, Move(State.FAILED, cause="test"))
    tidy(bench)
    assert not staged.exists()


def test_what_its_own_worker_removes_meanwhile_pauses_no_disk(bench, monkeypatch):
    staged = bench.spool / ".cdsed" / "A"
    staged.mkdir()
    products.move(bench.db, bench.clock, under_way(bench, staged), Move(State.FAILED, cause="test"))
    find = products.find

    def find_late(db, name):
        staged.rmdir()
        return find(db, name)

    monkeypatch.setattr(products, "find", find_late)
    tidy(bench)  # a pause would be told to its `outcome`, which it has not
    assert not list(staged.parent.iterdir())


def test_a_product_that_was_published_there_stays(bench):
    published = bench.spool / ".cdsed" / "A"  # its listing gave the pre-spool as its outputdir
    published.mkdir()
    products.move(
        bench.db,
        bench.clock,
        under_way(bench, published / ".cdsed" / "A"),
        Move(State.PRESENT, whereabouts=str(published)),
    )
    tidy(bench)
    assert published.is_dir()


def test_the_copy_a_dead_worker_left_beside_a_destination_goes_also_with_a_pre_spool_elsewhere(bench):
    bench.settings = Settings.model_validate({"spools": [str(bench.spool)], "pre_spool": str(bench.lab.root / "p")})
    copy = bench.spool / ".cdsed" / "A.copy"
    copy.mkdir()
    product = under_way(bench, bench.lab.root / "p" / "A")
    products.move(bench.db, bench.clock, product, Move(State.FAILED, cause="test"))
    tidy(bench)
    assert not copy.exists()


def test_what_publishing_set_aside_is_told_and_left_to_its_owner(bench):
    replaced = bench.spool / ".cdsed" / "replaced"
    for name in ("A.1", "B.1"):
        (replaced / name).mkdir(parents=True)

    def told():
        tidy(bench)
        return [notice.text for notice in notices.told(bench.db, bench.clock, running=False)]

    assert told() == [f"{replaced} keeps what stood in the place of products (2 so far): remove what nobody needs"]
    assert len(list(replaced.iterdir())) == 2
    elsewhere = {"spools": [str(bench.lab.root / "other")], "pre_spool": str(bench.lab.root / "p")}
    bench.settings = Settings.model_validate(elsewhere)
    assert len(told()) == 1, "it still lies there"
    shutil.rmtree(replaced)
    assert told() == []


def other_state(bench):
    return Owners(this_owner("b" * 32, bench.lab.root / "other", 4711))


def nothing_to_forget():
    raise AssertionError("nobody owned it before")


def test_what_another_state_owns_stays_although_this_one_knows_the_product(bench):
    room = bench.spool / ".cdsed"
    for name in ("A", "A.copy", "A.gone"):
        (room / name).mkdir()
    product = under_way(bench, room / "A")
    products.move(bench.db, bench.clock, product, Move(State.FAILED, cause="test"))
    other = other_state(bench)
    other.claim(room, "A", nothing_to_forget)
    tidy(bench)
    assert {path.name for path in room.iterdir()} == {"A", "A.copy", "A.gone", "owners"}
    [notice] = notices.told(bench.db, bench.clock, running=True)
    assert "another cdsed downloads 1 product" in notice.text
    assert "pid 4711" in notice.text
    other.release(room, "A")
    tidy(bench)
    assert {path.name for path in room.iterdir()} == {"owners"}
    assert notices.told(bench.db, bench.clock, running=True) == []


def test_a_place_is_given_back_when_no_product_under_way_needs_it(bench):
    room = bench.spool / ".cdsed"
    product = under_way(bench, room / "A")
    for name in ("A", "B"):
        bench.owners.claim(room, name, nothing_to_forget)
    tidy(bench)
    assert bench.owners.owned(room) == (["A"], {})
    products.move(bench.db, bench.clock, product, Move(State.FAILED, cause="test"))
    tidy(bench)
    assert bench.owners.owned(room) == ([], {})
