"""After a power cut, files that the state calls arrived may be gone or short: they come again, and no product pays."""

import os
import shutil

import pytest

from cdsed.model.product import PathSource, State
from cdsed.sandbox.names import realistic_safenames
from cdsed.store import pieces, products
from cdsed.store.products import Found
from cdsed.transfer.staging import staged_sizes
from cdsed.work.finish import finish_next
from tests.support.daemon import wait_until

_NOTED = "SELECT 1 FROM piece JOIN object ON object.id = object WHERE path = :path AND done_bytes > 0"


@pytest.fixture
def large(worker_lab):
    """Give a lab where a product waits, and the paths of its files, the largest first."""
    [name] = realistic_safenames("S2_L1C", 1, seed=len(worker_lab.sandbox.requests()))
    path = worker_lab.sandbox.add_products({"safename": name, "size_bytes": 12_000_000})[name]
    truth = worker_lab.sandbox.truth(name)
    worker_lab.truth, worker_lab.largest = truth, sorted(truth, key=lambda path: truth[path].size_bytes, reverse=True)
    worker_lab.number = worker_lab.queued(name)
    [product] = products.claim_resolving(
        worker_lab.db, worker_lab.clock, worker_lab.process, (each.id for each in products.queued(worker_lab.db, 1))
    )
    products.resolved(worker_lab.db, worker_lab.clock, product, Found(path, PathSource.NAME))
    worker_lab.staging = worker_lab.context.settings.pre_spool_for(worker_lab.context.settings.spools[0]) / name
    return worker_lab


def test_of_a_half_fetched_product_only_what_is_lost_comes_again(large):
    _kept, gone, short, half = large.largest[:4]
    half_bytes = large.truth[half].size_bytes // 2
    large.sandbox.fault(kind="trickle", key=f"*{half}", after_bytes=half_bytes, bytes_per_s=100_000)
    large.start()
    wait_until("half of it is noted", lambda: large.db.value(_NOTED, path=half))
    large.stop()
    large.sandbox.clear_faults()
    (large.staging / gone).unlink()
    os.truncate(large.staging / short, 0)
    os.truncate(large.staging / half, 0)
    assert _fetched_again(large) == [gone, short, half]
    assert products.get(large.db, large.number).attempts == 0


def test_of_a_product_that_had_all_arrived_only_what_is_lost_comes_again(large):
    _kept, gone, short, _kept_too = large.largest[:4]
    _fetch(large)
    (large.staging / gone).unlink()
    os.truncate(large.staging / short, 0)
    assert finish_next(large.context)
    assert _fetched_again(large) == [gone, short]
    assert products.get(large.db, large.number).attempts == 0


@pytest.mark.parametrize("what", ["a file", "the directory"])
def test_a_disk_that_loses_the_same_each_time_costs_attempts_so_that_it_ends(large, what):
    for _ in range(2):
        assert products.get(large.db, large.number).attempts == 0
        _fetch(large)
        if what == "a file":
            (large.staging / large.largest[0]).unlink()
        else:
            shutil.rmtree(large.staging)
        assert finish_next(large.context)
    _begin_until_it_costs_an_attempt(large)


def test_a_disk_that_loses_the_same_file_before_all_has_arrived_costs_attempts_so_that_it_ends(large):
    half = large.largest[0]
    large.sandbox.fault(kind="trickle", key=f"*{half}", after_bytes=100_000, bytes_per_s=100_000)
    for _ in range(2):
        assert products.get(large.db, large.number).attempts == 0
        large.start()
        wait_until(
            "some of it is noted",
            lambda: _hurry(large) or (staged_sizes(large.staging).get(half) and large.db.value(_NOTED, path=half)),
        )
        large.stop()
        os.truncate(large.staging / half, 0)
        large.start()
        wait_until("that is noticed", lambda: large.state(large.number) is State.WAITING)
        large.stop()
    _begin_until_it_costs_an_attempt(large)


def _begin_until_it_costs_an_attempt(large):
    large.start()
    wait_until("it costs an attempt", lambda: _hurry(large) or products.get(large.db, large.number).attempts == 1)
    large.stop()


def _fetch(large):
    large.start()
    wait_until(
        "all has arrived",
        lambda: (
            _hurry(large)
            or ((large.staging / large.largest[0]).exists() and pieces.have_all_arrived(large.db, large.number))
        ),
    )
    large.stop()


def _fetched_again(large):
    """Let the product arrive; return which of its four largest files were asked for."""
    before = len(large.sandbox.requests())
    large.start()
    wait_until(
        "it is whole", lambda: _hurry(large) or (finish_next(large.context) and large.state(large.number) is State.DONE)
    )
    keys = [row["key"] for row in large.sandbox.requests()[before:] if row["operation"] == "get"]
    return [path for path in large.largest[:4] if any(key.endswith(path) for key in keys)]


def _hurry(large):
    large.db.rows("UPDATE product SET due_s = 0 WHERE due_s > 0")
    products.wake_due(large.db, large.clock)
