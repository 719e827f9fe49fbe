"""Listing a product's objects: boto3 builds, signs and reads, and the session's connection sends.

botocore lets a ``before-send`` handler answer a request itself. Ours sends it through the session's connection, so
that botocore's own pool never opens a connection without a lease.
"""

import io
import re
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
import botocore.awsrequest
import botocore.exceptions
from botocore.awsrequest import HeadersDict
from botocore.config import Config

from cdsed.errors import ProductError, ServiceError, Stopped, TransferError
from cdsed.model.eodata import S3Location, safe_segments
from cdsed.model.objects import ListedObject
from cdsed.transfer.connection import Connection, read_small
from cdsed.transfer.genuine import ListRequest, check_listing, is_page
from cdsed.transfer.s3_errors import foreign, s3_error

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectTypeDef

_OBJECTS_MAX = 200_000  # the largest products have some thousands
_ETAG = re.compile(r"[!#-~]{1,128}")  # it is sent back in a header
_PAGES = (".html", ".htm", ".json")  # objects that are pages themselves
_LENGTH = re.compile(r"[0-9]{1,18}")
_SIZE_BYTES_MAX = 10**18 - 1  # 18 digits; the state holds no more than 2**63 - 1
_one_at_a_time = threading.Lock()  # boto3.client is not thread-safe; its clients are


class _ListBody(io.BytesIO):
    """A body already read, in the shape botocore reads bodies from."""

    def stream(self, **_: object) -> Iterator[bytes]:
        yield self.getvalue()


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
    listed: list[ListedObject] = []
    try:
        client = _client(connection, account, ListRequest(location.s3_path, location.bucket, prefix))
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=location.bucket, Prefix=prefix):
            contents = page.get("Contents", [])
            listed += [
                _object(item, prefix) for item in contents if not (item["Key"].endswith("/") and not item["Size"])
            ]
            if len(listed) > _OBJECTS_MAX:
                raise _unreadable(location, "it has no end")
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError, LookupError, ValueError) as error:
        # ClientError: an error, or half a response, under status 200; `_client` raises for every other status.
        raise _unreadable(location, str(error)) from error
    if not listed:
        single = _head(connection, account, location)
        return [] if single is None else [single]
    refuse_conflicts([item.path for item in listed])
    return sorted(listed, key=lambda item: item.path)


def _object(item: "ObjectTypeDef", prefix: str) -> ListedObject:
    """Take one object of a response, and check each of its values."""
    size_bytes, etag = item["Size"], item["ETag"].strip('"')
    if not 0 <= size_bytes <= _SIZE_BYTES_MAX or not _ETAG.fullmatch(etag):
        raise ValueError(f"{item['Key']!r:.200} has the size {size_bytes} and the ETag {etag!r:.100}")
    return ListedObject(item["Key"], _checked_path(item["Key"], prefix), size_bytes, etag)


def _unreadable(location: S3Location, why: str) -> ServiceError:
    printable = "".join(character if character.isprintable() else " " for character in why[:300])
    return ServiceError(f"the list of {location.s3_path} cannot be read: {printable}", code="InvalidResponse")


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
    try:
        page = _client(connection, account, asked).list_objects_v2(
            Bucket=asked.bucket, Prefix=asked.prefix, MaxKeys=most, StartAfter=after or asked.prefix
        )
        listed = [
            ListedObject(item["Key"], item["Key"], item["Size"], item["ETag"].strip('"'))
            for item in page.get("Contents", [])
        ]
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError, LookupError, ValueError) as error:
        raise _unreadable(location, str(error)) from error
    return [item for item in listed if 0 <= item.size_bytes <= _SIZE_BYTES_MAX and _ETAG.fullmatch(item.etag)]


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


def _client(connection: Connection, account: str, asked: ListRequest) -> "S3Client":
    """Make a boto3 client that uses `connection` only, and refuses a response that is not a list of objects."""
    endpoint = connection.endpoint
    with _one_at_a_time:
        client = boto3.client(
            "s3",
            endpoint_url=endpoint.url,
            region_name=endpoint.region,
            aws_access_key_id=connection.credentials.access_key.reveal(),
            aws_secret_access_key=connection.credentials.secret_key.reveal(),
            config=Config(
                signature_version="s3v4",
                s3={"addressing_style": "path"},
                retries={"total_max_attempts": 1},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )

    def carry(request: Any, **_: object) -> Any:
        parts = urlsplit(request.url)
        response = connection.send(request.method, f"{parts.path}?{parts.query}", request.headers)
        body = read_small(connection, response)
        if response.status != 200:
            raise s3_error(account, asked.what, response.status, dict(response.headers), body)
        check_listing(response.headers["Content-Type"], body, asked)
        headers: Any = HeadersDict(response.headers.items())  # what botocore itself gives; the stubs say otherwise
        return botocore.awsrequest.AWSResponse(request.url, response.status, headers, _ListBody(body))

    client.meta.events.register("before-send.s3", carry)
    return client


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
    if not _LENGTH.fullmatch(length) or not _ETAG.fullmatch(etag):
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
