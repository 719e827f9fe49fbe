"""Downloading a product as one zip from CDSE's ``$value``, over one bare connection and without resume.

The length of the zip and the catalogue's MD5 are checked before it is opened. Its members become files of the staging
directory, which are verified and published like those from S3. Redirects are followed only to the hosts of the
settings, so that no other host gets the access token.
"""

import hashlib
import http.client
import json
import os
import re
import stat
import threading
import zipfile
import zlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from io import FileIO
from pathlib import Path
from typing import IO
from urllib.parse import urljoin, urlsplit

from cdsed._version import __version__
from cdsed.config.secrets import Secret
from cdsed.dir_handle import DirHandle
from cdsed.errors import AccountError, ProductError, ServiceError, Stopped, TransferError
from cdsed.model.eodata import safe_segments
from cdsed.model.families import DIRECTORY_EXTENSIONS
from cdsed.model.objects import ListedObject
from cdsed.transfer.bandwidth import UNLIMITED, Pace
from cdsed.transfer.connection import Connection, Credentials, Endpoint, read_into, read_small
from cdsed.transfer.genuine import BEGINNING_BYTES, begins_foreign, is_page
from cdsed.transfer.s3_errors import on_disk, retry_after_s
from cdsed.transfer.s3_list import refuse_conflicts
from cdsed.transfer.staging import opened

#: Name of the zip in the staging directory while it arrives; a product has no file of this name.
ARCHIVE_NAME = ".value"
_REDIRECTS_MAX = 3
_REDIRECTS = {301, 302, 303, 307, 308}
_NO_KEYS = Credentials(Secret("none"), Secret("none"))
# Errors of zipfile for a broken archive, an unknown compression method, and names that are not UTF-8.
_UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, UnicodeDecodeError, NotImplementedError, RuntimeError)
_SIGNATURE = b"PK\x03\x04"
_OWN_CODE = "DAT-ZIP-"
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}  # for other methods, zipfile reports damage as an OSError
_UNPACKED_MAX = 4  # times the length of the archive; CDSE stores without compression


@dataclass(frozen=True, slots=True)
class ZipDownload:
    """What to fetch.

    Attributes
    ----------
    url
        Address of ``$value``, at the download host or at the catalogue.
    origins
        Scheme and host of each server that may get the token, e.g. ``https://download.dataspace.copernicus.eu``.
    token
        Access token.
    account
        Our name of the account, for messages.
    safename
        Of the product.
    md5
        The catalogue's digest of it.
    """

    url: str
    origins: frozenset[str]
    token: Secret
    account: str
    safename: str
    md5: str


@dataclass(frozen=True, slots=True)
class ZipContext:
    """What to fetch it with: the time-outs of `endpoint`, one buffer, and the stop.

    `watch` aborts a connection that trickles; the function that it yields is called after every buffer. `claim` is
    called before every request, see `Connection`. `pace` has the limits of bandwidth.
    """

    endpoint: Endpoint
    watch: Callable[[Connection], AbstractContextManager[Callable[[], None]]]
    buffer: memoryview = field(repr=False)
    stop: threading.Event
    claim: Callable[[Connection], None] = lambda _: None
    pace: Pace = UNLIMITED


def origin(url: str) -> str:
    """Return scheme and host of an address, as `ZipDownload.origins` has them."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def fetch_zip(download: ZipDownload, context: ZipContext, staging: Path) -> list[ListedObject]:
    """Fetch a product and unpack it into its staging directory, which must exist and be empty.

    Returns
    -------
    list of ListedObject
        Its files, sorted by path, with their MD5 as ETag.

    Raises
    ------
    ProductError
        It is refused, differs from the catalogue, or names files outside the product.
    AccountError, ServiceError, DiskError, Stopped
        See these classes.
    """
    with on_disk(str(staging)), opened(staging) as product:
        _fetch(download, context, product)
        with os.fdopen(product.open(ARCHIVE_NAME, os.O_RDONLY), "rb") as archive:
            if not zipfile.is_zipfile(archive):
                return [_single(download, product)]
            listed = _unpack(download.safename, archive, product, context)
        product.remove(ARCHIVE_NAME)
    return listed


def _fetch(download: ZipDownload, context: ZipContext, product: DirHandle) -> None:
    url = download.url
    for _ in range(_REDIRECTS_MAX + 1):
        if origin(url) not in download.origins:
            raise ServiceError(
                f"the download of {download.safename} leads to {origin(url)[:100]}, which is not a host of the "
                "settings (services.download_url)",
                code="UntrustedRedirect",
            )
        connection = Connection(_at(context.endpoint, url), _NO_KEYS, context.claim)
        try:
            with context.watch(connection) as received:
                response = connection.send("GET", _target(url), _headers(download))
                if response.status not in _REDIRECTS:
                    _receive(download, context, connection, response, product, received)
                    return
                read_small(connection, response, 2**16)
                url = _redirected(url, response.headers.get("Location", ""))
        finally:
            connection.close()
    raise ServiceError(f"the download of {download.safename} is redirected again and again", code="Redirects")


def _redirected(url: str, location: str) -> str:
    try:
        url = urljoin(url, location)
        origin(url)
        url.encode("ascii")  # otherwise http.client cannot request it
    except ValueError as error:
        raise ServiceError(f"a redirect from {origin(url)} is not an address", code="InvalidResponse") from error
    return url


def _at(endpoint: Endpoint, url: str) -> Endpoint:
    return replace(endpoint, url=origin(url))


def _target(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def _headers(download: ZipDownload) -> dict[str, str]:
    return {"User-Agent": f"cdsed/{__version__}", "Authorization": f"Bearer {download.token.reveal()}"}


def _receive(
    download: ZipDownload,
    context: ZipContext,
    connection: Connection,
    response: http.client.HTTPResponse,
    product: DirHandle,
    received: Callable[[], None],
) -> None:
    """Write the body to a file; it is complete, and has the catalogue's MD5, when this returns."""
    if response.status != 200:
        body = read_small(connection, response, 2**16)
        raise _refusal(download, response.status, response.headers.get("Retry-After"), body)
    kind = response.headers.get("Content-Type", "")
    if is_page(kind) or kind.strip().lower().startswith("text/"):
        raise _foreign(download, 200)
    length = response.headers.get("Content-Length", "")
    if not length.isdecimal():
        raise ServiceError(f"the zipper does not state the length of {download.safename}", code="InvalidResponse")
    digest = hashlib.md5(usedforsecurity=False)
    size_bytes = 0
    with _new(product, ARCHIVE_NAME) as file:
        while True:
            most = context.pace.next_bytes(connection, len(context.buffer), context.stop)
            count = read_into(connection, response, context.buffer[:most])
            if count == 0:
                break
            if context.stop.is_set():
                raise Stopped
            file.write(context.buffer[:count])
            digest.update(context.buffer[:count])
            size_bytes += count
            received()
    if size_bytes != int(length):
        raise ServiceError(
            f"{download.safename}: {size_bytes} of {length} bytes came from the zipper", code="TruncatedBody"
        )
    if digest.hexdigest() != download.md5:
        raise _other_copy(download, product, digest.hexdigest())


def _other_copy(download: ZipDownload, product: DirHandle, md5: str) -> ServiceError:
    """Return the error for an MD5 that differs from the catalogue's: a damaged copy, or not a zip."""
    with on_disk(download.safename), os.fdopen(product.open(ARCHIVE_NAME, os.O_RDONLY), "rb") as file:
        beginning = file.read(BEGINNING_BYTES)
        whole = zipfile.is_zipfile(file)
    if beginning.startswith(_SIGNATURE):
        if not whole:
            return ServiceError(f"{download.safename}: the zip has no end", code="TruncatedBody")
    elif download.safename.endswith(DIRECTORY_EXTENSIONS) or begins_foreign(beginning):
        return _foreign(download, 200)
    text = f"{download.safename}: the MD5 of the zip is {md5}, the catalogue's {download.md5}"
    return ServiceError(text, code="DamagedZip")


def _foreign(download: ZipDownload, status: int) -> ServiceError:
    message = f"something on the way to the zipper answered {status} for {download.safename}, not the zipper itself"
    return ServiceError(f"{message}; look at proxies and firewalls", code="ProxyResponse")


def _refusal(download: ZipDownload, status: int, retry_after: str | None, body: bytes) -> TransferError:
    """Return the error for a response of the zipper without a product; its JSON has ``code`` and ``message``."""
    code, message = _said(body)
    text = f"account {download.account}: the zipper refuses {download.safename} ({status} {code}: {message})"
    if status == 429:
        own = code.startswith(_OWN_CODE)
        throttled = "Throttled" if own else "ThrottledElsewhere"
        return AccountError(text, code=throttled, retry_after_s=retry_after_s(retry_after))
    if 400 <= status < 500 and not _is_own(status, body):
        return _foreign(download, status)
    if code in ("DAT-ZIP-109", "DAT-ZIP-604"):  # the token expired or was lost on the way: retry with the next one
        return ServiceError(text, code=code)
    if status in (401, 403):
        return AccountError(text, code="AccessDenied")
    if 400 <= status < 500:  # many services answer 404 in JSON: only a code of CDSE is about the product
        return (
            ProductError(text, code="ZipRefused")
            if code.startswith(_OWN_CODE)
            else ServiceError(text, code="BadRequest")
        )
    return ServiceError(text, code=str(status), retry_after_s=retry_after_s(retry_after))


def _is_own(status: int, body: bytes) -> bool:
    """Tell whether a refusal is CDSE's, which is JSON; without a token it may have an empty body."""
    try:
        response = json.loads(body)
    except (ValueError, RecursionError):
        return status in (401, 403) and not body.strip()
    return isinstance(response, dict) and not response.keys().isdisjoint({"code", "message", "detail"})


def _said(body: bytes) -> tuple[str, str]:
    try:
        response = json.loads(body)
        code, message = str(response["code"]), str(response["message"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return "without a code", ""
    printable = "".join(c if c.isprintable() else " " for c in message[:200])
    return (code if re.fullmatch(r"[A-Z0-9-]{1,30}", code) else "without a code"), printable


def _single(download: ZipDownload, product: DirHandle) -> ListedObject:
    """Rename a product that is one file to its name."""
    (safe,) = safe_segments(download.safename)
    product.rename(ARCHIVE_NAME, product, safe)
    return ListedObject(safe, safe, product.size(safe), download.md5)


def _new(product: DirHandle, path: str) -> FileIO:
    return FileIO(product.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, make=True), "w")


def _unpack(safename: str, archive: IO[bytes], product: DirHandle, context: ZipContext) -> list[ListedObject]:
    """Unpack every file; refuse the whole archive if one member is not a plain file of the product."""
    try:
        with zipfile.ZipFile(archive) as unpacked:
            files = [item for item in unpacked.infolist() if not item.is_dir()]
            members = {_path(item, safename): item for item in files}
            if any(item.compress_type not in _METHODS for item in members.values()):
                raise NotImplementedError("a member is neither stored nor deflated")
            if not files:
                raise ProductError(f"the zip of {safename} holds no file", code="UnsafePath")
            refuse_conflicts([_path(item, safename) for item in files])
            if sum(item.file_size for item in files) > _UNPACKED_MAX * os.fstat(archive.fileno()).st_size:
                raise ProductError(f"the zip of {safename} would fill the disk", code="UnsafePath")
            return [_member(unpacked, members[path], product, path, context) for path in sorted(members)]
    except _UNREADABLE as error:
        raise ProductError(
            f"the zip of {safename} cannot be read: {error!s:.100}", code="VerificationFailed"
        ) from error


def _path(item: zipfile.ZipInfo, safename: str) -> str:
    """Return the path of a member below the product; raise ProductError ``UnsafePath`` if it is outside."""
    top, _, path = item.filename.partition("/")
    hostile = f"the zip of {safename} has {item.filename[:200]!r}"
    try:
        safe_segments(path)
    except ValueError as error:
        raise ProductError(f"{hostile}: {error}", code="UnsafePath") from error
    if top != safename or path == ARCHIVE_NAME or stat.S_IFMT(item.external_attr >> 16) not in (0, stat.S_IFREG):
        raise ProductError(f"{hostile}, which is not a plain file of the product", code="UnsafePath")
    return path


def _member(
    archive: zipfile.ZipFile, item: zipfile.ZipInfo, product: DirHandle, path: str, context: ZipContext
) -> ListedObject:
    """Write one file, and sync it to the disk."""
    digest = hashlib.md5(usedforsecurity=False)
    with archive.open(item) as source, _new(product, path) as file:
        while block := source.read(len(context.buffer)):
            if context.stop.is_set():
                raise Stopped
            file.write(block)
            digest.update(block)
        os.fdatasync(file.fileno())
    return ListedObject(path, path, item.file_size, digest.hexdigest())
