"""JSON responses: with an ETag that does not change with the time, and errors as one sentence."""

import hashlib
import json
import logging
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from cdsed.errors import CdsedError, UsageError
from cdsed.log import redact
from cdsed.web import documents
from cdsed.web.documents import Document

_log = logging.getLogger(__name__)

_SENTENCES = {
    "Not Found": "there is nothing at this path; /api/v1/openapi.json names all paths",
    "Method Not Allowed": "this path does not have this method; /api/v1/openapi.json names those it has",
}


def json_response(request: Request, document: Document, *, media_type: str = "application/json") -> Response:
    """Return a document, or 304 if the client has it: the time at which it was read does not count."""
    unchanging = {name: value for name, value in document.items() if name != "at"}
    tag = f'W/"{hashlib.sha256(json.dumps(unchanging).encode()).hexdigest()[:32]}"'
    headers = {"etag": tag}
    known = request.headers.get("if-none-match", "")
    if tag.removeprefix("W/") in [each.strip().removeprefix("W/") for each in known.split(",")]:
        return Response(status_code=304, headers=headers)
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return Response(body, headers=headers, media_type=media_type)


def failed_request(request: Request, error: Exception) -> Response:
    """Return an error that the application has raised as JSON with a sentence, without any secret."""
    if isinstance(error, HTTPException):
        message = _SENTENCES.get(error.detail, error.detail)  # Starlette itself says less
        return _error(error.status_code, message, dict(error.headers or {}))
    if isinstance(error, UsageError):
        return _error(404, str(error))
    if isinstance(error, CdsedError):
        return _error(503, str(error))
    if isinstance(error, OSError):
        return _error(503, f"{error.filename or 'the state'}: {error.strerror or error}")
    _log.error("%s %s: %s: %s", request.method, request.url.path, type(error).__name__, error)
    return _error(500, "an error in cdsed itself; its log says more, please report it")


def _error(code: int, message: str, headers: dict[str, Any] | None = None) -> Response:
    return JSONResponse(documents.error(code, redact(message)), code, headers)
