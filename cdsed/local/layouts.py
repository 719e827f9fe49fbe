"""The layouts by which products were published below a directory, so that they are found without the state.

Each is a small file in ``.cdsed-files/.layouts``, named by a digest of its content. It is written before the first
product appears by it, and stays when the settings change.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from cdsed.dir_handle import DirHandle, mkdir_durable
from cdsed.local.contents import read_plain
from cdsed.local.file_record import FOLDER
from cdsed.model.layout import ProductLayout
from cdsed.model.safename import Safename

_LAYOUTS = ".layouts"  # not the name of a product, for the records of products are beside it
_NEW = ".new"
_BYTES_MAX = 16 * 1024
_READ_MAX = 200


def note(place: Path, layout: ProductLayout) -> None:
    """Note that products appear below a directory by a layout.

    Raises
    ------
    OSError
        It cannot be written.
    """
    text = str(layout)
    name = hashlib.sha256(text.encode()).hexdigest()[:16]
    if (place / FOLDER / _LAYOUTS / name).is_file():
        return
    mkdir_durable(place)
    with (
        DirHandle.at(place) as top,
        top.child(FOLDER, make=True) as records,
        records.child(_LAYOUTS, make=True) as folder,
    ):
        new = f"{name}{_NEW}"
        folder.remove(new)
        with os.fdopen(folder.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        folder.rename(new, folder, name)
        for written in (folder, records, top):
            written.sync()


def noted(place: Path) -> tuple[ProductLayout, ...]:
    """Return the layouts by which products may be below a directory; what cannot be read is skipped."""
    folder = f"{place}/{FOLDER}/{_LAYOUTS}"
    try:
        names = sorted(os.listdir(folder))[:_READ_MAX]  # noqa: PTH208 - only the names are needed
    except OSError:
        return ()
    return tuple(layout for name in names if _NEW not in name for layout in _read(Path(folder, name)))


def places_below(safename: Safename, layouts: tuple[ProductLayout, ...]) -> Iterator[str]:
    """Yield, relative to a directory, where layouts put a product; a name that lacks a field is nowhere."""
    for layout in layouts:
        with suppress(ValueError):
            yield layout.below(safename)


def _read(path: Path) -> Iterator[ProductLayout]:
    with suppress(OSError, ValueError):
        yield ProductLayout.parse(read_plain(path, _BYTES_MAX).decode())
