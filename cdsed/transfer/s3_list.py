"""Listing a product's objects over the session's one connection, page by page."""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress

from cdsed.errors import ProductError, ServiceError, Stopped, TransferError
from cdsed.model.eodata import S3Location, safe_segments
from cdsed.model.objects import ListedObject
from cdsed.transfer.connection import Connection, read_small
from cdsed.transfer.genuine import is_page
from cdsed.transfer.s3_errors import foreign, s3_error
from cdsed.transfer.s3_list_page import ETAG, ListPage, ListRequest, PageEntry, read_list_page, unreadable

_OBJECTS_MAX = 200_000  # the largest products have some thousands
_PAGES_MAX = 2_000  # a page has 1000 objects; some servers send fewer, or none
_PAGES = (".html", ".htm", ".json")  # objects that are pages themselves
_LENGTH = re.compile(r"[0-9]{1,18}")


def list_product(connection: Connection, account: str, location: S3Location) -> list[ListedObject]:
    """List every object of a product.

    Parameters
    ----------
    connection
        The session's.
    account
        Our name of its account, for messages.
    location
        The product's object key: the common prefix of its objects, or one single object.

    Returns
    -------
    list of ListedObject
        Sorted by path; empty when nothing is there. Zero-byte objects whose keys end in ``/`` stand for directories
        and are left out: an empty directory is not part of a product.

    Raises
    ------
    ProductError
        A key is not safe as a file path, or two keys cannot both be files.
    AccountError, ServiceError
        The request was refused or broke.
    """
    prefix = location.key + "/"
    asked = ListRequest(location.s3_path, location.bucket, prefix)
    listed: list[ListedObject] = []
    for page in _pages(connection, account, asked):
        listed += [_object(item, asked) for item in page.objects if not (item.key.endswith("/") and item.size == "0")]
        if len(listed) > _OBJECTS_MAX:
            raise unreadable(asked.what, "it has no end")
    if not listed:
        single = _head(connection, account, location)
        return [] if single is None else [single]
    refuse_conflicts([item.path for item in listed])
    return sorted(listed, key=lambda item: item.path)


def _object(item: PageEntry, asked: ListRequest) -> ListedObject:
    """Take one object of a response, and check each of its values."""
    try:
        size_bytes, etag = item.checked()
    except ValueError as error:
        raise unreadable(asked.what, str(error)) from error
    return ListedObject(item.key, _checked_path(item.key, asked.prefix), size_bytes, etag)


def _pages(connection: Connection, account: str, asked: ListRequest) -> Iterator[ListPage]:
    """Yield the pages of a list."""
    token = ""
    for _ in range(_PAGES_MAX):
        page = _page(connection, account, asked, {"continuation-token": token} if token else {})
        yield page
        if not page.continuation:
            return
        if page.continuation == token:
            raise unreadable(asked.what, "it continues where it has continued before")
        token = page.continuation
    raise unreadable(asked.what, "it has no end")


def _page(connection: Connection, account: str, asked: ListRequest, options: dict[str, str]) -> ListPage:
    query = {"list-type": "2", "encoding-type": "url", "prefix": asked.prefix, **options}
    response = connection.request_list(asked.bucket, query)
    body = read_small(connection, response)
    if response.status != 200:
        raise s3_error(account, asked.what, response.status, dict(response.headers), body)
    return read_list_page(response.headers["Content-Type"], body, asked)


def list_some(
    connection: Connection, account: str, location: S3Location, after: str, most: int = 20
) -> list[ListedObject]:
    """List the objects that follow a key, below the top folder of a location.

    Parameters
    ----------
    after
        The list begins behind this key; '' is for the first objects.

    Raises
    ------
    AccountError, ServiceError, Stopped
        The request was refused or broke; the process must leave.
    """
    top, slash, _ = location.key.partition("/")
    asked = ListRequest(location.s3_path, location.bucket, top + slash if slash else "")
    page = _page(connection, account, asked, {"max-keys": str(most), "start-after": after or asked.prefix})
    listed = []
    for item in page.objects:
        with suppress(ValueError):
            listed.append(ListedObject(item.key, item.key, *item.checked()))
    return listed


def key_works(connection: Connection, account: str, location: S3Location) -> bool:
    """Tell whether the account may list anything, to find the fault domain of a refusal.

    Raises
    ------
    Stopped
        The process must leave before the result is known.
    """
    try:
        list_some(connection, account, location, "", most=1)
    except Stopped:
        raise
    except TransferError:
        return False
    return True


def _head(connection: Connection, account: str, location: S3Location) -> ListedObject | None:
    """Return the single object that has exactly this key; None when S3 has no such object."""
    response = connection.request("HEAD", location.bucket, location.key, {})
    read_small(connection, response)
    if response.status in (404, 410):
        _expect_no_such_key(connection, account, location)
        return None
    length, etag = response.headers.get("Content-Length", ""), response.headers.get("ETag", "").strip('"')
    name = location.key.rpartition("/")[2]
    # This response has no body that shows its origin. Some servers declare the body that they leave out as a page.
    if (
        is_page(response.headers["Content-Type"])
        and not name.endswith(_PAGES)
        and (response.status == 200 or length != "0")
    ):
        raise foreign(response.status, location.s3_path)
    if response.status != 200:
        raise s3_error(account, location.s3_path, response.status, dict(response.headers), None)
    if not _LENGTH.fullmatch(length) or not ETAG.fullmatch(etag):
        raise ServiceError(f"S3 does not say how large {location.s3_path} is, or which", code="InvalidResponse")
    return ListedObject(location.key, name, int(length), etag)


def _expect_no_such_key(connection: Connection, account: str, location: S3Location) -> None:
    """Make sure with a GET that S3 itself reports that the object does not exist: a proxy can answer 404 to a HEAD.

    Raises
    ------
    AccountError, ServiceError
        S3 reports something else.
    """
    response = connection.request("GET", location.bucket, location.key, {"Range": "bytes=0-0"})
    body = read_small(connection, response, 2**16)
    if response.status in (200, 206):
        raise ServiceError(f"S3 answers a GET of {location.s3_path}, but 404 to a HEAD", code="InvalidResponse")
    error = s3_error(account, location.s3_path, response.status, dict(response.headers), body)
    if error.code != "NoSuchKey":
        raise error


def _checked_path(key: str, prefix: str) -> str:
    path = key.removeprefix(prefix)
    if path == key:
        raise ProductError(f"the object {key!r:.300} does not belong to {prefix}", code="UnsafePath")
    try:
        safe_segments(path)
    except ValueError as error:
        raise ProductError(f"the object {key!r:.300} cannot become a file: {error}", code="UnsafePath") from error
    return path


def refuse_conflicts(paths: Sequence[str]) -> None:
    """Raise ProductError when two of a product's files would have one name.

    Names that differ only in case conflict, too: on a disk that ignores case, one file would overwrite the other.
    """
    files: dict[str, str] = {}
    for path in paths:
        if (twin := files.get(path.lower())) is not None:
            raise ProductError(f"the objects {twin!r} and {path!r} would be one file", code="UnsafePath")
        files[path.lower()] = path
    for path in paths:
        parent = path.lower().rpartition("/")[0]
        while parent:
            if parent in files:
                raise ProductError(
                    f"the objects {files[parent]!r} and {path!r} cannot both be files", code="UnsafePath"
                )
            parent = parent.rpartition("/")[0]
