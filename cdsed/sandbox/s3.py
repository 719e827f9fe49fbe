"""The part of S3 that eodata offers for reading: lists, GET with Range and If-Match, HEAD, and two calls of buckets."""

import re
from dataclasses import dataclass
from email.utils import format_datetime
from urllib.parse import unquote
from xml.sax.saxutils import escape

from cdsed.sandbox import s3list, s3listv1
from cdsed.sandbox.bucket import Bucket
from cdsed.sandbox.content import Body, spoilt
from cdsed.sandbox.http import Request, Response, data_response
from cdsed.sandbox.products import SandboxObject
from cdsed.sandbox.signature import Refused

BUCKET_NAME = "eodata"
REGION = "default"  # of CDSE
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_CREATED = "2023-01-24T00:00:00.000Z"
# Subresources that S3 has and the sandbox has not: without this, a request for one would be answered with a list.
_NOT_OFFERED = frozenset(
    """
    accelerate acl analytics attributes cors encryption intelligent-tiering inventory legal-hold lifecycle logging
    metrics notification object-lock ownershipControls partNumber policy policyStatus publicAccessBlock replication
    requestPayment restore retention select tagging torrent uploadId uploads versionId versioning versions website
    """.split()  # noqa: SIM905 - one name a line would take a page
)


@dataclass(frozen=True)
class S3Question:
    """A parsed S3 request: ``buckets``, ``location``, ``list``, ``get`` or ``head``; `key` is the prefix of a list."""

    operation: str
    key: str


def question(request: Request) -> S3Question:
    """Parse `request`; raises Refused when eodata does not offer the operation."""
    bucket, _slash, key = unquote(request.path).removeprefix("/").partition("/")
    if request.method not in {"GET", "HEAD"}:
        raise Refused(405, "MethodNotAllowed", "The specified method is not allowed against this resource.")
    if not bucket and request.method == "GET":
        return S3Question("buckets", "")
    parameters = request.parameters()
    if not_offered := sorted(_NOT_OFFERED.intersection(parameters)):
        raise Refused(501, "NotImplemented", f"The sandbox does not have ?{not_offered[0]}")
    if bucket != BUCKET_NAME:
        raise Refused(404, "NoSuchBucket", "The specified bucket does not exist")
    if request.method == "HEAD":
        return S3Question("head", key)
    if key:
        return S3Question("get", key)
    if "location" in parameters:
        return S3Question("location", "")
    return S3Question("list", parameters.get("prefix", ""))


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
    if asked.operation == "buckets":
        return _buckets()
    if asked.operation == "location":
        return _document(f'<LocationConstraint xmlns="{s3list.NAMESPACE}">{REGION}</LocationConstraint>')
    if asked.operation == "list":
        is_v2 = request.parameters().get("list-type") == "2"
        return (s3list.respond if is_v2 else s3listv1.respond)(bucket, BUCKET_NAME, request)
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


def _buckets() -> Response:
    owner = "<Owner><ID>cdse</ID><DisplayName>cdse</DisplayName></Owner>"
    entry = f"<Bucket><Name>{BUCKET_NAME}</Name><CreationDate>{_CREATED}</CreationDate></Bucket>"
    return _document(
        f'<ListAllMyBucketsResult xmlns="{s3list.NAMESPACE}">{owner}<Buckets>{entry}</Buckets></ListAllMyBucketsResult>'
    )


def _document(xml: str) -> Response:
    return data_response(200, f'<?xml version="1.0" encoding="UTF-8"?>\n{xml}'.encode(), "application/xml")
