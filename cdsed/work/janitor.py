"""Find and remove orphans in the pre-spools, at the start and every minute.

The staging of a product under way stays. So does a directory whose name is not that of a known product, and a
directory that another state owns.
"""

import logging
import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from cdsed.errors import TransferError
from cdsed.model.product_state import TERMINAL, State
from cdsed.store import breakers, disks, notices, products
from cdsed.transfer.publish import COPY_SUFFIX, NEAR, REPLACED
from cdsed.transfer.s3_errors import on_disk
from cdsed.transfer.staging import GONE_SUFFIX, discard
from cdsed.work import owning
from cdsed.work.context import DiskContext

_log = logging.getLogger(__name__)


def tidy(context: DiskContext, stop: threading.Event) -> None:
    """Remove orphans from the pre-spools of every place that products were ever written to, until `stop` is set."""
    places = {*context.settings.spools, *disks.places(context.db)}
    rooms = {(room, place) for place in places for room in (context.settings.pre_spool_for(place), place / NEAR)}
    rooms |= {(room, room) for room in _former_rooms(context, {room for room, _ in rooms})}
    _in_each(context, stop, rooms, _tidy_owners)  # first: it is quick, and another cdsed may wait for it
    _in_each(context, stop, rooms, _tidy)


def _in_each(
    context: DiskContext,
    stop: threading.Event,
    rooms: Iterable[tuple[Path, Path]],
    tidy_one: Callable[[DiskContext, Path], None],
) -> None:
    for root, place in sorted(rooms):
        if stop.is_set() and tidy_one is not _tidy_owners:
            return
        if breakers.is_open(context.db, context.clock, breakers.disk_breaker(str(place))):
            continue
        try:
            with context.watch.at(str(place)), on_disk(str(root)):
                tidy_one(context, root)
        except TransferError as error:
            context.outcome.disk_failed(error, str(place))


def _tidy(context: DiskContext, root: Path) -> None:
    _tell_replaced(context, root / REPLACED)
    for path in _directories(root):
        try:
            _tidy_directory(context, root, path)
        except OSError as error:  # a disk that fails as a whole cannot be listed either
            _log.info("%s: left as it is: %s", path, error.strerror)


def _tidy_directory(context: DiskContext, root: Path, path: Path) -> None:
    name = path.name.removesuffix(GONE_SUFFIX).removesuffix(COPY_SUFFIX)
    if context.owners.other(root, name) is not None:
        return
    if path.suffix == GONE_SUFFIX:
        discard(path)
    elif _has_no_owner(context, path) and discard(path):  # else the product was just finished, which removed it
        _log.info("%s: no product under way needs it; removed", path)


def _former_rooms(context: DiskContext, rooms: set[Path]) -> set[Path]:
    """Return pre-spools that the settings no longer name, but that a notice still names."""
    return {folder.parent for folder in notices.replaced_folders(context.db)} - rooms


def _tell_replaced(context: DiskContext, folder: Path) -> None:
    """Write a notice of what was moved aside to publish products: only its owner knows whether it can be removed."""
    kept = len(_entries(folder))
    text = f"{folder} keeps what stood in the place of products ({kept} so far): remove what you do not need"
    notices.note(context.db, context.clock, notices.replaced(folder), text if kept else None)


def _tidy_owners(context: DiskContext, root: Path) -> None:
    """Release places that no product needs, and write a notice of other states that download to the same place."""
    others = owning.tidy(context, root)
    owners = sorted({str(owner) for owner in others.values()})
    count = f"{len(others)} product{'s'[: len(others) != 1]}"
    text = f"another cdsed downloads {count} to {root.parent} too, and this one waits for it: {'; '.join(owners)}"
    notices.note(context.db, context.clock, notices.others(root), text if others else None)


def _directories(root: Path) -> list[Path]:
    return [Path(entry.path) for entry in _entries(root) if entry.is_dir(follow_symlinks=False)]


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _has_no_owner(context: DiskContext, path: Path) -> bool:
    product = products.find(context.db, path.name.removesuffix(COPY_SUFFIX))
    if product is None:
        return False
    if path.name.endswith(COPY_SUFFIX):
        return product.state is not State.VERIFYING
    # A directory has as many names as there are links and mounts to it, and listings may use any of them.
    if _is_at(path, product.path):
        return False
    return product.state in TERMINAL or not _is_at(path, product.staging)


def _is_at(path: Path, place: str | None) -> bool:
    try:
        return place is not None and path.samefile(place)
    except FileNotFoundError:
        return False
