"""The quick reading of a head sees what `http.client` sees, and leaves every strange head to it."""

import http.client
import socket

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cdsed.transfer.http_response import PlainResponse

_PLAIN = (
    b"HTTP/1.1 200 OK\r\nAccept-Ranges: bytes\r\nContent-Length: 5\r\nContent-Type: application/octet-stream\r\n"
    b'ETag: "d41d8cd98f00b204e9800998ecf8427e"\r\nX-Amz-Request-Id:\t17 \r\nDate: Sun, 29 Nov 2026 22:00:00 GMT\r\n\r\n'
    b"hello"
)
_STRANGE = [
    _PLAIN.replace(b"200 OK", b"206 Partial Content"),
    _PLAIN.replace(b"200 OK", b"200 "),
    _PLAIN.replace(b"200 OK", b"200"),
    _PLAIN.replace(b"200 OK", b"404 Not Found"),
    _PLAIN.replace(b"200 OK", b"304 Not Modified"),
    _PLAIN.replace(b"HTTP/1.1", b"HTTP/1.0"),
    _PLAIN.replace(b"HTTP/1.1", b"ICY"),
    b"HTTP/1.1 100 Continue\r\nX: y\r\n\r\n" + _PLAIN,
    _PLAIN.replace(b"\r\n", b"\n"),
    _PLAIN.replace(b"Length: 5", b"Length: -5"),
    _PLAIN.replace(b"Length: 5", b"Length: five"),
    _PLAIN.replace(b"Length: 5", b"Length: 99"),
    _PLAIN.replace(b"Length: 5", b"Length: 5 "),
    _PLAIN.replace(b"Length: 5", b"Length: 5\r\nContent-Length: 4"),
    _PLAIN.replace(b"Content-Length: 5\r\n", b""),
    _PLAIN.replace(b"Content-Length: 5", b"Content-Length : 5"),
    _PLAIN.replace(b"Content-Length: 5", b"Transfer-Encoding: chunked").replace(b"hello", b"5\r\nhello\r\n0\r\n\r\n"),
    _PLAIN.replace(b"Length: 5", b"Length: 5\r\nTransfer-Encoding: chunked"),
    _PLAIN.replace(b"Length: 5", b"Length: 5\r\nConnection: close"),
    _PLAIN.replace(b"Length: 5", b"Length: 5\r\nConnection: Keep-Alive"),
    _PLAIN.replace(b"ETag: ", b"ETag:\r\n  "),
    _PLAIN.replace(b"ETag", b"no colon\r\nETag"),
    _PLAIN.replace(b"bytes", "byt\xe9s".encode("latin-1")),
    _PLAIN.replace(b"Date: ", b"From me\r\nDate: "),
    _PLAIN.replace(b"Accept", b"X: y\r\n" * 98 + b"Accept"),
    _PLAIN.replace(b"bytes", b"b" * 70_000),
    _PLAIN[:60],
    b"",
]


def _seen(kind: type[http.client.HTTPResponse], raw: bytes, method: str) -> object:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**18)
        theirs.sendall(raw)
        theirs.shutdown(socket.SHUT_WR)
        response = kind(ours, method=method)
        try:
            response.begin()
            head = (response.status, response.reason, response.version, response.will_close, response.length)
            fields = [(name, value, response.headers[name.swapcase()]) for name, value in response.headers.items()]
            return head, fields, response.getheader("absent", "x"), response.read()
        except (http.client.HTTPException, OSError, ValueError) as error:
            return type(error), str(error)
        finally:
            response.close()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("raw", [_PLAIN, *_STRANGE])
def test_a_head_is_read_as_by_http_client(raw, method):
    assert _seen(PlainResponse, raw, method) == _seen(http.client.HTTPResponse, raw, method)


@given(st.integers(0, len(_PLAIN)), st.integers(0, 8), st.binary(max_size=8))
@example(9, 3, b"206")
@example(15, 0, b"A:b\r\n")
def test_a_head_with_any_change_is_read_as_by_http_client(place, removed, put):
    raw = _PLAIN[:place] + put + _PLAIN[place + removed :]
    assert _seen(PlainResponse, raw, "GET") == _seen(http.client.HTTPResponse, raw, "GET")


def test_a_plain_head_is_read_without_the_parser_of_emails(monkeypatch):
    monkeypatch.setattr("http.client.parse_headers", lambda *_: pytest.fail("it was parsed as an e-mail"))
    assert _seen(PlainResponse, _PLAIN, "GET")[0] == (200, "OK", 11, False, 5)
