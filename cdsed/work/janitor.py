"""What lies in the pre-spools and belongs to nobody any more: found at the start and every minute, and removed.

Its owner is the state: what a product under way is put together in stays, and so does whatever bears no name of a
product that the state knows, or is owned by another state.
"""

import logging
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from cdsed.errors import TransferError
from cdsed.model.product import FINAL, State
from cdsed.store import breakers, disks, notices, products
from cdsed.transfer.publish import COPY_SUFFIX, NEAR, REPLACED
from cdsed.transfer.staging import discard
from cdsed.transfer.translate import on_disk
from cdsed.work import owning
from cdsed.work.bench import Bench

_log = logging.getLogger(__name__)

_GONE_SUFFIX = ".gone"  # of what is just being removed


def tidy(bench: Bench) -> None:
    """Remove what nobody owns from the pre-spools of every place that products were ever written to."""
    places = {*bench.settings.spools, *disks.places(bench.db)}
    rooms = {(room, place) for place in places for room in (bench.settings.pre_spool_for(place), place / NEAR)}
    rooms |= {(room, room) for room in _former_rooms(bench, {room for room, _ in rooms})}
    _in_each(bench, rooms, _tidy_owners)  # first: it is quick, and others may wait for it
    _in_each(bench, rooms, _tidy)


def _in_each(bench: Bench, rooms: Iterable[tuple[Path, Path]], tidy_one: Callable[[Bench, Path], None]) -> None:
    for root, place in sorted(rooms):
        if bench.stop.is_set() and tidy_one is not _tidy_owners:
            return
        if breakers.is_open(bench.db, bench.clock, breakers.disk_breaker(str(place))):
            continue
        try:
            with bench.watch.at(str(place)), on_disk(str(root)):
                tidy_one(bench, root)
        except TransferError as error:
            bench.outcome.disk_failed(error, str(place))


def _tidy(bench: Bench, root: Path) -> None:
    _tell_replaced(bench, root / REPLACED)
    for path in _directories(root):
        name = path.name.removesuffix(_GONE_SUFFIX).removesuffix(COPY_SUFFIX)
        if bench.owners.other(root, name) is not None:
            continue
        if path.suffix == _GONE_SUFFIX:
            discard(path)
        elif _is_nobodys(bench, path):
            gone = path.with_name(path.name + _GONE_SUFFIX)
            discard(gone)
            with suppress(FileNotFoundError):  # the product was just settled, and who settled it has removed it
                path.rename(gone)  # at once, for its product may be asked for again at any moment
                _log.info("%s: belongs to no product under way; removed", path)
            discard(gone)


def _former_rooms(bench: Bench, rooms: set[Path]) -> set[Path]:
    """Return pre-spools that the settings name no more, and of which something is told: until it is gone."""
    return {folder.parent for folder in notices.replaced_folders(bench.db)} - rooms


def _tell_replaced(bench: Bench, folder: Path) -> None:
    """Tell of what stood in the place of products: nobody but its owner knows whether it may go."""
    kept = len(_entries(folder))
    text = f"{folder} keeps what stood in the place of products ({kept} so far): remove what nobody needs"
    notices.note(bench.db, bench.clock, notices.replaced(folder), text if kept else None)


def _tidy_owners(bench: Bench, root: Path) -> None:
    """Give back places that no product needs, and tell of other states that download to the same one."""
    others = owning.tidy(bench, root)
    owners = sorted({str(owner) for owner in others.values()})
    count = f"{len(others)} product{'s'[: len(others) != 1]}"
    text = f"another cdsed downloads {count} to {root.parent} too, which this one waits for: {'; '.join(owners)}"
    notices.note(bench.db, bench.clock, notices.others(root), text if others else None)


def _directories(root: Path) -> list[Path]:
    return [Path(entry.path) for entry in _entries(root) if entry.is_dir(follow_symlinks=False)]


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _is_nobodys(bench: Bench, path: Path) -> bool:
    product = products.find(bench.db, path.name.removesuffix(COPY_SUFFIX))
    if product is None:
        return False
    if path.name.endswith(COPY_SUFFIX):
        return product.state is not State.VERIFYING
    # A directory has as many names as there are links and mounts to it, and listings may use any of them.
    if _is_at(path, product.whereabouts):
        return False
    return product.state in FINAL or not _is_at(path, product.staging)


def _is_at(path: Path, place: str | None) -> bool:
    try:
        return place is not None and path.samefile(place)
    except FileNotFoundError:
        return False
