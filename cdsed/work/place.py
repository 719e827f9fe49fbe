"""Where a product is put together and will appear; and whether the disk there is the one it was."""

import errno
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cdsed.errors import DiskError
from cdsed.local import marker
from cdsed.local.making import is_read_only, why_not_made
from cdsed.local.space import free_bytes
from cdsed.model.disk import Ground
from cdsed.model.product import Product
from cdsed.model.transfer import Places
from cdsed.store import breakers, disks, pieces, products
from cdsed.transfer.translate import has_no_inodes, on_disk
from cdsed.work.blame import RULES
from cdsed.work.context import DiskContext
from cdsed.work.course import Course

_log = logging.getLogger(__name__)

#: What makes a product wait for its disk, by the table of failures; any other code is said as a fault of the disk.
_PAUSING = frozenset(code for rule in RULES if rule.course is Course.PAUSE_DISK for code in rule.codes)


@dataclass(frozen=True, slots=True)
class _Room:
    """A destination that answers, and what is free where its products are put together."""

    destination: Path
    staging: Path
    free_bytes: int


def places_for(context: DiskContext, product: Product, size_bytes: int) -> Places:
    """Choose where a product is put together and where it will appear, and reserve `size_bytes` there.

    It goes on where it was begun; otherwise the first destination with room for it is taken. One that does not
    answer, or is not mounted, is left alone, and the next one is tried.

    Raises
    ------
    DiskError
        No destination can take it.
    """
    destinations = [Path(product.outputdir)] if product.outputdir else list(context.settings.spools)
    begun = _begun(context, product, destinations)
    # Disks are asked before the transaction: one that hangs must not hold up everybody else.
    rooms, sick = ([], []) if begun else _look(context, product, destinations)
    if sick and not rooms:
        raise _of_all(sick)
    with context.db.write():  # two products planned at once must not count on the same room
        places = begun or _first_with_room(context, product, size_bytes, rooms, sick)
        products.choose_place(context.db, product, places, size_bytes)
        return places


def check_disk(context: DiskContext, destination: Path) -> None:
    """Make sure that a destination, and its staging, are the directories they were; remember new ones.

    A directory is known again by its marker, or, when somebody has cleared it, by the kernel's word that it is
    the same one. It costs a read of a few bytes, so it may be asked before each handful of pieces.

    Raises
    ------
    DiskError
        A disk is not mounted, another one stands in its place, or it does not answer.
    """
    with context.watch.at(str(destination)):
        for place in {destination, context.settings.pre_spool or destination}:
            with on_disk(str(place)):
                _check(context, place)


def _begun(context: DiskContext, product: Product, destinations: Sequence[Path]) -> Places | None:
    """Return where a product was begun, if that is still there."""
    if not product.destination or not product.staging or Path(product.destination) not in destinations:
        return None
    try:
        check_disk(context, Path(product.destination))
        with context.watch.at(product.destination), on_disk(product.staging):
            return Places(product.staging, product.destination) if Path(product.staging).exists() else None
    except DiskError as error:
        context.outcome.disk_failed(error, product.destination)
        if pieces.have_all_arrived(context.db, product.id):
            raise  # a worker may have died between its rename and its commit: on another disk, it would be there twice
        return None


def _look(context: DiskContext, product: Product, destinations: Sequence[Path]) -> tuple[list[_Room], list[DiskError]]:
    """Ask each destination that is not paused; return those that answer, and what is wrong with the others."""
    rooms: list[_Room] = []
    sick: list[DiskError] = []
    for destination in destinations:
        paused = breakers.why_open(context.db, context.clock, breakers.disk_breaker(str(destination)))
        if paused is not None:
            sick.append(DiskError(paused.reason, code=paused.code))
            continue
        try:
            check_disk(context, destination)
            pre_spool = context.settings.pre_spool_for(destination)
            with context.watch.at(str(destination)), on_disk(str(pre_spool)):
                if has_no_inodes(str(pre_spool)):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                rooms.append(_Room(destination, pre_spool / product.safename, free_bytes(pre_spool)))
        except DiskError as error:
            context.outcome.disk_failed(error, str(destination))
            sick.append(error)
    return rooms, sick


def _of_all(sick: Sequence[DiskError]) -> DiskError:
    """Return what to say when no destination can be used at all, which is not for lack of room."""
    code = next((error.code for error in sick if error.code in _PAUSING), "EIO")
    told = "; ".join(dict.fromkeys(str(error) for error in sick))
    return DiskError(told if len(sick) == 1 else f"no spool can be used: {told}", code=code)


def _first_with_room(
    context: DiskContext, product: Product, size_bytes: int, rooms: Sequence[_Room], sick: Sequence[DiskError]
) -> Places:
    kept = context.settings.disk.free_bytes_min
    tried = [str(error) for error in sick]
    for room in rooms:
        shared = context.settings.pre_spool is not None
        reserved = products.reserved_bytes(context.db, str(room.destination), product.id, everywhere=shared)
        free = room.free_bytes - reserved
        if free >= size_bytes + kept:
            return Places(str(room.staging), str(room.destination))
        tried.append(f"{room.destination} has {_mb(max(0, free))} left")
    raise DiskError(
        f"no room for {product.safename}: it needs {_mb(size_bytes)}, and {_mb(kept)} stay free "
        f"(disk.free_bytes_min); {'; '.join(tried)}",
        code="NoRoom",
    )


def _mb(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.0f} MB" if size_bytes >= 10**7 or not size_bytes else f"{size_bytes / 1e6:.3g} MB"


def _check(context: DiskContext, place: Path) -> None:
    known, now = disks.get(context.db, place), marker.look(place)
    if known is None:
        if told := why_not_made(place):
            raise DiskError(told, code="EROFS" if is_read_only(place) else "EACCES")
        now = marker.mark(place)
    elif now is None or known.is_lost(now):
        raise DiskError(_gone(place, known, now), code="NotMounted")
    elif not now.marker:
        _log.info("%s was cleared; its marker is put back", place)
        now = marker.mark(place, known.marker)
    if now != known:
        disks.remember(context.db, context.clock, place, now)


def _gone(place: Path, known: Ground, now: Ground | None) -> str:
    path = place / marker.MARKER
    what = "is not there" if now is None else "is not the directory it was" if now.marker else "lacks its marker"
    return (
        f"{place} {what}: mount its disk, and it goes on by itself; to use another disk from now on: "
        f"mkdir -p {path.parent} && echo {known.marker} > {path}"
    )
