"""Send heartbeats for all places that this state owns, and release those that no product needs.

`cdsed.work.destination` does it for one product.
"""

from contextlib import suppress
from pathlib import Path

from cdsed.dir_handle import DirHandle
from cdsed.model.layout import PARTIAL
from cdsed.model.product_state import SUCCEEDED, TERMINAL
from cdsed.store import breakers, disks, products
from cdsed.transfer.ownerfile import Owner
from cdsed.transfer.ownership import rooms_of
from cdsed.transfer.publish import NEAR
from cdsed.work.context import DiskContext


def rooms_of_all(context: DiskContext) -> list[tuple[Path, Path]]:
    """Return the staging rooms of every place that products are or were written to, each with its place."""
    rooms = {room: room.parent for room in context.owners.rooms()}
    for place in {*context.settings.spools, *disks.places(context.db)}:
        if not breakers.is_open(context.db, context.clock, breakers.disk_breaker(str(place))):
            rooms |= dict.fromkeys(rooms_of(place, context.settings.pre_spool_for(place)), place)
    return sorted(rooms.items())


def tidy(context: DiskContext, room: Path) -> dict[str, Owner]:
    """Release in a room what no product under way needs; return the products of other states and their owners."""
    mine, others = context.owners.owned(room)
    for name in mine:
        context.owners.release(room, name, unless=lambda name=name: _is_needed(context, room, name))  # type: ignore[misc]
        _prune(context, name)
    return others


def _prune(context: DiskContext, name: str) -> None:
    """Remove what a kill has left of the directories of a failed product, as far as they are empty."""
    product = products.find(context.db, name)
    if product is None or product.state in SUCCEEDED or product.state not in TERMINAL or not product.destination:
        return
    with suppress(OSError, ValueError), DirHandle.at(Path(product.destination)) as top:
        below = product.below
        for folder in (below, f"{PARTIAL}/{below}".rstrip("/")):
            top.prune(folder)


def _is_needed(context: DiskContext, room: Path, name: str) -> bool:
    """Tell whether a product under way is put together in a room; the room may have several paths."""
    product = products.find(context.db, name)
    if product is None or product.state in TERMINAL:
        return False
    places = [Path(product.staging).parent] if product.staging else []
    places += [Path(product.destination) / NEAR] if product.destination else []
    with suppress(OSError):
        return any(place.samefile(room) for place in places)
    return True
