"""Finish a product whose last piece has arrived: verify it, publish it, and record it in the state."""

import logging
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from cdsed.errors import DiskError, TransferError
from cdsed.local import file_record, layouts
from cdsed.local.partial import is_marked, read_marker
from cdsed.logevent import LogEvent, about
from cdsed.model.choice import Choice
from cdsed.model.layout import ProductLayout
from cdsed.model.objects import StoredObject
from cdsed.model.part_marker import MARKER, Partial
from cdsed.model.product_state import Product, State
from cdsed.model.single_file import single_file
from cdsed.store import cancelling, choices, pieces, products
from cdsed.store.move import Move
from cdsed.transfer.publish import complete, final_path, is_published, publish
from cdsed.transfer.s3_errors import on_disk
from cdsed.transfer.staging import discard, quarantine, refresh_attributes
from cdsed.transfer.verify import VerificationResult, verify
from cdsed.work import works_again
from cdsed.work.boundary import bounded
from cdsed.work.context import WorkerContext
from cdsed.work.destination import Destination

_log = logging.getLogger(__name__)

_REMARKS_SHOWN = 3
#: After so many copies of one object in a row that differ from its ETag, the product is charged.
_DAMAGED_MAX = 6
#: Corrupt products kept beside each destination. Older ones are removed, so that quarantine cannot fill the disk.
QUARANTINED_MAX = 10


def finish_next(context: WorkerContext, destination: str | None = None) -> bool:
    """Verify and publish one product whose pieces have all arrived; return whether there was one.

    With `destination`, only one that is published there.
    """
    product = products.claim_verifying(context.store.db, context.store.clock, context.store.process, destination)
    if product is None:
        return False
    bounded(context.outcome, product, partial(_try_finish, context, product))
    context.work_signal.notify()
    return True


def make_room(context: WorkerContext, group: str, beside: Product | None) -> bool:
    """Finish a product if so many have arrived that the group may begin no other; return whether one was finished.

    It is one on the disk of `beside`: another disk may hang, and stop the session that calls this.
    """
    store = context.store
    if beside is None or context.stop.is_set():  # a verification that is stopped would begin again
        return False
    if not pieces.begun_enough(store.db, store.clock, group):
        return False
    destination = products.get(store.db, beside.id).destination
    return destination is not None and finish_next(context, destination)


def _try_finish(context: WorkerContext, product: Product) -> bool:
    try:
        with context.disks.watch.at(product.destination or ""):
            _finish(context, product)
    except TransferError as error:
        return context.outcome.of_product(error, None, product)
    return True


def _finish(context: WorkerContext, product: Product) -> None:
    place = Destination(context.disks, product)
    kept = place.check()
    folder, destination = Path(product.staging or ""), Path(product.destination or "")
    objects = pieces.objects(context.store.db, product.id)
    single = single_file(objects, product.safename) if not product.partial else None
    below = product.final_below
    final = final_path(destination / below, folder, single=single)
    sizes = {item.path: item.size_bytes for item in objects}
    source = folder / single if single else folder
    marker = _marker(product, source if source.exists() else final)
    if marker is not None:
        sizes[MARKER] = marker.size_bytes
    if not source.exists() and _is_new(final, product) and is_published(final, sizes, single=single is not None):
        # A worker died between the rename and the commit. The product was verified before it was published.
        _log.info("%s: was published before a crash", product.safename)
        complete(final, folder)
        _record(
            context, product, final, State.DONE if kept else State.ALREADY_PRESENT
        )  # else another state has published it
        return
    if marker is not None and not marker.satisfies(Choice.from_json(product.choice)):
        products.move(context.store.db, context.store.clock, product, choices.wanted_more(context.store.clock))
        return
    verdict = _verified(context, product, folder, objects, marker)
    if verdict is None:
        return
    found = None if product.replaces else context.disks.presence.find_product(product, destination)
    present = found.path if found is not None else None
    if present is not None:
        complete(present, folder)
        # A worker died after the rename. If it copied from another disk, the source is left.
        ours = kept and present == final and is_published(final, sizes, single=single is not None)
        _record(context, product, present, State.DONE if ours else State.ALREADY_PRESENT)
        return
    place.check()  # verification may have taken long
    context.store.db.sync()  # else the next start would not know the published product as its own
    with on_disk(str(final)):
        if product.layout is not None:
            layouts.note(destination, ProductLayout.parse(product.layout))
        if verdict.unproven:
            file_record.write(destination, final.name, verdict.unproven, below)
        else:
            file_record.remove(destination, final.name, below)
    _refresh(context, folder)
    stamps, check_owner = verdict.stamps, place.check_owner
    published = publish(folder, destination, sizes, single=single, stamps=stamps, check_owner=check_owner, below=below)
    if published.set_aside:
        former = "the former copy" if product.replaces else "an incomplete copy"
        _log.warning("%s: %s was there; it is at %s now", final, former, published.set_aside)
    _record(context, product, published.path, State.DONE)


def _verified(
    context: WorkerContext, product: Product, folder: Path, objects: list[StoredObject], marker: Partial | None
) -> VerificationResult | None:
    """Return what its verification says; None if it was bad or cancelled meanwhile, which is noted."""
    _refresh(context, folder)
    verdict = verify(
        folder,
        product.safename,
        objects,
        md5=product.md5,
        manifest_counts=context.settings.transfer.manifest == "fail",
        stop=context.stop,
        choice=None if marker is None else marker.choice,
    )
    if not verdict.good:
        _bad(context, product, objects, verdict)
        return None
    for remark in verdict.remarks[:_REMARKS_SHOWN]:
        _log.warning("%s: %s", product.safename, remark)
    if cancelling.is_cancelled(context.store.db, product):
        _cancel(context, product)
        return None
    return verdict


def _refresh(context: WorkerContext, folder: Path) -> None:
    """Let this machine see what other machines have written, and when."""
    if context.settings.engine.uses_other_machines:
        refresh_attributes(folder)


def _is_new(final: Path, product: Product) -> bool:
    """Tell whether what is under the final name is not the copy that the product is to replace."""
    with on_disk(str(final)), suppress(FileNotFoundError):
        return product.replaces is None or final.lstat().st_ino != product.replaces_inode
    return False


def _cancel(context: WorkerContext, product: Product) -> None:
    """Cancel a product that was verified, and of which nothing is published; the janitor removes its staging."""
    products.move(context.store.db, context.store.clock, product, Move(State.CANCELLED, cause="cancelled"))
    _log.info("%s: cancelled after its verification", product.safename)


def _marker(product: Product, place: Path) -> Partial | None:
    """Return the marker of a product that is fetched in part, from its staging directory or where it was published.

    Raises
    ------
    DiskError
        ``Lost``: it is not there, so the product is planned again.
    """
    if not product.partial:
        return None
    found = read_marker(place)
    if found is None:
        raise DiskError(f"{place}: {MARKER} is gone or was changed", code="Lost")
    return found


def _record(context: WorkerContext, product: Product, path: Path, state: State) -> None:
    partial = product.partial if state is State.DONE else is_marked(path)
    move = Move(state, path=str(path), partial=partial)
    if not choices.settle(context.store.db, context.store.clock, product, move):
        return
    Destination(context.disks, product).release()
    works_again.disk(context.store.db, context.store.clock, product.destination or "")
    event = LogEvent.PRODUCT_PUBLISHED if state is State.DONE else LogEvent.PRODUCT_PRESENT
    extra = about(event, product=product.safename)
    _log.info("%s: %s, %s bytes at %s", product.safename, state, product.size_bytes, path, extra=extra)


def _bad(
    context: WorkerContext, product: Product, objects: Sequence[StoredObject], verdict: VerificationResult
) -> None:
    """Set the product aside if two bad copies are identical: the source is bad. Otherwise fetch the bad objects again.

    A copy that differs from its own ETag is not charged to the product, but only up to a limit.
    """
    if verdict.damaged and pieces.count_damaged(context.store.db, verdict.bad) < _DAMAGED_MAX:
        pieces.mark_bad(context.store.db, verdict.bad)
        raise verdict.error(damaged=True)
    before = {item.id: item.bad_digest for item in objects}
    if any(before[number] == digest for number, digest in verdict.bad.items()):
        place = quarantine(Path(product.staging or ""))
        _make_room(place.parent)
        cause = f"corrupt at its source, two copies were alike: {verdict.summary}"
        extra = about(LogEvent.PRODUCT_CORRUPT, product=product.safename, error="Corrupt")
        _log.error("%s: %s; set aside at %s", product.safename, cause, place, extra=extra)
        move = Move(State.CORRUPT, cause=cause, code="Corrupt", path=str(place), attempts=1)
        products.move(context.store.db, context.store.clock, product, move)
        return
    pieces.mark_bad(context.store.db, verdict.bad)
    raise verdict.error(damaged=False)


def _make_room(quarantined: Path) -> None:
    """Remove the oldest products of a quarantine that holds too many; it has only the newest copy of each."""
    with on_disk(str(quarantined)):
        oldest_first = sorted(quarantined.iterdir(), key=lambda path: path.lstat().st_ctime_ns)  # set by the rename
    for path in oldest_first[:-QUARANTINED_MAX]:
        discard(path)
        _log.warning("%s: removed, quarantine keeps %d products", path, QUARANTINED_MAX)
