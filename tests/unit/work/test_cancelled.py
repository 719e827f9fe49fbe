"""What becomes on disk of products that are cancelled when their bytes have arrived, and of their staging."""

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from cdsed.config.settings import Settings
from cdsed.local.presence import Presence
from cdsed.model.product_state import State
from cdsed.store import cancelling, pieces, products
from cdsed.store.move import Move
from cdsed.transfer.ownerfile import this_owner
from cdsed.transfer.owners import Owners
from cdsed.work import finish
from cdsed.work.cancelled import remove_staging, settle_next
from tests.support.local_products import SAFENAME, make_part
from tests.support.state import DiskLab

_MEASUREMENT = '[{"include": ["measurement"], "exclude": []}]'


@dataclass
class CancelContext(DiskLab):
    """What the two steps need of a worker's context, with one spool."""

    spool: Path
    owners: Owners
    presence: Presence


@pytest.fixture
def context(lab):
    spool = lab.root / "spool"
    (spool / ".cdsed").mkdir(parents=True, mode=0o700)
    lab.accounts("a")
    settings = Settings.model_validate({"spools": [str(spool)]})
    owners = Owners(this_owner("a" * 32, lab.root, os.getpid()))
    return CancelContext(lab, settings, spool, owners, Presence([spool], []))


def arrived(context, *, replaces=None):
    """Bring a product to where all its bytes are in the pre-spool, and cancel it."""
    lab = context.lab
    number = lab.planned("A")
    staging = context.spool / ".cdsed" / "A"
    staging.mkdir()
    (staging / "f0").write_bytes(bytes(10))
    lab.db.rows("UPDATE product SET staging = :staging", staging=str(staging))
    if replaces:
        inode = replaces.stat().st_ino
        lab.db.rows("UPDATE product SET replaces = :path, replaces_inode = :inode", path=str(replaces), inode=inode)
    lab.fetched(lab.lease())
    found = cancelling.cancel(context.db, context.clock, [], [number], None)
    assert found.undecided == ("A",)
    return number, staging


def test_what_is_not_published_is_cancelled_and_its_staging_goes_for_good(context):
    number, staging = arrived(context)
    assert settle_next(context)
    assert context.lab.state(number) is State.CANCELLED
    remove_staging(context)
    assert not staging.exists()
    assert products.get(context.db, number).staging is None
    assert cancelling.staged(context.db, context.clock, 0) is None
    assert not settle_next(context)


def test_what_a_worker_published_before_it_died_stays_and_is_noted_as_done(context):
    number, staging = arrived(context)
    staging.rename(context.spool / "A")
    assert settle_next(context)
    assert context.lab.state(number) is State.DOWNLOADING
    product = products.claim_verifying(context.db, context.clock, context.lab.process)
    assert product is not None
    assert not cancelling.is_cancelled(context.db, product)


def test_a_part_that_a_worker_published_before_it_died_stays_too(context):
    number, staging = arrived(context)
    name, part = SAFENAME, make_part(context.spool / "partial")
    context.db.rows(
        "UPDATE product SET safename = :name, partial = 1, choice = :choice", name=name, choice=_MEASUREMENT
    )
    assert part.is_dir()
    staging.rename(staging.with_name("gone"))
    assert settle_next(context)
    assert context.lab.state(number) is State.DOWNLOADING


@pytest.mark.parametrize("moved", ["not yet", "aside", "replaced"])
def test_a_copy_that_is_being_replaced_decides_by_its_inode(context, moved):
    former = context.spool / "A"
    former.mkdir()
    (former / "old").write_bytes(b"old")
    number, staging = arrived(context, replaces=former)
    if moved != "not yet":
        former.rename(context.spool / ".cdsed" / "A.1")
    if moved == "replaced":
        staging.rename(former)
    assert settle_next(context)
    assert context.lab.state(number) is (State.ALREADY_PRESENT if moved == "not yet" else State.DOWNLOADING)


def test_a_paused_breaker_of_the_disk_postpones_the_decision(context):
    number, _ = arrived(context)
    place = products.get(context.db, number).destination
    context.db.rows(
        "INSERT INTO breaker VALUES (:name, 1, 1, :until, 'EIO', 'broken', 0)",
        name=f"disk:{place}",
        until=context.clock.boot_s() + 9,
    )
    assert not settle_next(context)


def test_a_product_that_is_cancelled_while_it_is_verified_is_not_published(worker_lab, monkeypatch, until):
    number = worker_lab.wanted()
    worker_lab.start()
    until(lambda: pieces.have_all_arrived(worker_lab.db, number))
    worker_lab.stop()
    verify = finish.verify

    def cancelled_meanwhile(*arguments, **options):
        cancelling.cancel(worker_lab.db, worker_lab.clock, [], [number], "mika")
        return verify(*arguments, **options)

    monkeypatch.setattr(finish, "verify", cancelled_meanwhile)
    assert finish.finish_next(worker_lab.context)
    product = products.get(worker_lab.db, number)
    assert product.state is State.CANCELLED
    assert not [path for path in (worker_lab.root / "spool").iterdir() if path.name != ".cdsed"]
    remove_staging(worker_lab.context.disks)
    assert not Path(product.staging or "/").exists()


def test_a_copy_that_is_replaced_does_not_count_as_the_new_one_if_the_staging_is_lost(worker_lab, until):
    number = worker_lab.wanted()
    worker_lab.start()
    until(lambda: pieces.have_all_arrived(worker_lab.db, number))
    worker_lab.stop()
    assert finish.finish_next(worker_lab.context)
    product = products.get(worker_lab.db, number)
    former = Path(product.path or "")
    inode = former.stat().st_ino
    worker_lab.db.rows("UPDATE product SET replaces = path, replaces_inode = :inode, state = 'queued'", inode=inode)
    now = products.get(worker_lab.db, number)
    assert not finish._is_new(former, now)
    former.rename(former.with_name("aside"))
    former.write_bytes(b"new")
    assert finish._is_new(former, now)
    products.move(worker_lab.db, worker_lab.clock, now, Move(State.ALREADY_PRESENT, path=str(former)))
