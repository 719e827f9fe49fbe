"""ListObjects, the first version of the call: pages by ``marker``, as Ceph answers it.

Many clients still use it: the resources of boto3, GDAL, and rclone with providers that it does not know.
"""

from cdsed.sandbox.bucket import Bucket
from cdsed.sandbox.http import Request, Response
from cdsed.sandbox.s3list import BEHIND, ListQuery, document, read_page, read_query


def respond(bucket: Bucket, name: str, request: Request) -> Response:
    """Answer ListObjects.

    Parameters
    ----------
    bucket, name
        The objects, and the name of their bucket.
    request
        The request.

    Raises
    ------
    Refused
        ``max-keys`` or ``encoding-type`` is not valid.
    """
    parameters = request.parameters()
    query = read_query(parameters)
    marker = parameters.get("marker", "")
    page = read_page(bucket, query, _after(query, marker))
    next_marker = ""
    if page.is_truncated:
        last = page.entries[-1]
        next_marker = last if isinstance(last, str) else last.key
    fields = {"Marker": query.encode(marker), "NextMarker": query.encode(next_marker)}
    return document(name, query, page, fields)


def _after(query: ListQuery, marker: str) -> str:
    """Return the key after which a page begins: a marker in or at a common prefix is behind all of that prefix."""
    if query.delimiter and marker.startswith(query.prefix):
        end = marker.find(query.delimiter, len(query.prefix))
        if end >= 0:
            return f"{marker[: end + len(query.delimiter)]}{BEHIND}"
    return marker
