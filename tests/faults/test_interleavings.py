"""A worker is stopped at a critical moment and continues later: no order of events leaves a product incomplete or lost.

Each step is cdsed's own code on a real state, real disks and a real sandbox. The test only sets the order.
"""

import dataclasses
import hashlib
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from cdsed.clock import SYSTEM_CLOCK
from cdsed.config.accounts import S3Keys
from cdsed.config.settings import Settings
from cdsed.errors import DiskError, ProductError, ServiceError
from cdsed.model.listing import Counts, ListingHead, Named
from cdsed.model.product_state import Product, State
from cdsed.process.lock import is_free
from cdsed.sandbox.names import realistic_safenames
from cdsed.store import leases, listings, pieces, processes, products
from cdsed.store.database import join_state
from cdsed.store.move import Move
from cdsed.store.products import Found
from cdsed.work.finish import finish_next
from cdsed.work.lines import Lines
from cdsed.work.plan import plan_product, store_plan
from cdsed.work.requeue import requeue
from cdsed.work.session import _DownloadSession
from tests.support.download_lab import DownloadLab, account_of

NAMES = realistic_safenames("S1_GRD", 4, seed=11)


class Worker:
    """One session of one process, driven step by step."""

    def __init__(self, lab: DownloadLab, name: str) -> None:
        self.lab = lab
        store = dataclasses.replace(lab.context.store, process=lab.new_process(name))
        broker = dataclasses.replace(lab.broker, store=store)
        session = leases.free_sessions(lab.db, SYSTEM_CLOCK, ["default"])[0]
        account = account_of(lab.sandbox)
        assert isinstance(account.s3_keys, S3Keys)
        grant = broker.take(session, account, account.s3_keys)
        assert grant is not None
        self.grant = grant
        self.context = dataclasses.replace(lab.context, store=store)
        self.session = _DownloadSession(self.context, grant, memoryview(bytearray(2**18)))

    def plan(self, number: int) -> Product:
        with self.lab.db.write():
            product = products.claim_ready(self.lab.db, SYSTEM_CLOCK, number, self.context.store.process)
        planned = plan_product(self.context, self.session._transport, product)
        if planned is not None:
            store_plan(self.context, planned)
        return products.get(self.lab.db, number)

    def take(self) -> pieces.Work:
        work = self._next_work()
        assert work is not None
        return work

    def _next_work(self) -> pieces.Work | None:
        handed, self.session._handed = self.session._handed, None
        return handed or pieces.next_work(self.lab.db, SYSTEM_CLOCK, self.grant.lease, self.context.store.process)

    def fetch(self, work: pieces.Work) -> None:
        assert self.session._step(work)

    def fetch_all(self) -> None:
        while (work := self._next_work()) is not None:
            self.fetch(work)

    def close(self) -> None:
        self.session._transport.close()
        self.grant.lock.release()


@pytest.fixture
def make_worker(worker_lab: DownloadLab) -> Iterator[Callable[[str], Worker]]:
    """Give a function that makes workers, and close them at the end."""
    workers: list[Worker] = []

    def make(name: str) -> Worker:
        workers.append(Worker(worker_lab, name))
        return workers[-1]

    yield make
    for each in workers:
        each.close()


def wanted(lab: DownloadLab, name: str, **spec: Any) -> int:
    path = lab.sandbox.add_products({"safename": name, **spec})[name]
    number = lab.queued(name)
    lab.db.rows("UPDATE product SET s3_path = :path, path_source = 'listing' WHERE id = :id", path=path, id=number)
    [product] = products.claim_resolving(
        lab.db, SYSTEM_CLOCK, lab.process, (each.id for each in products.queued(lab.db, 1))
    )
    products.resolved(lab.db, SYSTEM_CLOCK, product, Found(path, product.path_source))
    return int(number)


def settings_of(lab: DownloadLab, **changes: Any) -> None:
    known = lab.context.settings.model_dump(mode="json", exclude_defaults=True)
    for key, value in changes.items():
        known[key] = {**known[key], **value} if isinstance(value, dict) and key in known else value
    settings = Settings.model_validate(known)
    disks = dataclasses.replace(lab.context.disks, settings=settings)
    lab.context = dataclasses.replace(lab.context, settings=settings, disks=disks)


def fault_on_disk(lab: DownloadLab, number: int) -> None:
    """Make a product under way ready again, as after the pause of a failed disk."""
    products.move(lab.db, SYSTEM_CLOCK, products.get(lab.db, number), Move(State.READY, cause="a disk failed"))


def test_files_on_the_first_of_two_disks_do_not_count_as_arrived_on_the_second(worker_lab, make_worker, tmp_path):
    spools = [tmp_path / "spool", tmp_path / "other"]
    settings_of(worker_lab, spools=[str(each) for each in spools])
    spools[1].mkdir()
    number = wanted(worker_lab, NAMES[0])
    worker = make_worker("one")
    assert worker.plan(number).destination == str(spools[0])
    fault_on_disk(worker_lab, number)

    spools[0].rename(tmp_path / "away")  # begun there, but nothing has arrived
    assert worker.plan(number).destination == str(spools[1])
    work = worker.take()
    worker.fetch(dataclasses.replace(work, pieces=work.pieces[:1]))  # the largest object has arrived on the other
    for piece in work.pieces[1:]:
        pieces.let_go(worker_lab.db, worker.grant.lease, piece)
    fault_on_disk(worker_lab, number)

    (tmp_path / "away").rename(spools[0])
    spools[1].rename(tmp_path / "away")
    worker_lab.db.rows("DELETE FROM breaker")
    assert worker.plan(number).destination == str(spools[0])
    worker.fetch_all()
    assert finish_next(worker.context)
    assert worker_lab.state(number) is State.DONE
    for path, true in worker_lab.sandbox.truth(NAMES[0]).items():
        assert hashlib.md5((spools[0] / NAMES[0] / path).read_bytes()).hexdigest() == true.md5, path


def reclaim(lab: DownloadLab) -> list[str]:
    """Release what dead workers held, as the daemon does."""
    return processes.reclaim(
        lab.db, SYSTEM_CLOCK, is_free, session_lock=lab.context.settings.session_lock, cooldown_s=0.0
    )


def test_the_resume_point_of_a_done_piece_is_not_used_by_the_next_of_its_number(worker_lab, make_worker):
    worker = make_worker("one")
    first = wanted(worker_lab, NAMES[0])
    worker.plan(first)
    worker.fetch_all()
    assert finish_next(worker.context)  # its pieces are forgotten, and their numbers free
    second = wanted(worker_lab, NAMES[1])
    worker.plan(second)
    while worker.session._next(None) is not None:  # it is killed as soon as it has its work
        pass
    worker.close()
    reclaim(worker_lab)
    assert worker_lab.db.value("SELECT max(written_bytes) FROM piece") == 0


def test_a_product_published_while_a_listing_that_wants_it_elsewhere_is_taken_is_not_fetched_again(
    worker_lab, tmp_path
):
    first, second = (head(worker_lab, name, str(tmp_path / name)) for name in ("first", "second"))
    lines = Lines(worker_lab.db, SYSTEM_CLOCK, worker_lab.context.disks.presence)
    named = [Named(1, NAMES[0])]
    lines.enter(first, 1, named, lines.places(first, named))
    places = lines.places(second, named)  # it is still under way
    number = products.find(worker_lab.db, NAMES[0]).id
    path = str(tmp_path / "first" / NAMES[0])
    products.found_present(worker_lab.db, SYSTEM_CLOCK, number, path)
    lines.enter(second, 1, named, places)
    assert listings.get(worker_lab.db, second.id).counts == Counts(already_present=1)
    assert products.get(worker_lab.db, number).path == path


def test_a_product_that_is_named_while_a_listing_of_it_is_taken_is_entered_once(worker_lab, tmp_path):
    listing = head(worker_lab, "l.txt", str(tmp_path))
    lines = Lines(worker_lab.db, SYSTEM_CLOCK, worker_lab.context.disks.presence)
    named = [Named(1, NAMES[0]), Named(2, NAMES[1])]
    places = lines.places(listing, named)
    with closing(join_state(worker_lab.context.settings.state_dir)) as another:
        products.add(another, SYSTEM_CLOCK, listing.request(named[0]))
    lines.enter(listing, 2, named, places)
    assert listings.get(worker_lab.db, listing.id).counts == Counts(accepted=1, known=1)


def head(lab: DownloadLab, name: str, outputdir: str) -> ListingHead:
    blank = ListingHead(0, name, name, "default", 0, outputdir, SYSTEM_CLOCK.utc_s(), None)
    return listings.begin(lab.db, SYSTEM_CLOCK, blank, name).head


def test_products_started_again_while_their_report_is_written_are_reported_once_more(worker_lab, tmp_path):
    listing = head(worker_lab, "l.txt", str(tmp_path))
    number = worker_lab.queued(NAMES[0])
    listings.want(worker_lab.db, listing.id, number, 1)
    listings.finish(worker_lab.db, listing.id, accepted=True, path="l.txt")
    worker_lab.finish(number, State.FAILED)
    seen = listings.newest_event(worker_lab.db)
    assert listings.finished(worker_lab.db, 1)
    assert [row.state for row in listings.report_rows(worker_lab.db, listing.id)] == [State.FAILED]
    assert requeue(worker_lab.db, SYSTEM_CLOCK, [products.get(worker_lab.db, number)])[0].started
    listings.reported(worker_lab.db, SYSTEM_CLOCK, listing.id, seen=seen)
    assert listings.unreported(worker_lab.db) == 1
    worker_lab.finish(number, State.UNAVAILABLE)
    assert listings.finished(worker_lab.db, 1)
    listings.reported(worker_lab.db, SYSTEM_CLOCK, listing.id, seen=listings.newest_event(worker_lab.db))
    assert listings.unreported(worker_lab.db) == 0


@pytest.mark.parametrize(
    "error",
    [
        ProductError("another ETag", code="Changed"),
        DiskError("the staging directory is gone", code="ENOENT"),
        ServiceError("a reset", code="ConnectionLost"),
    ],
    ids=lambda error: error.code,
)
def test_a_session_stopped_in_a_piece_does_not_fail_a_product_fetched_since(worker_lab, make_worker, error):
    number = wanted(worker_lab, NAMES[0])
    stopped, other = make_worker("stopped"), make_worker("other")
    stopped.plan(number)
    work = stopped.take()
    fault_on_disk(worker_lab, number)  # the failure of another session moves the product on
    other.plan(number)
    other.fetch_all()
    verified = products.claim_verifying(worker_lab.db, SYSTEM_CLOCK, other.context.store.process)
    late = dataclasses.replace(work.pieces[0], transient_failures=9)
    stopped.context.outcome.of_piece(error, stopped.grant.lease, work.product, late)
    assert products.get(worker_lab.db, number) == verified
    assert Path(verified.staging).is_dir()


def test_what_was_handed_to_a_session_that_must_stop_is_given_back(worker_lab, make_worker):
    worker, number = make_worker("one"), worker_lab.ready("A")
    worker.session._handed = worker.take()
    assert products.get(worker_lab.db, number).state is State.DOWNLOADING
    worker.context.stop.set()
    assert not worker.session.work()
    product = products.get(worker_lab.db, number)
    assert (product.state, product.attempts, product.fence) == (State.READY, 0, None)


def test_a_staging_directory_removed_before_its_verification_charges_no_product(worker_lab, make_worker):
    number = wanted(worker_lab, NAMES[0])
    worker = make_worker("one")
    staging = Path(worker.plan(number).staging)
    worker.fetch_all()
    staging.rename(staging.with_name("away"))  # by a janitor that was stopped before the product was begun
    assert finish_next(worker.context)
    product = products.get(worker_lab.db, number)
    assert (product.state, product.attempts) == (State.RETRY_WAIT, 0)
    worker_lab.db.rows("UPDATE product SET due_s = 0")
    products.wake_due(worker_lab.db, SYSTEM_CLOCK)
    worker.plan(number)
    worker.fetch_all()
    assert finish_next(worker.context)
    assert worker_lab.state(number) is State.DONE
