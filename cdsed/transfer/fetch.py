"""Fetching one piece: a ranged GET whose body goes through one reused buffer to its offset in the file."""

import hashlib
import http.client
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cdsed.dir_handle import Stamp
from cdsed.errors import DiskError, ProductError, ServiceError, Stopped, TransferError
from cdsed.frozen import frozen
from cdsed.model.objects import Digests, Piece
from cdsed.transfer import write_behind
from cdsed.transfer.bandwidth import Pace
from cdsed.transfer.connection import Connection, read_into, read_small
from cdsed.transfer.genuine import BEGINNING_BYTES, begins_foreign, is_page
from cdsed.transfer.s3_errors import on_disk, s3_error
from cdsed.transfer.staging import HeldStaging, opened

BUFFER_BYTES = 256 * 2**10  # larger ones were not faster, and each session has one
_WRITE_BEHIND_BYTES = 8 * 2**20


@frozen
class FetchContext:
    """What one session fetches with.

    Attributes
    ----------
    buffer
        Reused for every body.
    pace
        The limits of bandwidth.
    checkpoint_every_s
        How often the bytes that have arrived are synced to the disk and noted.
    stop
        Set when the process must leave; the body is dropped at the next buffer.
    held
        The staging directory, if it stays open over several pieces. It syncs small objects later, together. None: it
        is opened for each, and each is synced at once.
    """

    connection: Connection
    account: str
    bucket: str
    buffer: memoryview
    pace: Pace
    checkpoint_every_s: float
    stop: threading.Event
    held: HeldStaging | None = None


class ProgressCallback(Protocol):
    """Receives how many bytes of a piece there are."""

    def written(self, done_bytes: int) -> None:
        """So many bytes are written: a kill does not lose them if they are noted. Called after every buffer."""

    def safe(self, done_bytes: int) -> None:
        """So many bytes are on the disk, and survive a power cut. May raise to end the work."""


def fetch_piece(
    context: FetchContext, piece: Piece, staging: Path, algorithms: frozenset[str], progress: ProgressCallback
) -> Digests:
    """Fetch the missing bytes of a piece and sync them to the disk; leave those of a small object to `context.held`.

    Parameters
    ----------
    staging
        The directory in which the product is put together.
    algorithms
        Names for `hashlib`: digests to compute while the bytes arrive, when the piece is a whole object.
    progress
        Receives how many bytes of the piece are written, and how many are safe.

    Raises
    ------
    ProductError
        The object is gone or has changed since it was listed.
    AccountError, ServiceError, DiskError, Stopped
        See these classes.
    """
    response = request_piece(context, piece)
    hashes = {name: hashlib.new(name, usedforsecurity=False) for name in algorithms} if piece.whole else {}
    try:
        with _open(context.held, staging, piece) as file:
            _receive(context, piece, response, file, hashes, progress)
            stamp = str(Stamp.of(os.fstat(file.descriptor)))
            if context.held is not None and _is_synced_later(piece):
                if piece.size_bytes >= BUFFER_BYTES:  # the call costs more than it saves for less
                    write_behind.begin_writing(file.descriptor, 0, piece.size_bytes)
                context.held.sync_later(file.descriptor)
            else:
                file.sync()
    except TransferError:
        context.connection.close()  # the rest of the body must not be taken for the next response
        raise
    return Digests(**{name: digest.hexdigest() for name, digest in hashes.items()}, stamp=stamp if hashes else None)


def _is_synced_later(piece: Piece) -> bool:
    """Tell whether a piece is left to `FetchContext.held` to be synced: a small object."""
    return piece.whole and piece.size_bytes <= _WRITE_BEHIND_BYTES


def request_piece(context: FetchContext, piece: Piece) -> http.client.HTTPResponse:
    """Ask for the missing bytes of a piece; return a response that has exactly these, with its body unread.

    Raises
    ------
    ProductError, AccountError, ServiceError, Stopped
        The response is something else.
    """
    first = piece.first_byte + piece.done_bytes
    last = piece.first_byte + piece.size_bytes - 1
    headers = {"If-Match": f'"{piece.etag}"'}
    if not piece.whole:
        headers["Range"] = f"bytes={first}-{last}"
    response = context.connection.request("GET", context.bucket, piece.key, headers)
    _check(context, piece, response, first, last)
    return response


def _check(context: FetchContext, piece: Piece, response: http.client.HTTPResponse, first: int, last: int) -> None:
    """Refuse a response that is not exactly the requested bytes of the object that was listed."""
    content_range = response.headers.get("Content-Range")
    # `rclone serve s3` answers 200 to a range, with its Content-Range. Without that, 200 means the whole object.
    ranged = response.status == 206 or (response.status == 200 and content_range is not None)
    status_fits = response.status == 200 if piece.whole else ranged
    if response.status not in (200, 206):
        body = read_small(context.connection, response, 2**16)
        raise s3_error(context.account, piece.key, response.status, dict(response.headers), body)
    etag = response.headers.get("ETag", "").strip('"')
    if etag and etag != piece.etag and status_fits and not _is_page(context, response):
        _drop(context, response)
        raise ProductError(f"{piece.key} has changed since it was listed (ETag)", code="Changed")
    length = response.headers.get("Content-Length")
    range_fits = piece.whole or content_range == f"bytes {first}-{last}/{piece.object_bytes}"
    # An error body under status 200 has neither the object's ETag nor its length.
    fits = status_fits and etag == piece.etag and length == str(last - first + 1) and range_fits
    if not fits:
        _drop(context, response)
        raise ServiceError(
            f"S3 answered {response.status} with {length} bytes, ETag {etag or 'none'}, "
            f"range {content_range or 'none'} for bytes {first}-{last} of {piece.key}",
            code="UnexpectedObject",
        )


def _is_page(context: FetchContext, response: http.client.HTTPResponse) -> bool:
    """Tell whether a response with another ETag is a page and not an object: web servers give ETags, too."""
    return is_page(response.headers["Content-Type"]) or begins_foreign(
        read_small(context.connection, response, BEGINNING_BYTES)
    )


def _drop(context: FetchContext, response: http.client.HTTPResponse) -> None:
    context.connection.close()
    response.close()  # it holds the socket where the server said "Connection: close"


def _receive(
    context: FetchContext,
    piece: Piece,
    response: http.client.HTTPResponse,
    file: "_StagedFile",
    hashes: "dict[str, hashlib._Hash]",
    progress: ProgressCallback,
) -> None:
    done = begun = piece.done_bytes
    noted_s = time.monotonic()

    def note() -> None:
        file.sync()
        progress.safe(done)

    try:
        while done < piece.size_bytes:
            count = _next_bytes(context, response, piece.size_bytes - done)
            chunk = context.buffer[:count]
            file.write(chunk, piece.first_byte + done)
            for digest in hashes.values():
                digest.update(chunk)
            done += count
            progress.written(done)
            if done - begun >= _WRITE_BEHIND_BYTES:
                write_behind.begin_writing(file.descriptor, piece.first_byte + begun, done - begun)
                begun = done
            now_s = time.monotonic()
            if now_s - noted_s >= context.checkpoint_every_s and done < piece.size_bytes:
                note()
                noted_s = now_s
    except (ServiceError, Stopped):
        if done > piece.done_bytes:
            note()  # bytes that have arrived are not fetched again
        raise


def _next_bytes(context: FetchContext, response: http.client.HTTPResponse, missing_bytes: int) -> int:
    if context.stop.is_set():
        context.connection.close()
        raise Stopped
    most = context.pace.next_bytes(context.connection, min(len(context.buffer), missing_bytes), context.stop)
    count = read_into(context.connection, response, context.buffer[:most])
    if count == 0:
        raise context.connection.broken(http.client.IncompleteRead(b""))
    return count


@contextmanager
def _open(held: HeldStaging | None, staging: Path, piece: Piece) -> "Iterator[_StagedFile]":
    """Open a file of the staging directory for writing, never through a symbolic link.

    The file was made with the plan, at its full size. If it is gone, its disk may be gone too, so neither is made
    again here. If it is shorter, other pieces of it are lost, and writing behind them would hide that.
    """
    where = f"{staging}/{piece.path}"
    with on_disk(where):
        if held is not None:
            assert held.path == staging, f"{held.path} is held, not {staging}"
            file = held.open(piece.path)
        else:
            with opened(staging) as product:
                file = product.open(piece.path, os.O_WRONLY)
    try:
        left_bytes = os.fstat(file).st_size
        if left_bytes != piece.object_bytes:
            raise DiskError(f"{where}: {left_bytes} of {piece.object_bytes} bytes are left", code="Lost")
        yield _StagedFile(file, where)
    finally:
        os.close(file)


@dataclass(frozen=True, slots=True)
class _StagedFile:
    """An open file of a staging directory; its path is for the messages."""

    descriptor: int
    path: str

    def write(self, chunk: memoryview, offset: int) -> None:
        """Write all bytes: a disk may take less at once."""
        with on_disk(self.path):
            while chunk:
                written = os.pwrite(self.descriptor, chunk, offset)
                chunk, offset = chunk[written:], offset + written

    def sync(self) -> None:
        """Sync the bytes of the file to the disk."""
        with on_disk(self.path):
            os.fdatasync(self.descriptor)
