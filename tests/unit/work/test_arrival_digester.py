"""Large objects are digested while they arrive, and only what is true of the file in the end is stored."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import pytest

from cdsed.dir_handle import Stamp
from cdsed.model.objects import Digests, Lease
from cdsed.model.product_state import Product, State
from cdsed.store import digesting, pauses, pieces, products
from cdsed.store.move import Move
from cdsed.work.arrival_digester import ArrivalDigester
from tests.support.download_lab import DownloadLab
from tests.support.state import listed

_NAME = "S1A_IW_SLC__1SDV_20260101T000000_20260101T000027_000001_000001_0001.SAFE"
#: While another product waits, last pieces are not cut.
_WAITS = "S1A_IW_SLC__1SDV_20260102T000000_20260102T000027_000002_000002_0002.SAFE"
_PIECE_BYTES = 12 * 2**20
_SIZE_BYTES = 40 * 2**20  # in four pieces


@dataclass
class Arriving:
    """A product of one large object in four pieces, and the digester of its process."""

    lab: DownloadLab
    product: Product
    file: Path
    content: bytes
    digester: ArrivalDigester
    leases: list[Lease]

    def arrive(self, lease: int = 0) -> None:
        """Let the piece that a session has been given arrive."""
        held = self.leases[lease]
        work = pieces.next_work(self.lab.db, self.lab.clock, held, self.lab.process)
        assert work is not None
        pieces.finish(self.lab.db, held, dict.fromkeys(work.pieces, Digests()))

    def digest(self) -> None:
        while self.digester.step():
            pass

    def digests(self) -> Digests:
        [stored] = pieces.objects(self.lab.db, self.product.id)
        return stored.digests

    def holder(self) -> int | None:
        holder: int | None = self.lab.db.value("SELECT process FROM object")
        return holder

    def whole(self) -> Digests:
        """Return the digests that the file has now."""
        stamp = str(Stamp.of(self.file.lstat()))
        return Digests(md5=hashlib.md5(self.file.read_bytes()).hexdigest(), stamp=stamp)


@pytest.fixture
def arriving(worker_lab):
    number = worker_lab.ready(_NAME)
    with worker_lab.db.write():
        product = products.claim_ready(worker_lab.db, worker_lab.clock, number, worker_lab.process)
    staging = worker_lab.root / "staging" / _NAME
    staging.mkdir(mode=0o700, parents=True)
    staging.parent.chmod(0o700)
    content = bytes(range(251)) * (_SIZE_BYTES // 251 + 1)
    (staging / "f").write_bytes(content[:_SIZE_BYTES])
    worker_lab.plan(product, [listed("f", _SIZE_BYTES)], {}, _PIECE_BYTES)
    worker_lab.ready(_WAITS)
    held = [worker_lab.lease() for _ in range(2)]
    return Arriving(worker_lab, product, staging / "f", content, ArrivalDigester(worker_lab.context), held)


def test_the_digests_are_there_when_the_last_piece_is(arriving):
    assert not arriving.digester.step()
    for _ in range(3):
        arriving.arrive()
        arriving.digest()
        assert arriving.holder() == arriving.lab.process
        assert arriving.digests() == Digests()
    arriving.arrive()
    assert products.claim_verifying(arriving.lab.db, arriving.lab.clock, arriving.lab.process) is None
    assert arriving.digester.step()  # one step: of 4 MB
    assert (arriving.holder(), arriving.digests()) == (None, arriving.whole())
    assert products.claim_verifying(arriving.lab.db, arriving.lab.clock, arriving.lab.process) is not None


def test_behind_a_gap_nothing_is_digested_before_it_is_filled(arriving):
    arriving.arrive()
    work = pieces.next_work(arriving.lab.db, arriving.lab.clock, arriving.leases[1], arriving.lab.process)
    [late] = work.pieces
    arriving.arrive()
    arriving.arrive()
    written = arriving.file.read_bytes()
    with arriving.file.open("r+b") as file:
        file.seek(late.first_byte)
        file.write(bytes(late.size_bytes))
    arriving.digest()
    arriving.file.write_bytes(written)
    pieces.finish(arriving.lab.db, arriving.leases[1], {late: Digests()})
    arriving.digest()
    assert arriving.digests() == arriving.whole()


def test_of_a_piece_that_changes_hands_only_what_stays_is_digested_before(arriving):
    lab, [first, second] = arriving.lab, arriving.leases
    arriving.arrive()
    work = pieces.next_work(lab.db, lab.clock, first, lab.process)
    [piece] = work.pieces
    pieces.advance(lab.db, first, piece, 5 * 2**20)
    written = arriving.file.read_bytes()
    with arriving.file.open("r+b") as file:
        file.seek(piece.first_byte + 5 * 2**20)
        file.write(bytes(2**20))  # what it has written since is not noted
    arriving.digest()
    pieces.let_go(lab.db, first, piece)
    work = pieces.next_work(lab.db, lab.clock, second, lab.process)
    assert [(each.id, each.done_bytes) for each in work.pieces] == [(piece.id, 5 * 2**20)]
    arriving.file.write_bytes(written)
    pieces.finish(lab.db, second, dict.fromkeys(work.pieces, Digests()))
    for _ in range(2):
        arriving.arrive()
    arriving.digest()
    assert arriving.digests() == arriving.whole()


def test_an_object_that_changes_at_the_service_is_digested_from_its_first_byte(arriving):
    lab = arriving.lab
    arriving.arrive()
    arriving.digest()
    products.move(lab.db, lab.clock, products.get(lab.db, arriving.product.id), Move(State.READY))
    with lab.db.write():
        product = products.claim_ready(lab.db, lab.clock, arriving.product.id, lab.process)
    lab.plan(product, [listed("f", _SIZE_BYTES, etag="other")], {"f": _SIZE_BYTES}, _PIECE_BYTES)
    arriving.file.unlink()
    arriving.file.write_bytes(bytes(_SIZE_BYTES))
    for _ in range(4):
        arriving.arrive()
        arriving.digest()
    assert arriving.digests() == arriving.whole()


def test_an_object_that_is_fetched_again_is_digested_from_its_first_byte(arriving):
    arriving.arrive()
    arriving.digest()
    [stored] = pieces.objects(arriving.lab.db, arriving.product.id)
    pieces.mark_bad(arriving.lab.db, {stored.id: "bad"})
    with arriving.file.open("r+b") as file:
        file.write(b"good")
    for _ in range(4):
        arriving.arrive()
        arriving.digest()
    assert arriving.digests() == arriving.whole()


def test_digests_of_an_object_that_is_fetched_again_at_the_last_moment_do_not_count(arriving):
    arriving.arrive()
    number = digesting.claim(arriving.lab.db, arriving.lab.clock, arriving.lab.process, 0)
    digesting.store(arriving.lab.db, arriving.lab.process, number, Digests(md5="0" * 32))
    assert (arriving.holder(), arriving.digests()) == (None, Digests())


@pytest.mark.parametrize("what", ["replaced", "cut"])
def test_a_file_that_is_not_the_same_any_more_is_left_to_verification(arriving, what):
    arriving.arrive()
    arriving.digest()
    if what == "replaced":
        other = arriving.file.with_name("other")
        other.write_bytes(arriving.file.read_bytes())
        other.rename(arriving.file)
    else:
        arriving.file.write_bytes(b"")
    arriving.arrive()
    arriving.digest()
    assert (arriving.holder(), arriving.digests()) == (None, Digests())
    assert not arriving.digester.step()


def _goes_elsewhere(arriving):
    products.move(arriving.lab.db, arriving.lab.clock, products.get(arriving.lab.db, 1), Move(State.READY))


def _is_held(arriving):
    arriving.lab.db.rows("UPDATE product SET held = 1")


def _its_disk_is_paused(arriving):
    pauses.add(arriving.lab.db, arriving.lab.clock, "disk", str(arriving.lab.root / "spool"), None)


@pytest.mark.parametrize("happens", [_goes_elsewhere, _is_held, _its_disk_is_paused])
def test_a_product_that_does_not_go_on_is_let_go(arriving, happens):
    arriving.arrive()
    arriving.digest()
    happens(arriving)
    assert not arriving.digester.step()
    assert arriving.holder() is None


def test_a_process_that_leaves_lets_another_one_begin_again(arriving):
    arriving.arrive()
    arriving.digest()
    arriving.digester.leave()
    assert arriving.holder() is None
    arriving.digester = ArrivalDigester(arriving.lab.context)
    for _ in range(3):
        arriving.arrive()
    arriving.digest()
    assert arriving.digests() == arriving.whole()


def test_what_a_stuck_thread_had_claimed_is_digested_by_the_next_one(arriving):
    arriving.arrive()
    arriving.digest()
    digesting.let_go_all(arriving.lab.db, arriving.lab.process)
    next_one = ArrivalDigester(arriving.lab.context)
    for _ in range(3):
        arriving.arrive()
    while next_one.step():
        pass
    assert (arriving.holder(), arriving.digests()) == (None, arriving.whole())
    arriving.digest()  # its call returns after all
    assert (arriving.holder(), arriving.digests()) == (None, arriving.whole())
