"""A foreign response in the place of S3 is the service's fault. A product is unavailable only if S3 says so."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cdsed.config.secrets import Secret
from cdsed.errors import ProductError, ServiceError
from cdsed.model.eodata import split_s3_path
from cdsed.model.objects import ListedObject, Piece
from cdsed.transfer.bandwidth import UNLIMITED
from cdsed.transfer.connection import Connection, Credentials, Endpoint
from cdsed.transfer.fetch import FetchContext, fetch_piece
from cdsed.transfer.s3_list import key_works, list_product
from cdsed.work.failure_rules import rule_of
from tests.support.raw_server import RawServer, raw_server, response

PLACE = split_s3_path("/eodata/Sentinel-5P/X+1.nc")
PREFIX = f"{PLACE.key}/"
NAMESPACE = ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
PAGE = b"<!DOCTYPE html><html><body>Sign in</body></html>"
XHTML = b'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><body/></html>'
ODATA = b'{"@odata.context": "$metadata#Products", "value": []}'
TOKEN = b'{"access_token": "x", "expires_in": 600}'
BUCKETS = f"<ListAllMyBucketsResult{NAMESPACE}><Buckets/></ListAllMyBucketsResult>".encode()
NO_SUCH_KEY = b"<Error><Code>NoSuchKey</Code><Message>no</Message></Error>"
GONE = response(NO_SUCH_KEY, status="404 Not Found")
HEAD_404 = b"HTTP/1.1 404 Not Found\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: 0\r\n\r\n"  # of moto
TO_A_LOGIN = response(b"", status="302 Found", headers=b"Location: https://login.example.org/\r\n")


def page_of(
    *keys: str, bucket: str = "eodata", prefix: str = PREFIX, more: str = "false", namespace: str = NAMESPACE
) -> bytes:
    """Return a page of a listing."""
    contents = "".join(f"<Contents><Key>{key}</Key><Size>1</Size><ETag>e</ETag></Contents>" for key in keys)
    head = f"<Name>{bucket}</Name><Prefix>{prefix}</Prefix><IsTruncated>{more}</IsTruncated>"
    return f"<ListBucketResult{namespace}>{head}{contents}</ListBucketResult>".encode()


EMPTY = page_of()


@pytest.fixture
def server() -> Iterator[RawServer]:
    with raw_server() as server:
        yield server


@pytest.fixture
def connection(server: RawServer) -> Iterator[Connection]:
    connection = Connection(Endpoint(server.url, "default", 5.0, 5.0), Credentials(Secret("a"), Secret("b")))
    yield connection
    connection.close()


def answering(listing: bytes, head: bytes = HEAD_404, get: bytes = GONE) -> Callable[[str], bytes]:
    """Answer a list, a HEAD and a GET of the key."""

    def respond(request: str) -> bytes:
        return listing if "list-type" in request else head if request.startswith("HEAD") else get

    return respond


def refusal(server: RawServer, connection: Connection, respond: Callable[[str], bytes]) -> ServiceError:
    server.respond = respond
    connection.close()
    with pytest.raises(ServiceError) as caught:
        list_product(connection, "me", PLACE)
    return caught.value


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(response(PAGE, headers=b"Content-Type: text/html\r\n"), id="a page"),
        pytest.param(response(PAGE), id="a page of no type"),
        pytest.param(response(b"<html><body>\xe2\x80\xa6</body></html>"), id="a page that is XML"),
        pytest.param(response(XHTML), id="XHTML"),
        pytest.param(response(b""), id="nothing"),
        pytest.param(response(b" \r\n"), id="blanks"),
        pytest.param(response(ODATA), id="an answer of the catalogue"),
        pytest.param(response(TOKEN), id="a token"),
        pytest.param(response(BUCKETS), id="a list of buckets"),
        pytest.param(response(page_of(bucket="other")), id="another bucket"),
        pytest.param(response(page_of(prefix="Sentinel-1/")), id="another prefix"),
        pytest.param(response(page_of(prefix="")), id="no prefix"),
        pytest.param(response(page_of(namespace=' xmlns="urn:other"')), id="another namespace"),
        pytest.param(response(EMPTY, headers=b"Content-Type: text/html\r\n"), id="a listing said to be a page"),
        pytest.param(response(f"<ListBucketResult{NAMESPACE}/>".encode()), id="an empty listing of nothing"),
        pytest.param(response(b"<!DOCTYPE x>" + EMPTY), id="a DOCTYPE"),
    ],
)
def test_what_is_not_a_list_never_counts_as_an_empty_one(server: RawServer, connection: Connection, raw: bytes) -> None:
    error = refusal(server, connection, answering(raw))
    assert error.code == "ProxyResponse"
    assert rule_of(error).never_charged
    assert not key_works(connection, "me", PLACE)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(response(page_of(f"{PREFIX}a")[:-30]), id="cut in the end"),
        pytest.param(response(EMPTY[:-5]), id="cut, and empty"),
        pytest.param(response(EMPTY, length=str(len(EMPTY) + 100)), id="shorter than it says"),
        pytest.param(response(page_of(f"{PREFIX}a", more="true")), id="more, and not where"),
        pytest.param(response(page_of(more="perhaps")), id="neither whole nor not"),
        pytest.param(response(NO_SUCH_KEY), id="an error under status 200"),
    ],
)
def test_half_a_listing_is_never_taken_for_a_whole_one(server: RawServer, connection: Connection, raw: bytes) -> None:
    assert refusal(server, connection, answering(raw)).code in ("InvalidResponse", "TruncatedBody")


def test_a_listing_that_redirects_to_a_login_page_is_followed_nowhere(
    server: RawServer, connection: Connection
) -> None:
    asked: list[str] = []

    def respond(request: str) -> bytes:
        asked.append(request)
        return TO_A_LOGIN

    error = refusal(server, connection, respond)
    assert (error.code, len(asked)) == ("Redirected", 1)
    assert rule_of(error).never_charged


@pytest.mark.parametrize(
    ("head", "get"),
    [
        pytest.param(response(PAGE, headers=b'Content-Type: text/html\r\nETag: "e"\r\n'), GONE, id="a page"),
        pytest.param(response(ODATA, headers=b'Content-Type: application/json\r\nETag: "e"\r\n'), GONE, id="JSON"),
        pytest.param(response(PAGE, status="403 Forbidden", headers=b"Content-Type: text/html\r\n"), GONE, id="403"),
        pytest.param(response(b""), GONE, id="nothing"),
        pytest.param(TO_A_LOGIN, GONE, id="a redirect"),
        pytest.param(HEAD_404, response(PAGE, status="404 Not Found"), id="a page for 404"),
        pytest.param(HEAD_404, response(b"", status="404 Not Found"), id="nothing for 404"),
        pytest.param(HEAD_404, response(NO_SUCH_KEY[:-9], status="404 Not Found"), id="half an error for 404"),
        pytest.param(HEAD_404, response(PAGE), id="404, then a page"),
        pytest.param(HEAD_404, TO_A_LOGIN, id="404, then a redirect"),
        pytest.param(HEAD_404, response(b"x", status="206 Partial Content"), id="there, and not there"),
    ],
)
def test_a_product_is_unavailable_only_if_s3_itself_says_so(
    server: RawServer, connection: Connection, head: bytes, get: bytes
) -> None:
    assert refusal(server, connection, answering(response(EMPTY), head, get)).code in (
        "ProxyResponse",
        "InvalidResponse",
        "Redirected",
    )


@pytest.mark.parametrize(
    "prefix", [PREFIX, "Sentinel-5P%2FX%2B1.nc%2F", "Sentinel-5P/X%2B1.nc/"], ids=["plain", "RGW", "moto"]
)
@pytest.mark.parametrize("namespace", [NAMESPACE, ""])
def test_the_listings_of_real_servers_are_taken(
    server: RawServer, connection: Connection, prefix: str, namespace: str
) -> None:
    xml = b"Content-Type: application/xml\r\n"
    server.respond = answering(response(page_of(prefix=prefix, namespace=namespace), headers=xml))
    assert list_product(connection, "me", PLACE) == []
    connection.close()
    server.respond = answering(response(page_of(f"{PREFIX}a", prefix=prefix, namespace=namespace)))
    assert list_product(connection, "me", PLACE) == [ListedObject(f"{PREFIX}a", "a", 1, "e")]


class _NoProgress:
    def written(self, done_bytes: int) -> None: ...

    def safe(self, done_bytes: int) -> None: ...


def fetched(server: RawServer, connection: Connection, staging: Path, raw: bytes, *, whole: bool) -> Exception:
    """Fetch an object of 300 bytes with the ETag e, or its middle; return the error."""
    (staging / "a.tiff").write_bytes(bytes(300))
    server.respond = lambda _: raw
    connection.close()
    context = FetchContext(connection, "me", "eodata", memoryview(bytearray(1000)), UNLIMITED, 60.0, threading.Event())
    piece = Piece(1, 1, "P/a.tiff", "a.tiff", "e", 300, 0 if whole else 100, 300 if whole else 100, 0, 0)
    with pytest.raises((ServiceError, ProductError)) as caught:
        fetch_piece(context, piece, staging, frozenset(), _NoProgress())
    assert (staging / "a.tiff").read_bytes() == bytes(300)
    return caught.value


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize(
    "etag", [b'ETag: "e"\r\n', b'ETag: "of-the-page"\r\n', b""], ids=["its ETag", "own", "no ETag"]
)
@pytest.mark.parametrize(
    ("body", "kind"),
    [
        pytest.param(PAGE, b"text/html", id="a page"),
        pytest.param(b"  <html>", b"text/plain", id="a page of another type"),
        pytest.param(b"", b"text/plain", id="nothing"),
        pytest.param(ODATA, b"application/json", id="an answer of the catalogue"),
        pytest.param(TOKEN, b"", id="a token of no type"),
        pytest.param(EMPTY, b"application/xml", id="a listing"),
        pytest.param(NO_SUCH_KEY, b"application/xml", id="an error"),
    ],
)
def test_what_comes_in_place_of_an_object_is_the_services_fault_whatever_its_etag(
    server: RawServer, connection: Connection, tmp_path: Path, body: bytes, kind: bytes, etag: bytes, *, whole: bool
) -> None:
    headers = etag + (b"Content-Type: %b\r\n" % kind if kind else b"")
    error = fetched(server, connection, tmp_path, response(body, headers=headers), whole=whole)
    assert isinstance(error, ServiceError)
    assert rule_of(error).never_charged


def test_an_object_that_has_really_changed_is_known_where_if_match_is_ignored(
    server: RawServer, connection: Connection, tmp_path: Path
) -> None:
    error = fetched(
        server, connection, tmp_path, response(b"II*\0" + bytes(200), headers=b'ETag: "new"\r\n'), whole=True
    )
    assert isinstance(error, ProductError)
    assert error.code == "Changed"
