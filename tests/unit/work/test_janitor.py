"""What the janitor removes from the pre-spools, and what it must leave, on a real state and real directories."""

import shutil
import threading
from types import SimpleNamespace

import pytest

from cdsed.config.settings import Settings
from cdsed.model.product import State
from cdsed.model.transfer import Places
from cdsed.process.threadwatch import ThreadWatch
from cdsed.store import notices, products
from cdsed.store.products import Move
from cdsed.work.janitor import tidy


@pytest.fixture
def bench(lab):
    """Give what the janitor needs of a bench."""
    lab.spool = lab.root / "spool"
    (lab.spool / ".cdsed").mkdir(parents=True, mode=0o700)
    lab.settings = Settings.model_validate({"spools": [str(lab.spool)]})
    return SimpleNamespace(
        db=lab.db, clock=lab.clock, settings=lab.settings, stop=threading.Event(), watch=ThreadWatch(), lab=lab
    )


def under_way(bench, staging, name="A"):
    number = bench.lab.ready(name)
    with bench.db.write():
        product = products.claim_ready(bench.db, bench.clock, number, bench.lab.process)
    products.choose_place(bench.db, product, Places(str(staging), str(staging.parents[1])), 10)
    return product


def test_what_is_under_way_by_another_name_of_its_directory_stays(bench):
    (bench.lab.root / "alias").symlink_to(bench.lab.spool)  # a listing may give it as its outputdir
    staged = bench.lab.spool / ".cdsed" / "A"
    staged.mkdir()
    product = under_way(bench, bench.lab.root / "alias" / ".cdsed" / "A")
    tidy(bench)
    assert staged.is_dir()
    products.move(bench.db, bench.clock, product, Move(State.FAILED, cause="test"))
    tidy(bench)
    assert not staged.exists()


def test_what_its_own_worker_removes_meanwhile_pauses_no_disk(bench, monkeypatch):
    staged = bench.lab.spool / ".cdsed" / "A"
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
    published = bench.lab.spool / ".cdsed" / "A"  # its listing gave the pre-spool as its outputdir
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
    bench.settings = Settings.model_validate({"spools": [str(bench.lab.spool)], "pre_spool": str(bench.lab.root / "p")})
    copy = bench.lab.spool / ".cdsed" / "A.copy"
    copy.mkdir()
    product = under_way(bench, bench.lab.root / "p" / "A")
    products.move(bench.db, bench.clock, product, Move(State.FAILED, cause="test"))
    tidy(bench)
    assert not copy.exists()


def test_what_publishing_set_aside_is_told_and_left_to_its_owner(bench):
    replaced = bench.lab.spool / ".cdsed" / "replaced"
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
