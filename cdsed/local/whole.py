"""Check that a product on disk is complete, by the sizes of its files; its digests were checked when it was fetched."""

import errno
import os
import stat
import struct
import zipfile
import zlib
from pathlib import Path
from typing import IO

from cdsed.model.families import DIRECTORY_EXTENSIONS, Family
from cdsed.model.manifest import (
    MANIFEST_BYTES_MAX,
    ManifestEntry,
    ManifestError,
    manifest_name,
    parse_manifest,
)
from cdsed.model.safename import normalise, parse

#: What zipfile raises for a file that is not an archive, is of an unknown kind, or has names that are not UTF-8.
UNREADABLE_ZIP = (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError, struct.error, zlib.error, RuntimeError)


def open_plain(path: Path) -> IO[bytes]:
    """Open a file for reading; OSError if it is, for example, a named pipe, which may never end.

    Links are followed: users may have made them in spools and archives, and the file is only read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "is not a plain file", str(path))
    return os.fdopen(descriptor, "rb")


def is_whole(path: Path) -> bool:
    """Tell whether a path has a complete product.

    Parameters
    ----------
    path
        A directory must have its manifest, and every file that the manifest names with its size; if the family has
        no manifest, the directory must not be empty. A zip must have a readable directory with entries. Another file
        must not be empty, nor have the extension of products that are directories.

    Returns
    -------
    bool
        False also if the path does not exist or cannot be read.
    """
    try:
        if path.is_dir():
            return _is_whole_directory(path)
        if path.suffix == ".zip":
            with open_plain(path) as file, zipfile.ZipFile(file) as archive:
                return bool(archive.infolist())
        return path.suffix not in DIRECTORY_EXTENSIONS and path.is_file() and path.stat().st_size > 0
    except (OSError, ManifestError, *UNREADABLE_ZIP):
        return False


def _is_whole_directory(directory: Path) -> bool:
    manifest = manifest_name(_family(directory.name))
    if manifest is None:
        with os.scandir(directory) as entries:
            return any(True for _ in entries)
    with open_plain(directory / manifest) as file:
        entries_of = parse_manifest(file.read(MANIFEST_BYTES_MAX + 1)).entries
    return all(_is_there(directory, entry) for entry in entries_of)


def _family(name: str) -> Family:
    """Return the family of a directory's name; scripts of cdsodatacli have some named X.SAFE.zip, and X."""
    try:
        return parse(normalise(name)).family
    except ValueError:
        return parse(name).family


def _is_there(directory: Path, entry: ManifestEntry) -> bool:
    file = directory / entry.path
    return file.is_file() and entry.size_bytes in {None, file.stat().st_size}
