"""Open a listing safely, compute its fingerprint, and split it into physical lines in bounded memory."""

import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterator
from itertools import chain, count
from pathlib import Path
from typing import BinaryIO, NamedTuple

from cdsed.errors import InboxError

LINE_BYTES_MAX = 64 * 1024

_BEGINNING_BYTES = 120  # shown of a line that is not a text
_CHUNK_BYTES = 256 * 1024
_CHUNKS_BETWEEN_HEARTBEATS = 256
UTF8_BOM = b"\xef\xbb\xbf"
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")
_PARQUET = re.compile(rb"(?:\s*#[^\r\n]*[\r\n]+)*(?=PAR1)")  # `cdsed add` puts its options in front


class PhysicalLine(NamedTuple):
    """One line of a file; if it is not a text, `problem` says why, and `text` is only its beginning."""

    number: int
    text: str
    problem: str | None = None


def _advised(path: Path, error: OSError) -> str:
    """Return the error text of the system; for a missing permission, also what the owner of the file can do."""
    if not isinstance(error, PermissionError):
        return str(error.strerror)
    status = path.lstat()
    owner = f"it has mode {stat.S_IMODE(status.st_mode):04o}, and belongs to uid {status.st_uid}"
    return f"{error.strerror}: {owner}; let its group read it (chmod g+r), and put it in with `cdsed add`"


def open_listing(path: Path) -> BinaryIO:
    """Open a file that may be a listing, past its byte order mark.

    Raises
    ------
    InboxError
        It is a symbolic link, a directory, a FIFO, a socket or a device, or cannot be opened.
    """
    try:
        # NONBLOCK: opening a FIFO would wait for a writer
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        why = "it is a symbolic link" if path.is_symlink() else _advised(path, error)
        raise InboxError(f"{path.name} cannot be read as a listing: {why}") from error
    file = os.fdopen(descriptor, "rb") if stat.S_ISREG(os.fstat(descriptor).st_mode) else None
    if file is None:
        os.close(descriptor)
        raise InboxError(f"{path.name} cannot be read as a listing: it is not a regular file")
    if file.read(len(UTF8_BOM)) != UTF8_BOM:
        file.seek(0)
    return file


def never() -> None:
    """Do nothing: the heartbeat of a caller that does not need one."""


def parquet_at(head: bytes) -> int | None:
    """Return where a parquet file begins in the first bytes of a listing; None if it is not one."""
    found = _PARQUET.match(head)
    return found.end() if found else None


def fingerprint(path: Path, heartbeat: Callable[[], None] = never) -> str:
    """Return the SHA-256 of a listing's content, in hexadecimal; it identifies the listing.

    Parameters
    ----------
    heartbeat
        Called every 64 MiB; may raise.

    Raises
    ------
    InboxError
        The file cannot be read as a listing, or is neither text nor parquet: it is UTF-16 or holds NUL bytes.
    """
    with open_listing(path) as file:
        file.seek(0)
        digest = hashlib.sha256()
        chunk = file.read(_CHUNK_BYTES)
        if chunk.startswith(_UTF16_BOMS):
            raise InboxError(f"{path.name} is UTF-16; save it as UTF-8 and drop it again")
        is_text = parquet_at(chunk) is None
        for number in count(1):
            if not chunk:
                break
            if number % _CHUNKS_BETWEEN_HEARTBEATS == 0:
                heartbeat()
            if is_text and b"\0" in chunk:
                raise InboxError(f"{path.name} is not text: it holds NUL bytes")
            digest.update(chunk)
            chunk = file.read(_CHUNK_BYTES)
        return digest.hexdigest()


def physical_lines(file: BinaryIO, bytes_max: int = LINE_BYTES_MAX) -> Iterator[PhysicalLine]:
    r"""Split a file into lines at ``\n``, ``\r\n`` and ``\r``, and nowhere else.

    A line that is not UTF-8, or is longer than `bytes_max`, has its `problem` set; a long line is never held in
    memory. `str.splitlines` would also split at U+2028, U+0085 and others that editors do not show.
    """
    for number, raw in enumerate(chain.from_iterable(_raw_lines(file, bytes_max)), start=1):
        if len(raw) > bytes_max:
            yield PhysicalLine(number, _beginning(raw), f"the line is longer than {bytes_max // 1024} KiB")
            continue
        try:
            yield PhysicalLine(number, raw.decode())
        except UnicodeDecodeError as error:
            yield PhysicalLine(number, _beginning(raw), f"byte {error.start + 1} of the line is not UTF-8")


def _beginning(raw: bytes) -> str:
    return raw[:_BEGINNING_BYTES].decode(errors="replace")


def _raw_lines(file: BinaryIO, bytes_max: int) -> Iterator[list[bytes]]:
    """Yield some lines at a time, without their ends; a line that is too long is cut just above the limit."""
    rest = b""
    while chunk := file.read(_CHUNK_BYTES):
        text = rest + chunk
        half = b"\r" if text.endswith(b"\r") else b""  # perhaps of a \r\n
        text = text.removesuffix(half).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, tail = text.split(b"\n")
        yield lines
        rest = tail[: bytes_max + 1] + half
    if rest:
        yield [rest.removesuffix(b"\r")]
