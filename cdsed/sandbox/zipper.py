"""The zipper: ``$value`` of a product as one zip or of one of its files, after a redirect, with ``DAT-ZIP`` errors."""

import io
import re
import zipfile
from functools import lru_cache
from urllib.parse import unquote

from cdsed.sandbox.bucket import Bucket
from cdsed.sandbox.content import Body, LiteralBody
from cdsed.sandbox.http import Request, Response, json_response
from cdsed.sandbox.identity import LoginRefusal
from cdsed.sandbox.products import SandboxProduct

DOWNLOAD_PATH = "/download/odata/v1"
_VALUE = re.compile(
    r"(?P<base>/odata/v1|/download/odata/v1)/(?P<resource>Products\((?P<id>[^)]*)\)(?P<nodes>(?:/Nodes\([^)]*\))*)/\$value)"
)
_NODE = re.compile(r"/Nodes\(([^)]*)\)")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_UNAUTHORIZED = {
    "missing": ("DAT-ZIP-604", "Token not found"),
    "expired": ("DAT-ZIP-109", "Token expired"),
    "unknown": ("DAT-ZIP-609", "Token audience not allowed"),
}
_ZIPPED_BYTES_MAX = 2**28  # it is made in memory
_DATE = (2026, 1, 1, 0, 0, 0)


def is_for_zipper(request: Request) -> bool:
    """Tell whether a request asks for the whole of a product."""
    path = unquote(request.path)
    return path.startswith(DOWNLOAD_PATH) or (path.startswith("/odata/") and path.endswith("/$value"))


def redirect(request: Request, port: int) -> Response | None:
    """Return the catalogue's redirect to another name of this machine; None at the download host itself.

    A client that follows redirects automatically drops its token there, as with CDSE.
    """
    match = _VALUE.fullmatch(unquote(request.path))
    if match is None or match["base"] == DOWNLOAD_PATH:
        return None
    query = f"?{request.query}" if request.query else ""
    place = f"http://localhost:{port}{DOWNLOAD_PATH}/{match['resource']}{query}"
    return Response(301, headers={"Location": place})


def unauthorized(refusal: LoginRefusal) -> Response:
    """Return the response to a request without a valid token."""
    return _error(401, *_UNAUTHORIZED[refusal.reason])


def overbooked(sessions: int) -> Response:
    """Return the response to one download too many."""
    return _error(429, "DAT-ZIP-100", f"Max session number {sessions} exceeded.")


def respond(bucket: Bucket, request: Request) -> Response:
    """Return the requested product, a folder as a zip of stored files and a single object as it is, or a file of it."""
    match = _VALUE.fullmatch(unquote(request.path))
    if match is None:
        return _error(400, "DAT-ZIP-104", "Malformed OData request path")
    if not _UUID.fullmatch(match["id"]):
        return _error(422, "DAT-ZIP-111", "Invalid product UUID")
    product = bucket.identified(match["id"])
    if product is None or not product.spec.online:
        return _error(404, "DAT-ZIP-118", "Product not found")
    if match["nodes"]:
        return _node(product, _NODE.findall(match["nodes"]))
    if product.total_bytes > _ZIPPED_BYTES_MAX:
        return _error(404, "DAT-ZIP-118", "Product not found")
    suffix = "" if product.is_single_object else ".zip"
    return _attachment(zipped(product), f"{product.spec.safename}{suffix}")


@lru_cache(maxsize=16)
def zipped(product: SandboxProduct) -> LiteralBody:
    """Return the content of a product's ``$value``."""
    if product.is_single_object:
        (body,) = product.bodies.values()
        return LiteralBody(b"".join(body.pieces(0, body.size_bytes)))
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for path, body in product.bodies.items():
            entry = zipfile.ZipInfo(f"{product.spec.safename}/{path}", _DATE)
            archive.writestr(entry, b"".join(body.pieces(0, body.size_bytes)))
    return LiteralBody(file.getvalue())


def _node(product: SandboxProduct, names: list[str]) -> Response:
    """Return the file at the end of a chain of nodes, of which the first is the product."""
    path = "/".join(names if product.is_single_object else names[1:])
    body = product.bodies.get(path) if names[0] == product.spec.safename else None
    if body is None:
        return _error(404, "DAT-ZIP-118", "Node not found")  # the code of the service for this was not seen
    return _attachment(body, names[-1])


def _attachment(body: Body, name: str) -> Response:
    headers = {
        "Content-Type": "application/octet-stream",
        "Content-Disposition": f'attachment; filename="{name}"',
    }
    return Response(200, body.size_bytes, body.pieces(0, body.size_bytes), headers)


def _error(status: int, code: str, message: str) -> Response:
    return json_response(status, {"code": code, "message": message})
