"""Lists of objects as ListObjectsV2 gives them, and what both versions of the call share."""

import base64
import binascii
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote
from xml.sax.saxutils import escape

from cdsed.sandbox.bucket import Bucket
from cdsed.sandbox.http import Request, Response, data_response
from cdsed.sandbox.products import SandboxObject
from cdsed.sandbox.signature import Refused

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
#: Sorts behind every key below a folder, when it is put behind the name of the folder.
BEHIND = "\U0010ffff"
_MAX_KEYS = 1000


@dataclass(frozen=True)
class ListQuery:
    """The parameters that both versions have.

    Parameters
    ----------
    prefix, delimiter
        As given.
    encoding_type
        ``url`` or empty.
    limit
        How many entries a page has at most.
    """

    prefix: str
    delimiter: str
    encoding_type: str
    limit: int

    @property
    def encode(self) -> Callable[[str], str]:
        """Return how keys are written into the document."""
        return quote if self.encoding_type == "url" else escape


@dataclass(frozen=True)
class SandboxPage:
    """One page of a list: objects and common prefixes in the order of S3."""

    entries: list[SandboxObject | str]
    is_truncated: bool


def respond(bucket: Bucket, name: str, request: Request) -> Response:
    """Answer ListObjectsV2.

    Parameters
    ----------
    bucket, name
        The objects, and the name of their bucket.
    request
        The request.

    Raises
    ------
    Refused
        ``max-keys``, ``encoding-type`` or ``continuation-token`` is not valid.
    """
    parameters = request.parameters()
    query = read_query(parameters)
    token = parameters.get("continuation-token", "")
    try:
        after = base64.urlsafe_b64decode(token).decode() if token else parameters.get("start-after", "")
    except (ValueError, binascii.Error) as error:
        raise Refused(400, "InvalidArgument", "continuation-token is not valid") from error
    page = read_page(bucket, query, after)
    fields = {
        "KeyCount": str(len(page.entries)),
        "ContinuationToken": escape(token),
        "NextContinuationToken": _token(page.entries[-1]) if page.is_truncated else "",
    }
    return document(name, query, page, fields)


def read_query(parameters: Mapping[str, str]) -> ListQuery:
    """Read the parameters that both versions have; raises Refused when one is not valid."""
    try:
        limit = int(parameters.get("max-keys", _MAX_KEYS))
    except ValueError as error:
        raise Refused(400, "InvalidArgument", "max-keys is not a number") from error
    encoding_type = parameters.get("encoding-type", "")
    if limit < 0 or encoding_type not in {"", "url"}:
        raise Refused(400, "InvalidArgument", "max-keys is negative, or encoding-type is not url")
    return ListQuery(
        parameters.get("prefix", ""), parameters.get("delimiter", ""), encoding_type, min(_MAX_KEYS, limit)
    )


def read_page(bucket: Bucket, query: ListQuery, after: str) -> SandboxPage:
    """Return the entries whose keys come after `after`, as many as a page has."""
    entries: list[SandboxObject | str] = []
    for entry in _entries(bucket, query, after):
        if len(entries) >= query.limit:
            return SandboxPage(entries, is_truncated=query.limit > 0)
        entries.append(entry)
    return SandboxPage(entries, is_truncated=False)


def document(name: str, query: ListQuery, page: SandboxPage, fields: Mapping[str, str]) -> Response:
    """Return the XML of a page; `fields` are those of one version, already encoded, and left out where empty."""
    encode = query.encode
    common = {
        "Name": name,
        "Prefix": encode(query.prefix),
        "Delimiter": encode(query.delimiter),
        "MaxKeys": str(query.limit),
        "IsTruncated": "true" if page.is_truncated else "false",
        "EncodingType": query.encoding_type,
    }
    head = "".join(f"<{key}>{text}</{key}>" for key, text in (common | dict(fields)).items() if text or key == "Prefix")
    contents = "".join(_content(entry, encode(entry.key)) for entry in page.entries if not isinstance(entry, str))
    folders = "".join(
        f"<CommonPrefixes><Prefix>{encode(entry)}</Prefix></CommonPrefixes>"
        for entry in page.entries
        if isinstance(entry, str)
    )
    text = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="{NAMESPACE}">'
        f"{head}{contents}{folders}</ListBucketResult>"
    )
    return data_response(200, text.encode(), "application/xml")


def _stamp(timestamp: datetime) -> str:
    """Return a UTC time as S3 writes it in its documents."""
    return f"{timestamp:%Y-%m-%dT%H:%M:%S}.000Z"


def _token(last: SandboxObject | str) -> str:
    after = f"{last}{BEHIND}" if isinstance(last, str) else last.key  # everything below a folder is done
    return base64.urlsafe_b64encode(after.encode()).decode()


def _entries(bucket: Bucket, query: ListQuery, after: str) -> Iterator[SandboxObject | str]:
    """Yield objects, or the common prefixes that the delimiter makes of them, each once."""
    folder = ""
    for stored in bucket.listing(query.prefix, after):
        end = stored.key.find(query.delimiter, len(query.prefix)) if query.delimiter else -1
        if end < 0:
            yield stored
        elif stored.key[: end + len(query.delimiter)] != folder:
            folder = stored.key[: end + len(query.delimiter)]
            yield folder


def _content(stored: SandboxObject, key: str) -> str:
    return (
        f"<Contents><Key>{key}</Key><LastModified>{_stamp(stored.modified)}</LastModified>"
        f"<ETag>&quot;{stored.etag}&quot;</ETag><Size>{stored.body.size_bytes}</Size>"
        "<StorageClass>STANDARD</StorageClass></Contents>"
    )
