"""HTTP/1.1 requests and responses as values."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl


class BadRequest(Exception):
    """The bytes are not HTTP that the sandbox understands; the connection is closed."""


@dataclass(frozen=True)
class Request:
    """One request; header names in lower case, path and query as received."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes = b""

    def parameters(self) -> dict[str, str]:
        """Return the decoded query parameters; the last one when several have the same name."""
        return dict(parse_qsl(self.query, keep_blank_values=True))


@dataclass(frozen=True)
class Response:
    """One response: `body` yields the `length` bytes of Content-Length (nothing for HEAD)."""

    status: int
    length: int = 0
    body: Iterable[memoryview] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    close: bool = False

    def head(self) -> bytes:
        """Return the status line and the headers as they are sent."""
        lines = [f"HTTP/1.1 {self.status} {_phrase(self.status)}", "Server: cdsed-sandbox"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        lines += [f"Content-Length: {self.length}"]
        lines += ["Connection: close"] if self.close else []
        return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase


def data_response(status: int, data: bytes, media_type: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return a response with `data` as its body."""
    return Response(status, len(data), [memoryview(data)], {"Content-Type": media_type, **(headers or {})})


def json_response(status: int, value: Any, headers: Mapping[str, str] | None = None) -> Response:
    """Return a response with `value` as JSON."""
    return data_response(status, json.dumps(value).encode(), "application/json", headers)


def parse_head(head: bytes) -> Request:
    """Read a request line and headers, without the empty line after them.

    Raises
    ------
    BadRequest
        It is not an HTTP/1.1 request.
    """
    first, *lines = head.decode("latin-1").split("\r\n")
    try:
        method, target, version = first.split(" ")
        headers = {
            name.strip().lower(): value.strip() for name, _colon, value in (line.partition(":") for line in lines)
        }
    except ValueError as error:
        raise BadRequest(f"not a request line: {first[:80]!r}") from error
    if version not in {"HTTP/1.1", "HTTP/1.0"}:
        raise BadRequest(f"not HTTP/1.1: {version[:20]!r}")
    path, _mark, query = target.partition("?")
    return Request(method, path, query, headers)
