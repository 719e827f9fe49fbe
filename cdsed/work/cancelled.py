"""What becomes of cancelled products on disk: those that are not published are cancelled, and their staging goes."""

import logging
import os
from pathlib import Path

from cdsed.errors import TransferError
from cdsed.model.product_state import Product
from cdsed.store import cancelling, products
from cdsed.transfer import ownership
from cdsed.transfer.s3_errors import on_disk
from cdsed.transfer.staging import discard
from cdsed.work.context import DiskContext

_log = logging.getLogger(__name__)


def settle_next(context: DiskContext) -> bool:
    """Decide about one product that was cancelled when its bytes had arrived; return whether there was one.

    Publishing may have been quicker: a worker may have died between its rename and the commit. Then the product stays.
    """
    number = cancelling.undecided(context.db, context.clock)
    if number is None:
        return False
    changed_at = cancelling.changed_at(context.db, number)
    product = products.get(context.db, number)
    try:
        with context.watch.at(product.destination or ""), on_disk(product.destination or ""):
            published = _is_published(context, product)
    except TransferError as error:
        context.outcome.disk_failed(error, product.destination or "")
        return False
    if cancelling.decide(context.db, context.clock, product, changed_at, published=published):
        _log.info("%s: %s", product.safename, "was published before it was cancelled" if published else "cancelled")
    return True


def remove_staging(context: DiskContext) -> None:
    """Remove the staging of cancelled products; what fails is left to the janitor's next round."""
    number: int | None = 0
    while (number := cancelling.staged(context.db, context.clock, number or 0)) is not None:
        product = products.get(context.db, number)
        if product.staging is None or product.destination is None:
            cancelling.forget_staging(context.db, number)
            continue
        room = Path(product.staging).parent
        try:
            with context.watch.at(product.destination), on_disk(str(room)):
                if context.owners.other(room, product.safename) is None:
                    discard(Path(product.staging))
                    ownership.release(context.owners, product)
        except TransferError as error:
            context.outcome.disk_failed(error, product.destination)
            continue
        cancelling.forget_staging(context.db, number)
        _log.info("%s: cancelled; its staging is removed", product.safename)


def _is_published(context: DiskContext, product: Product) -> bool:
    """Tell whether a product is under its final name; one that replaces a copy: whether that copy has been moved."""
    if product.replaces is not None:
        try:
            return os.lstat(product.replaces).st_ino != product.replaces_inode
        except FileNotFoundError:
            return True  # a worker has moved the former copy aside, and died before it renamed the new one
    destination = Path(product.destination) if product.destination else None
    return context.presence.find_product(product, destination) is not None
