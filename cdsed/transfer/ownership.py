"""The place of one product, owned by one state at a time: claimed, held, and released.

A place has two rooms: ``.cdsed`` in the destination, where the final name is decided, and the pre-spool, which is the
same directory unless the settings name another one. They are claimed in this order, so two states never wait for each
other. The functions take a product whose ``staging`` and ``destination`` are chosen.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

from cdsed.errors import OwnedElsewhere, TransferError
from cdsed.model.product_state import Product
from cdsed.transfer import publish
from cdsed.transfer.owners import Owners, waiting_for
from cdsed.transfer.s3_errors import on_disk
from cdsed.transfer.staging import discard

_log = logging.getLogger(__name__)


def rooms_of(destination: Path, pre_spool: Path) -> list[Path]:
    """Return the rooms of a place, in the order in which they are claimed."""
    near = destination / publish.NEAR
    return [near] if near == pre_spool else [near, pre_spool]


def refuse_other(owners: Owners, safename: str, destination: Path, pre_spool: Path) -> None:
    """Make sure that no living state downloads a product to a destination; a disk that does not answer is skipped.

    Raises
    ------
    OwnedElsewhere
        A live state does; the text names it.
    """
    for room in rooms_of(destination, pre_spool):
        other = None
        with suppress(OSError):
            other = owners.other(room, safename, living=True)
        if other is not None:
            raise waiting_for(safename, destination, other)


def claim(owners: Owners, product: Product, forget: Callable[[], object]) -> list[Path]:
    """Make this state the owner of a product's place; return the rooms that it did not own before.

    What a dead state has left in the staging directory is removed.

    Parameters
    ----------
    forget
        Called before that. It deletes what this state has recorded of the product's pieces, which is not true any more.

    Raises
    ------
    OwnedElsewhere
        A live state owns it. This state then owns no room that it did not own before.
    DiskError
        The disk fails.
    """
    destination, staging = _place_of(product)

    def take_over() -> None:
        _log.info("%s: what another cdsed has left at %s is removed", product.safename, staging)
        forget()
        discard(staging)

    fresh: list[Path] = []
    try:
        for room in rooms_of(destination, staging.parent):
            # Only the final name is taken over in a room that is not the pre-spool: nothing was put together there.
            with _room(room, staging.parent):
                if not owners.claim(room, product.safename, take_over if room == staging.parent else _nothing):
                    fresh.append(room)
    except OwnedElsewhere:
        release(owners, product, fresh)
        raise
    return fresh


def hold(owners: Owners, product: Product) -> bool:
    """Make sure that this state still owns a place that it claimed.

    Returns
    -------
    bool
        False if it had no owner: an older cdsed began it, or another state has owned it meanwhile.

    Raises
    ------
    OwnedElsewhere, DiskError
        As for `claim`.
    """
    destination, staging = _place_of(product)
    kept = True
    for room in rooms_of(destination, staging.parent):
        with _room(room, staging.parent):
            kept &= owners.hold(room, product.safename)
    return kept


def check(owners: Owners, product: Product) -> None:
    """Check the owner again after the directory to write in is open; raises OSError, OwnedElsewhere."""
    owners.check(_place_of(product)[1].parent, product.safename)


def complete(owners: Owners, product: Product, found: Path) -> None:
    """Finish publishing a product whose rename is done, unless another state now owns its staging directory.

    Raises
    ------
    DiskError
        The disk fails.
    """
    staging = _place_of(product)[1]
    with on_disk(str(staging.parent)):
        other = owners.other(staging.parent, product.safename)
    if other is None:
        publish.complete(found, staging)


def release(owners: Owners, product: Product, rooms: Iterable[Path] | None = None) -> None:
    """Release a product's place, or only some rooms of it; the janitor repeats what fails."""
    destination, staging = _place_of(product)
    for room in rooms_of(destination, staging.parent) if rooms is None else rooms:
        with suppress(OSError, TransferError), on_disk(str(room)):
            owners.release(room, product.safename)


def _place_of(product: Product) -> tuple[Path, Path]:
    assert product.destination is not None, f"{product.safename} has no destination"
    assert product.staging is not None, f"{product.safename} has no staging directory"
    return _paths(product.destination, product.staging)


@lru_cache(maxsize=256)  # asked for a dozen times on the way of each product
def _paths(destination: str, staging: str) -> tuple[Path, Path]:
    return Path(destination), Path(staging)


def _nothing() -> None:
    """Forget nothing."""


@contextmanager
def _room(room: Path, pre_spool: Path) -> Iterator[None]:
    """Skip a destination's own room if another user has it: this state has its pre-spool elsewhere then."""
    with on_disk(str(room)):
        try:
            yield
        except PermissionError:
            if room == pre_spool:
                raise
