"""Finishing a product: its last piece has arrived; verify it, let it appear, and say so."""

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from cdsed.errors import ProductError, ServiceError, TransferError
from cdsed.model.product import Product, State
from cdsed.model.transfer import Digests, StoredObject
from cdsed.store import pieces, products
from cdsed.store.products import Move
from cdsed.transfer.publish import complete, final_path, is_published, publish
from cdsed.transfer.staging import discard, quarantine
from cdsed.transfer.translate import on_disk
from cdsed.transfer.verify import Verdict, algorithms_for, file_digests, verify
from cdsed.work.bench import Bench
from cdsed.work.boundary import bounded
from cdsed.work.owning import check, hold, release
from cdsed.work.place import check_disk

_log = logging.getLogger(__name__)

_REMARKS_TOLD = 3
#: So many copies of one object in a row that differ from its ETag, and it is charged to the product.
_DAMAGED_MAX = 6
#: Corrupt products kept beside each destination; older ones make room, so that quarantine cannot fill the disk.
QUARANTINED_MAX = 10


def finish_next(bench: Bench) -> bool:
    """Verify and publish one product whose pieces have all arrived; return whether there was one."""
    product = products.claim_verifying(bench.db, bench.clock, bench.process)
    if product is None:
        return False
    bounded(bench.outcome, product, partial(_try_finish, bench, product))
    bench.news.tell()
    return True


def digest_next(bench: Bench) -> bool:
    """Digest one object that came in pieces, while its fellows still arrive; return whether there was one."""
    claimed = pieces.claim_digesting(bench.db, bench.clock, bench.process)
    if claimed is None:
        return False
    product = products.get(bench.db, claimed.product)
    digests = Digests()
    try:
        folder = Path(product.staging or "")
        with bench.watch.at(product.destination or ""):
            digests = file_digests(folder, claimed.path, algorithms_for(product.safename), bench.stop)
    except TransferError as error:
        _log.info("%s: %s is left to verification: %s", product.safename, claimed.path, error)
        return False
    finally:
        pieces.digested(bench.db, bench.process, claimed, digests)
    return True


def _try_finish(bench: Bench, product: Product) -> bool:
    try:
        check_disk(bench, Path(product.destination or ""))
        with bench.watch.at(product.destination or ""):
            _finish(bench, product)
    except TransferError as error:
        return bench.outcome.of_product(error, None, product)
    return True


def _finish(bench: Bench, product: Product) -> None:
    kept = hold(bench, product)
    folder, destination = Path(product.staging or ""), Path(product.destination or "")
    objects = pieces.objects(bench.db, product.id)
    single = _single(objects, product)
    final = final_path(destination, folder, single=single)
    sizes = {item.path: item.size_bytes for item in objects}
    source = folder / single if single else folder
    if not source.exists() and is_published(final, sizes, single=single is not None):
        # We died between the rename and the commit: it was verified before it was published.
        _log.info("%s: was published before a crash", product.safename)
        complete(final, folder)
        _settle(bench, product, final, State.DONE if kept else State.PRESENT)  # else another state has published it
        return
    verdict = verify(
        folder,
        product.safename,
        objects,
        md5=product.md5,
        manifest_counts=bench.settings.transfer.manifest == "fail",
        stop=bench.stop,
    )
    if not verdict.good:
        _bad(bench, product, objects, verdict)
        return
    for remark in verdict.remarks[:_REMARKS_TOLD]:
        _log.warning("%s: %s", product.safename, remark)
    present = bench.presence.find_now(product.safename, destination)
    if present is not None:
        complete(present, folder)
        # We died after its rename; of a copy from another disk the source is left.
        ours = kept and present == final and is_published(final, sizes, single=single is not None)
        _settle(bench, product, present, State.DONE if ours else State.PRESENT)
        return
    hold(bench, product)  # to verify may have taken long
    check_owner = partial(check, bench, product)
    published = publish(folder, destination, sizes, single=single, stamps=verdict.stamps, check_owner=check_owner)
    if published.set_aside:
        _log.warning("%s: an incomplete copy stood there; it lies at %s now", final, published.set_aside)
    _settle(bench, product, published.path, State.DONE)


def _settle(bench: Bench, product: Product, path: Path, state: State) -> None:
    products.move(bench.db, bench.clock, product, Move(state, whereabouts=str(path)))
    release(bench, product)
    _log.info("%s: %s, %s bytes at %s", product.safename, state, product.size_bytes, path)


def _single(objects: Sequence[StoredObject], product: Product) -> str | None:
    """Return the file name of a product that is one object lying at its very path, else None."""
    if len(objects) == 1 and objects[0].key.endswith((product.s3_path or "").rpartition("/")[2]):
        return objects[0].path
    return None


def _bad(bench: Bench, product: Product, objects: Sequence[StoredObject], verdict: Verdict) -> None:
    """Two identical bad copies: the source is bad. Otherwise what is wrong is fetched again.

    What differs from its own ETag is not the product's fault; but what never arrives undamaged must come to an end.
    """
    told = "; ".join(verdict.remarks[:_REMARKS_TOLD])
    if verdict.damaged and pieces.count_damaged(bench.db, verdict.bad) < _DAMAGED_MAX:
        pieces.mark_bad(bench.db, verdict.bad)
        raise ServiceError(f"damaged on the way: {told}", code="Damaged")
    before = {item.id: item.bad_digest for item in objects}
    if any(before[number] == digest for number, digest in verdict.bad.items()):
        place = quarantine(Path(product.staging or ""))
        _make_room(place.parent)
        cause = f"corrupt at its source, two copies were alike: {told}"
        _log.error("%s: %s; set aside at %s", product.safename, cause, place)
        move = Move(State.CORRUPT, cause=cause, code="Corrupt", whereabouts=str(place), attempts=1)
        products.move(bench.db, bench.clock, product, move)
        return
    pieces.mark_bad(bench.db, verdict.bad)
    code = "Incomplete" if verdict.missing else "VerificationFailed"
    raise ProductError(f"verification failed: {told}", code=code)


def _make_room(quarantined: Path) -> None:
    """Remove the oldest products of a quarantine that holds too many; the newest copy of each is there only."""
    with on_disk(str(quarantined)):
        oldest_first = sorted(quarantined.iterdir(), key=lambda path: path.lstat().st_ctime_ns)  # set by the rename
    for path in oldest_first[:-QUARANTINED_MAX]:
        discard(path)
        _log.warning("%s: removed, quarantine keeps %d products", path, QUARANTINED_MAX)
