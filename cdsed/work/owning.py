"""The place of a product is owned by one state at a time: taking it, keeping it, and giving it back.

A product has two rooms: ``.cdsed`` in its destination, where the final name is decided, and the pre-spool, which is
the same directory unless the settings name another one. They are claimed in this order, so two states never wait for
each other.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cdsed.errors import OwnedElsewhere, TransferError
from cdsed.model.product import FINAL, Product
from cdsed.model.transfer import Places
from cdsed.store import breakers, disks, products
from cdsed.transfer.ownerfile import Owner
from cdsed.transfer.owners import waiting_for
from cdsed.transfer.publish import NEAR
from cdsed.transfer.staging import discard
from cdsed.transfer.translate import on_disk
from cdsed.work.context import DiskContext

_log = logging.getLogger(__name__)


def refuse_other(context: DiskContext, product: Product, *, but: Path | None = None) -> None:
    """Make sure that no living state downloads a product to where it might go; `but` is not asked.

    Disks that pause, or do not answer, are passed over: whoever writes there claims the place before.

    Raises
    ------
    OwnedElsewhere
        One does; the text says which.
    """
    candidates = [Path(product.outputdir)] if product.outputdir else context.settings.spools
    for destination in candidates:
        if destination == but or breakers.is_open(context.db, context.clock, breakers.disk_breaker(str(destination))):
            continue
        for room in _rooms(destination, context.settings.pre_spool_for(destination)):
            other = None
            with context.watch.at(str(destination)), suppress(OSError):
                other = context.owners.other(room, product.safename, living=True)
            if other is not None:
                raise waiting_for(product.safename, destination, other)


def take(context: DiskContext, product: Product, places: Places) -> None:
    """Become the owner of a claimed product's place, whose disk has been checked.

    What a dead state has left there is forgotten, and removed with the preparation of the staging directory.

    Raises
    ------
    OwnedElsewhere
        A living state owns it.
    DiskError
        Its disk does not take it.
    """
    staging = Path(places.staging)
    fresh: list[Path] = []

    def taking_over() -> None:
        _log.info("%s: what another cdsed has left at %s is removed", product.safename, staging)
        products.forget_objects(context.db, product)
        discard(staging)

    try:
        for room in _rooms(Path(places.destination), staging.parent):
            forget = taking_over if room == staging.parent else _nothing
            with _room(room, staging.parent):
                if not context.owners.claim(room, product.safename, forget):
                    fresh.append(room)
        refuse_other(context, product, but=Path(places.destination))
    except OwnedElsewhere:
        for room in fresh:
            _release(context, room, product.safename)
        raise


def hold(context: DiskContext, product: Product) -> bool:
    """Make sure, before working on a product that was begun, that its place is still this state's.

    Returns
    -------
    bool
        False if nobody owned it: it was begun by an older cdsed, or another state has come and gone.

    Raises
    ------
    OwnedElsewhere, DiskError
        As for `take`.
    """
    assert product.staging is not None, f"{product.safename} has no staging directory"
    assert product.destination is not None, f"{product.safename} has no destination"
    room = Path(product.staging).parent
    kept = True
    for each in _rooms(Path(product.destination), room):
        with _room(each, room):
            kept &= context.owners.hold(each, product.safename)
    return kept


def check(context: DiskContext, product: Product) -> None:
    """Make sure once more, with the directory open that is to be written in; OSError, OwnedElsewhere."""
    context.owners.check(Path(product.staging or "").parent, product.safename)


def is_others(context: DiskContext, product: Product) -> bool:
    """Tell whether the staging directory that a product once had belongs to another state now."""
    room = Path(product.staging or "").parent
    with on_disk(str(room)):
        return context.owners.other(room, product.safename) is not None


def release(context: DiskContext, product: Product) -> None:
    """Give a settled product's place back; what cannot be given back now is left to the janitor."""
    staging, destination = Path(product.staging or ""), Path(product.destination or "")
    if product.staging and product.destination:
        for room in _rooms(destination, staging.parent):
            _release(context, room, product.safename)


def rooms_of_all(context: DiskContext) -> list[tuple[Path, Path]]:
    """Return the rooms of every place that products are, or were ever, written to, with that place."""
    rooms = {room: room.parent for room in context.owners.rooms()}
    for place in {*context.settings.spools, *disks.places(context.db)}:
        if not breakers.is_open(context.db, context.clock, breakers.disk_breaker(str(place))):
            rooms |= dict.fromkeys(_rooms(place, context.settings.pre_spool_for(place)), place)
    return sorted(rooms.items())


def tidy(context: DiskContext, room: Path) -> dict[str, Owner]:
    """Give back in a room what no product under way needs; return the products of other states, with their owners."""
    mine, others = context.owners.owned(room)
    for name in mine:
        context.owners.release(room, name, unless=lambda name=name: _is_needed(context, room, name))  # type: ignore[misc]
    return others


def _is_needed(context: DiskContext, room: Path, name: str) -> bool:
    """Tell whether a product under way has its place in a room, which may have several names."""
    product = products.find(context.db, name)
    if product is None or product.state in FINAL:
        return False
    places = [Path(product.staging).parent] if product.staging else []
    places += [Path(product.destination) / NEAR] if product.destination else []
    with suppress(OSError):
        return any(place.samefile(room) for place in places)
    return True


def _nothing() -> None:
    """Forget nothing: only the final name is taken over, and nothing of it has been put together there."""


def _rooms(destination: Path, room: Path) -> list[Path]:
    near = destination / NEAR
    return [near] if near == room else [near, room]


@contextmanager
def _room(room: Path, staging_room: Path) -> Iterator[None]:
    """Pass over a destination's own room if another user has it: this state has its pre-spool elsewhere then."""
    with on_disk(str(room)):
        try:
            yield
        except PermissionError:
            if room == staging_room:
                raise


def _release(context: DiskContext, room: Path, name: str) -> None:
    with suppress(OSError, TransferError), on_disk(str(room)):
        context.owners.release(room, name)
