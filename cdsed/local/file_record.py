"""The record of the files of a published product whose manifest does not show that it is whole.

There are three kinds: the manifest states wrong sizes or names not all files, the product differs from its manifest and
was published all the same (``transfer.manifest: warn``), or it is a directory without a manifest. The record is beside
the product, in ``.cdsed-files``: unlike ``.cdsed``, every user may read it. It has exactly the files that were
verified when the product was published, so half of a product never agrees with it.
"""

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from cdsed.dir_handle import DirHandle, mkdir_durable
from cdsed.local.contents import read_plain
from cdsed.model.eodata import safe_segments
from cdsed.model.manifest import ManifestEntry

FOLDER = ".cdsed-files"
_SCHEMA = 1
_BYTES_MAX = 64 * 2**20
_NEW = ".new"


def write(destination: Path, name: str, entries: Sequence[ManifestEntry], below: str = "") -> None:
    """Write the record of a product before it is published; a power cut leaves the former one or this one.

    Parameters
    ----------
    destination
        The directory in which the product appears.
    name
        The last part of its path.
    entries
        Its files, with MD5 digests.
    below
        The directory in `destination` in which the product appears, if not in itself.

    Raises
    ------
    OSError
        It cannot be written.
    """
    files = [{"path": entry.path, "size_bytes": entry.size_bytes, "md5": entry.digest} for entry in entries]
    text = json.dumps({"schema": _SCHEMA, "files": files}, indent=0)
    mkdir_durable(destination)
    with (
        DirHandle.at(destination) as top,
        top.descend(below, make=True) as place,
        place.child(FOLDER, make=True) as folder,
    ):
        folder.remove(f"{name}{_NEW}")
        with os.fdopen(folder.open(f"{name}{_NEW}", os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        folder.rename(f"{name}{_NEW}", folder, name)
        folder.sync()
        place.sync()


def remove(destination: Path, name: str, below: str = "") -> None:
    """Remove the record of a former product of this name, which the next one does not need.

    One that cannot be removed does no harm: it is that of another manifest.
    """
    with (
        suppress(OSError),
        DirHandle.at(destination) as top,
        top.descend(below) as place,
        place.child(FOLDER) as folder,
    ):
        folder.remove(name)
        folder.sync()


def read(product: Path) -> tuple[ManifestEntry, ...]:
    """Return the recorded files of the product at a path; empty without a record that can be read."""
    try:
        record = json.loads(read_plain(f"{product.parent}/{FOLDER}/{product.name}", _BYTES_MAX))
        if record["schema"] != _SCHEMA:
            return ()
        return tuple(_entry(each["path"], each["size_bytes"], each["md5"]) for each in record["files"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return ()


def _entry(path: str, size_bytes: int, md5: str) -> ManifestEntry:
    return ManifestEntry("/".join(safe_segments(path)), int(size_bytes), "md5", md5)
