"""How far each object of a staged product is, recorded beside its staging directory.

A staged file has its full size from the beginning, so its size does not show how much has arrived. The record
`NAME.progress` in the pre-spool does. It counts only bytes that are on the disk, so it is true after a kill and after
a power cut. It belongs to the staging directory: remove them together.
"""

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from cdsed.model.objects import ListedObject
from cdsed.transfer.s3_errors import on_disk
from cdsed.transfer.staging import pre_spool, staged_sizes

_SUFFIX, _NEW_SUFFIX = ".progress", ".progress.new"
_RECORD_BYTES_MAX = 2**26

_Entry = tuple[int, str, int]  # size in bytes, ETag, bytes that are safe


class ProgressRecord:
    """The safe bytes of each object of one product, kept in memory until `save`.

    Methods raise DiskError when the pre-spool cannot be read or written.

    Parameters
    ----------
    staging
        The directory in which the product is put together.
    listed
        Its objects. The entry of an object is dropped if the object has changed since, or if its file does not have
        its full size.

    Attributes
    ----------
    safe_bytes
        By path; an object without safe bytes is absent.
    staged
        The sizes of all staged files in bytes, by path.
    """

    def __init__(self, staging: Path, listed: Iterable[ListedObject]) -> None:
        self._staging = staging
        self._listed = {item.path: item for item in listed}
        self.staged = staged_sizes(staging)
        self.safe_bytes = {
            path: safe_bytes
            for path, (size_bytes, etag, safe_bytes) in self._load().items()
            if (item := self._listed.get(path))
            and (size_bytes, etag) == (item.size_bytes, item.etag)
            and 0 < safe_bytes <= item.size_bytes == self.staged.get(path)
        }

    def save(self) -> None:
        """Write the record; it is on the disk when this returns."""
        entries = {
            path: (self._listed[path].size_bytes, self._listed[path].etag, safe_bytes)
            for path, safe_bytes in self.safe_bytes.items()
        }
        name, new_name = f"{self._staging.name}{_SUFFIX}", f"{self._staging.name}{_NEW_SUFFIX}"
        with on_disk(str(self._staging)), pre_spool(self._staging, make=True) as folder:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
            with os.fdopen(folder.open(new_name, flags), "w", encoding="utf-8") as file:
                json.dump(entries, file)
                file.flush()
                os.fsync(file.fileno())
            folder.rename(new_name, folder, name)
            folder.sync()

    def _load(self) -> dict[str, _Entry]:
        """Read the record; an unreadable one counts as empty, and everything is fetched again."""
        with on_disk(str(self._staging)), suppress(FileNotFoundError), pre_spool(self._staging) as folder:
            file = folder.open(f"{self._staging.name}{_SUFFIX}", os.O_RDONLY)
            with os.fdopen(file, "rb") as opened:
                return _parsed(opened.read(_RECORD_BYTES_MAX))
        return {}


def _parsed(text: bytes) -> dict[str, _Entry]:
    try:
        entries = {path: tuple(entry) for path, entry in json.loads(text).items()}
    except (ValueError, TypeError, AttributeError):
        return {}
    return {
        path: entry
        for path, entry in entries.items()
        if len(entry) == 3 and [type(value) for value in entry] == [int, str, int]
    }
