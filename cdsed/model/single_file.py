"""Products that are one file: which they are, and whether such a file can be what its name says.

A file is looked at: its first bytes, and, where its format tells, its end. So a web page, an empty file and most
files that were cut off do not count as a product.
"""

import gzip
import re
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Sequence
from typing import IO, NamedTuple

from cdsed.model.families import DIRECTORY_EXTENSIONS, EXTENSIONS
from cdsed.model.families.other import EXTENSIONS_OF_ARCHIVES
from cdsed.model.manifest import product_of
from cdsed.model.objects import ListedObject, StoredObject
from cdsed.model.safename import stem_of

#: Extensions of stored objects whose names in the catalogue may have none.
FILE_EXTENSIONS = (*sorted({*EXTENSIONS} - {*DIRECTORY_EXTENSIONS}), ".tif", ".DEM", ".EOF")
#: What zipfile raises for a file that is not an archive, is of an unknown kind, or has names that are not UTF-8.
UNREADABLE_ZIP = (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError, struct.error, zlib.error, RuntimeError)

_MORE = re.compile(r"(\.[A-Za-z0-9]+)*")
_HEAD_BYTES = 64 * 1024
_TAIL_BYTES = 4096
_UNPACKED_MAX = 256 * 2**20  # of a gzip; the real ones, parameters of Sentinel-2, have some kilobytes
_BLOCK_BYTES = 2**20
_BOM = b"\xef\xbb\xbf"
_HDF5 = b"\x89HDF\r\n\x1a\n"
_NETCDF = (b"CDF\x01", b"CDF\x02", b"CDF\x05", _HDF5)
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_PAGE = re.compile(rb"<(!doctype\s+)?html\b", re.IGNORECASE)
# Nothing follows the star, so it never backtracks.
_PROLOGUE = re.compile(rb"(\s+|<\?.*?\?>|<!--.*?-->|<![A-Za-z][^>\[]*(\[[^\]]*\])?\s*>)*", re.DOTALL)
_ROOT = re.compile(rb"<([A-Za-z_][A-Za-z0-9_.:-]*)")


class _Superblock(NamedTuple):
    """Where an HDF5 superblock states the size of its addresses, and the address at which the file ends."""

    address_bytes_at: int
    end_at: int


_SUPERBLOCKS = {0: _Superblock(13, 40), 1: _Superblock(13, 44), 2: _Superblock(9, 28), 3: _Superblock(9, 28)}


def single_file(objects: Sequence[ListedObject | StoredObject], safename: str) -> str | None:
    """Return the name of the file of a product that is one object; None for a directory.

    The object is stored under the product's own key, or in a folder of that name. It has the product's name, perhaps
    with more extensions. Products that are directories count only as an archive: anything else is a part of one.
    """
    if len(objects) != 1:
        return None
    name, stem = objects[0].path, stem_of(safename)
    if not name.startswith(stem) or not _MORE.fullmatch(name.removeprefix(stem)):
        return None
    mission = product_of(safename).family.mission
    whole = mission.form is None or not mission.is_directory
    return name if whole or name.endswith(EXTENSIONS_OF_ARCHIVES) else None


def form_fault(name: str, file: IO[bytes], size_bytes: int) -> str | None:
    """Return why a file cannot be the product of this name, as one clause; None if it can be.

    Parameters
    ----------
    file
        Open for reading, and seekable.

    Raises
    ------
    OSError
        It cannot be read.
    """
    if size_bytes == 0:
        return "it is empty"
    if name.endswith(DIRECTORY_EXTENSIONS):
        return "it is a file, and products of this name are directories"
    head = file.read(_HEAD_BYTES)
    extension = name.rpartition(".")[2].lower()
    if _PAGE.match(head.removeprefix(_BOM).lstrip()) and extension not in ("html", "htm"):
        return "it is a web page"
    form = _FORMS.get(extension)
    return form(file, head, size_bytes) if form else None


def _netcdf(_file: IO[bytes], head: bytes, size_bytes: int) -> str | None:
    if not head.startswith(_NETCDF):
        return "it does not begin like netCDF or HDF5"
    end = _hdf5_end(head) if head.startswith(_HDF5) else None
    return None if end is None or end <= size_bytes else f"it has {size_bytes} of at least {end} bytes"


def _hdf5_end(head: bytes) -> int | None:
    """Return the least size of an HDF5 file, by its superblock; None if that is of an unknown form."""
    form = _SUPERBLOCKS.get(head[8] if len(head) > 8 else -1)
    if form is None or head[form.address_bytes_at : form.address_bytes_at + 1] != b"\x08":
        return None
    at = form.end_at
    if len(head) < at + 8:
        return at + 8
    end = int.from_bytes(head[at : at + 8], "little")
    return None if end == 2**64 - 1 else end


def _tiff(_file: IO[bytes], head: bytes, _size_bytes: int) -> str | None:
    return None if head.startswith(_TIFF) else "it does not begin like TIFF"


def _zip(file: IO[bytes], _head: bytes, _size_bytes: int) -> str | None:
    file.seek(0)
    try:
        with zipfile.ZipFile(file) as archive:
            members = [item for item in archive.infolist() if not item.is_dir()]
            for item in members:
                archive.open(item).close()  # reads the member's own header
            return None if members else "it is a zip without a file"
    except UNREADABLE_ZIP as error:
        return f"it is not a complete zip: {error}"


def _tar(file: IO[bytes], _head: bytes, size_bytes: int) -> str | None:
    file.seek(0)
    try:
        with tarfile.open(fileobj=file, mode="r:") as archive:
            if not any(item.isfile() for item in archive):
                return "it is a tar without a file"
        file.seek(max(0, size_bytes - tarfile.BLOCKSIZE))
        return "it is a tar without its end" if file.read().strip(b"\0") else None
    except (tarfile.TarError, ValueError, EOFError) as error:
        return f"it is not a complete tar: {error}"


def _gzip(file: IO[bytes], _head: bytes, _size_bytes: int) -> str | None:
    file.seek(0)
    unpacked_bytes = 0
    try:
        with gzip.GzipFile(fileobj=file) as unpacked:
            while unpacked_bytes < _UNPACKED_MAX and (block := unpacked.read(_BLOCK_BYTES)):
                unpacked_bytes += len(block)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        return f"it is not a complete gzip: {error}"
    return None if unpacked_bytes else "it is a gzip without content"


def _xml(file: IO[bytes], head: bytes, size_bytes: int) -> str | None:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):  # UTF-16; products are UTF-8
        return None
    text = head.removeprefix(_BOM)
    prologue = _PROLOGUE.match(text)
    root = _ROOT.match(text, prologue.end() if prologue else 0)
    if root is None:
        return "it does not begin like XML"
    if root[1].lower() == b"html":
        return "it is a web page"
    file.seek(max(0, size_bytes - _TAIL_BYTES))
    tail = file.read().rstrip()
    while tail.endswith(b"-->"):
        tail = tail[: max(0, tail.rfind(b"<!--"))].rstrip()
    ended = re.search(rb"</" + re.escape(root[1]) + rb"\s*>\Z", tail)
    return None if ended or re.fullmatch(rb"<[^<>]*/>\s*", text[root.start() :]) else "it is XML without its end"


_Form = Callable[[IO[bytes], bytes, int], str | None]
_FORMS: dict[str, _Form] = {
    **dict.fromkeys(("nc", "nc4", "h5", "hdf5", "he5"), _netcdf),
    **dict.fromkeys(("tif", "tiff"), _tiff),
    "zip": _zip,
    "tar": _tar,
    **dict.fromkeys(("tgz", "gz"), _gzip),
    **dict.fromkeys(("xml", "eof", "kml", "gml"), _xml),
}
