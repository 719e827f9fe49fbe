"""After a power cut, files that the state calls arrived may be gone or short: they are fetched again, uncharged."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from cdsed.model.product_state import PathSource, State
from cdsed.sandbox.names import realistic_safenames
from cdsed.sandbox.products import Truth
from cdsed.store import pieces, products
from cdsed.store.products import Found
from cdsed.transfer.staging import staged_sizes
from cdsed.work.finish import finish_next
from tests.support.daemon import wait_until
from tests.support.download_lab import DownloadLab

_NOTED = "SELECT 1 FROM piece JOIN object ON object.id = object WHERE path = :path AND done_bytes > 0"


@dataclass(frozen=True)
class Large:
    """A product that waits; `largest` are the paths of its files, the largest first."""

    lab: DownloadLab
    number: int
    truth: dict[str, Truth]
    largest: list[str]
    staging: Path


@pytest.fixture
def large(worker_lab):
    [name] = realistic_safenames("S2_L1C", 1, seed=len(worker_lab.sandbox.requests()))
    path = worker_lab.sandbox.add_products({"safename": name, "size_bytes": 12_000_000})[name]
    truth = worker_lab.sandbox.truth(name)
    number = worker_lab.queued(name)
    [product] = products.claim_resolving(
        worker_lab.db, worker_lab.clock, worker_lab.process, (each.id for each in products.queued(worker_lab.db, 1))
    )
    products.resolved(worker_lab.db, worker_lab.clock, product, Found(path, PathSource.NAME))
    settings = worker_lab.context.settings
    largest = sorted(truth, key=lambda path: truth[path].size_bytes, reverse=True)
    return Large(worker_lab, number, truth, largest, settings.pre_spool_for(settings.spools[0]) / name)


def test_of_a_half_fetched_product_only_what_is_lost_comes_again(large):
    _kept, gone, short, half = large.largest[:4]
    half_bytes = large.truth[half].size_bytes // 2
    large.lab.sandbox.fault(kind="trickle", key=f"*{half}", after_bytes=half_bytes, bytes_per_s=100_000)
    large.lab.start()
    wait_until("half of it is noted", lambda: large.lab.db.value(_NOTED, path=half))
    large.lab.stop()
    large.lab.sandbox.clear_faults()
    (large.staging / gone).unlink()
    os.truncate(large.staging / short, 0)
    os.truncate(large.staging / half, 0)
    assert _fetched_again(large) == [gone, short, half]
    assert products.get(large.lab.db, large.number).attempts == 0


def test_of_a_product_that_had_all_arrived_only_what_is_lost_comes_again(large):
    _kept, gone, short, _kept_too = large.largest[:4]
    _fetch(large)
    (large.staging / gone).unlink()
    os.truncate(large.staging / short, 0)
    assert finish_next(large.lab.context)
    assert _fetched_again(large) == [gone, short]
    assert products.get(large.lab.db, large.number).attempts == 0


@pytest.mark.parametrize("what", ["a file", "the directory"])
def test_a_disk_that_loses_the_same_each_time_costs_attempts_so_that_it_ends(large, what):
    for _ in range(2):
        assert products.get(large.lab.db, large.number).attempts == 0
        _fetch(large)
        if what == "a file":
            (large.staging / large.largest[0]).unlink()
        else:
            shutil.rmtree(large.staging)
        assert finish_next(large.lab.context)
    _begin_until_it_costs_an_attempt(large)


def test_a_disk_that_loses_the_same_file_before_all_has_arrived_costs_attempts_so_that_it_ends(large):
    half = large.largest[0]
    large.lab.sandbox.fault(kind="trickle", key=f"*{half}", after_bytes=100_000, bytes_per_s=100_000)
    for _ in range(2):
        assert products.get(large.lab.db, large.number).attempts == 0
        large.lab.start()
        wait_until(
            "some of it is noted",
            lambda: (
                _raise_priority(large)
                or (staged_sizes(large.staging).get(half) and large.lab.db.value(_NOTED, path=half))
            ),
        )
        large.lab.stop()
        os.truncate(large.staging / half, 0)
        large.lab.start()
        wait_until("that is noticed", lambda: large.lab.state(large.number) is State.RETRY_WAIT)
        large.lab.stop()
    _begin_until_it_costs_an_attempt(large)


def _begin_until_it_costs_an_attempt(large):
    large.lab.start()
    wait_until(
        "it costs an attempt", lambda: _raise_priority(large) or products.get(large.lab.db, large.number).attempts == 1
    )
    large.lab.stop()


def _fetch(large):
    large.lab.start()
    wait_until(
        "all has arrived",
        lambda: (
            _raise_priority(large)
            or ((large.staging / large.largest[0]).exists() and pieces.have_all_arrived(large.lab.db, large.number))
        ),
    )
    large.lab.stop()


def _fetched_again(large):
    """Let the product arrive; return which of its four largest files were asked for."""
    before = len(large.lab.sandbox.requests())
    large.lab.start()
    wait_until(
        "it is whole",
        lambda: (
            _raise_priority(large) or (finish_next(large.lab.context) and large.lab.state(large.number) is State.DONE)
        ),
    )
    keys = [row["key"] for row in large.lab.sandbox.requests()[before:] if row["operation"] == "get"]
    return [path for path in large.largest[:4] if any(key.endswith(path) for key in keys)]


def _raise_priority(large):
    large.lab.db.rows("UPDATE product SET due_s = 0 WHERE due_s > 0")
    products.wake_due(large.lab.db, large.lab.clock)
