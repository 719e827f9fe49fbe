"""The part of S3 that eodata offers for reading: ListObjectsV2, GET with Range and If-Match, HEAD."""

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from urllib.parse import quote, unquote
from xml.sax.saxutils import escape

from cdsed.sandbox.bucket import Bucket
from cdsed.sandbox.content import Body, spoilt
from cdsed.sandbox.http import Request, Response, data_response
from cdsed.sandbox.products import SandboxObject
from cdsed.sandbox.signature import Refused

BUCKET_NAME = "eodata"
_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_MAX_KEYS = 1000


@dataclass(frozen=True)
class S3Question:
    """A parsed S3 request; `key` is the prefix of a list request."""

    operation: str
    key: str


def question(request: Request) -> S3Question:
    """Parse `request`; raises Refused when eodata does not offer the operation."""
    bucket, _slash, key = unquote(request.path).removeprefix("/").partition("/")
    if request.method not in {"GET", "HEAD"}:
        raise Refused(405, "MethodNotAllowed", "The specified method is not allowed against this resource.")
    if bucket != BUCKET_NAME:
        raise Refused(404, "NoSuchBucket", "The specified bucket does not exist")
    if request.method == "HEAD":
        return S3Question("head", key)
    if key:
        return S3Question("get", key)
    return S3Question("list", request.parameters().get("prefix", ""))


def error_response(error: Refused, request: Request) -> Response:
    """Return the S3 error document of `error`; only its status for HEAD, and no body at all for 429."""
    if error.status == 429:
        return Response(429)
    resource = escape(unquote(request.path))
    document = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{error.code}</Code><Message>{escape(str(error))}</Message>"
        f"<Resource>{resource}</Resource><RequestId>sandbox</RequestId></Error>"
    )
    return data_response(error.status, document.encode(), "application/xml")


def respond(bucket: Bucket, request: Request, asked: S3Question, *, spoil: bool = False) -> Response:
    """Answer an authenticated request.

    Parameters
    ----------
    bucket
        The objects.
    request, asked
        The request, and its parsed form.
    spoil
        Send other bytes than the object's.

    Raises
    ------
    Refused
        No such key, a range outside of it, or ``If-Match`` does not match.
    """
    if asked.operation == "list":
        return _list(bucket, request)
    if asked.operation == "head" and not asked.key:
        return Response(200)
    stored = bucket.get(asked.key)
    if stored is None:
        raise Refused(404, "NoSuchKey", "The specified key does not exist.")
    wanted = request.headers.get("if-match")
    if wanted is not None and wanted.strip('"') not in {stored.etag, "*"}:
        message = "At least one of the pre-conditions you specified did not hold"
        raise Refused(412, "PreconditionFailed", message)
    body = spoilt(stored.body) if spoil else stored.body
    return _object(stored, body, request)


def _object(stored: SandboxObject, body: Body, request: Request) -> Response:
    headers = {
        "ETag": f'"{stored.etag}"',
        "Last-Modified": format_datetime(stored.modified, usegmt=True),
        "Accept-Ranges": "bytes",
        "Content-Type": "application/octet-stream",
    }
    size = body.size_bytes
    span = _span(request.headers.get("range", ""), size)
    if span is None:
        return Response(200, size, body.pieces(0, size), headers)
    start, length = span
    headers["Content-Range"] = f"bytes {start}-{start + length - 1}/{size}"
    return Response(206, length, body.pieces(start, length), headers)


def _span(header: str, size: int) -> tuple[int, int] | None:
    """Return start and length of the requested range; None when the whole object is requested."""
    match = _RANGE.fullmatch(header)
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < start:
            return None
    if start >= end:
        raise Refused(416, "InvalidRange", "The requested range is not satisfiable")
    return start, end - start


def _list(bucket: Bucket, request: Request) -> Response:
    parameters = request.parameters()
    if parameters.get("list-type") != "2":
        raise Refused(501, "NotImplemented", "The sandbox lists with ListObjectsV2 only")
    prefix, delimiter = parameters.get("prefix", ""), parameters.get("delimiter", "")
    token = parameters.get("continuation-token", "")
    try:
        limit = min(_MAX_KEYS, int(parameters.get("max-keys", _MAX_KEYS)))
        after = base64.urlsafe_b64decode(token).decode() if token else parameters.get("start-after", "")
    except (ValueError, binascii.Error) as error:
        raise Refused(400, "InvalidArgument", "max-keys or continuation-token is not valid") from error
    contents: list[str] = []
    folders: list[str] = []
    last, truncated = after, False
    encode = quote if parameters.get("encoding-type") == "url" else escape
    for entry in _entries(bucket, prefix, delimiter, after):
        if len(contents) + len(folders) >= limit:
            truncated = limit > 0
            break
        if isinstance(entry, str):
            folders.append(f"<CommonPrefixes><Prefix>{encode(entry)}</Prefix></CommonPrefixes>")
            last = f"{entry}\U0010ffff"  # everything below the folder is done
        else:
            contents.append(_content(entry, encode(entry.key)))
            last = entry.key
    fields = {
        "Name": BUCKET_NAME,
        "Prefix": encode(prefix),
        "Delimiter": encode(delimiter),
        "MaxKeys": str(limit),
        "KeyCount": str(len(contents) + len(folders)),
        "IsTruncated": "true" if truncated else "false",
        "EncodingType": escape(parameters.get("encoding-type", "")),
        "ContinuationToken": escape(token),
        "NextContinuationToken": base64.urlsafe_b64encode(last.encode()).decode() if truncated else "",
    }
    head = "".join(f"<{name}>{value}</{name}>" for name, value in fields.items() if value or name == "Prefix")
    document = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="{_NAMESPACE}">'
        f"{head}{''.join(contents)}{''.join(folders)}</ListBucketResult>"
    )
    return data_response(200, document.encode(), "application/xml")


def _entries(bucket: Bucket, prefix: str, delimiter: str, after: str) -> Iterator[SandboxObject | str]:
    """Yield objects, or the common prefixes that `delimiter` makes of them, each once."""
    folder = ""
    for stored in bucket.listing(prefix, after):
        end = stored.key.find(delimiter, len(prefix)) if delimiter else -1
        if end < 0:
            yield stored
        elif stored.key[: end + len(delimiter)] != folder:
            folder = stored.key[: end + len(delimiter)]
            yield folder


def _content(stored: SandboxObject, key: str) -> str:
    return (
        f"<Contents><Key>{key}</Key><LastModified>{_stamp(stored.modified)}</LastModified>"
        f"<ETag>&quot;{stored.etag}&quot;</ETag><Size>{stored.body.size_bytes}</Size>"
        "<StorageClass>STANDARD</StorageClass></Contents>"
    )


def _stamp(timestamp: datetime) -> str:
    return f"{timestamp:%Y-%m-%dT%H:%M:%S}.000Z"
