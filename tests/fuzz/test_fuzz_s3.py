"""Whatever S3 answers, a listing is read or refused, and no byte passes that was not asked for."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cdsed.config.secrets import Secret
from cdsed.errors import CdsedError
from cdsed.model.eodata import safe_segments, split_s3_path
from cdsed.model.objects import ListedObject, Piece
from cdsed.transfer.bandwidth import UNLIMITED
from cdsed.transfer.connection import Connection, Credentials, Endpoint
from cdsed.transfer.fetch import FetchContext, fetch_piece
from cdsed.transfer.s3_list import list_product
from tests.fuzz.campaign import examples
from tests.fuzz.mutations import mutated
from tests.support.raw_server import RawServer, raw_server, response

PRODUCT = "/eodata/Sentinel-1/SAR/S1A_X.SAFE"
PREFIX = "Sentinel-1/SAR/S1A_X.SAFE/"
BODY = b"0123456789" * 30
ETAG = "d41d8cd98f00b204e9800998ecf8427e"
PAGE = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>eodata</Name>'
    f"<Prefix>{PREFIX}</Prefix><KeyCount>2</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>"
    + "".join(
        f"<Contents><Key>{PREFIX}{path}</Key><LastModified>2024-06-04T12:19:02.000Z</LastModified>"
        f"<ETag>&quot;{ETAG}&quot;</ETag><Size>300</Size><StorageClass>STANDARD</StorageClass></Contents>"
        for path in ("manifest.safe", "measurement/a.tiff")
    )
    + "</ListBucketResult>"
).encode()
SIZE, KEY = b"<Size>300</Size>", PREFIX.encode()
SECRET = "canary-of-the-s3-secret-key"


class Untold:
    """A progress sink that ignores everything."""

    def written(self, done_bytes: int) -> None:
        pass

    def safe(self, done_bytes: int) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[RawServer]:
    with raw_server() as server:
        yield server


@pytest.fixture(scope="module")
def connection(server: RawServer) -> Iterator[Connection]:
    endpoint = Endpoint(server.url, "default", 10.0, 10.0)
    connection = Connection(endpoint, Credentials(Secret("access"), Secret(SECRET)))
    yield connection
    connection.close()


def _is_sensible(error: CdsedError) -> None:
    assert 0 < len(str(error)) < 2000
    assert SECRET not in str(error)


def _listed(server: RawServer, connection: Connection, raw: bytes) -> list[ListedObject]:
    server.respond = lambda _: raw
    connection.close()
    try:
        return list_product(connection, "me", split_s3_path(PRODUCT))
    except CdsedError as error:
        _is_sensible(error)
        return []


@examples(50)
@given(mutated(PAGE))
@example(PAGE.replace(SIZE, b"<Size>-5</Size>"))
@example(PAGE.replace(SIZE, b"<Size>many</Size>"))
@example(PAGE.replace(SIZE, b""))
@example(PAGE.replace(SIZE, b"<Size>" + b"9" * 5000 + b"</Size>"))
@example(PAGE.replace(SIZE, b"<Size>9223372036854775808</Size>"))
@example(PAGE.replace(b"<ETag>&quot;" + ETAG.encode() + b"&quot;</ETag>", b""))
@example(PAGE.replace(b"<ETag>&quot;" + ETAG.encode() + b"&quot;</ETag>", b"<ETag/>"))
@example(PAGE.replace(b"<Key>", b"<Kye>").replace(b"</Key>", b"</Kye>"))
@example(PAGE.replace(b"<Key>", b"<Key>../"))
@example(PAGE.replace(b"2024-06-04", b"yesterday"))
@example(PAGE.replace(b">false<", b">true<"))
@example(b"")
@example(b"<html>maintenance</html>")
def test_a_spoilt_listing_is_refused_or_holds_only_what_can_be_files_of_the_product(
    server: RawServer, connection: Connection, body: bytes
) -> None:
    for item in _listed(server, connection, response(body)):
        assert safe_segments(item.path)
        assert 0 <= item.size_bytes < 2**63
        assert isinstance(item.etag, str)


def test_a_listing_without_end_is_given_up(
    server: RawServer, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cdsed.transfer.s3_list._OBJECTS_MAX", 1000)
    pages = iter(range(20))
    object_, end = PAGE[PAGE.index(b"<Contents>") :].split(b"</ListBucketResult>")[0], b"</ListBucketResult>"

    def page(_: str) -> bytes:
        more = b">true</IsTruncated><NextContinuationToken>%d</NextContinuationToken>" % next(pages)
        return response(PAGE.replace(b">false</IsTruncated>", more).replace(end, object_ * 100 + end))

    server.respond = page
    connection.close()
    with pytest.raises(CdsedError, match="has no end"):
        list_product(connection, "me", split_s3_path(PRODUCT))


@examples(60)
@given(st.sampled_from(["Content-Length", "ETag"]), st.text(st.characters(max_codepoint=255), max_size=30))
@example("Content-Length", "five")
@example("Content-Length", "-5")
@example("Content-Length", "9" * 30)
@example("Content-Length", "9" * 5000)
def test_a_single_object_that_is_described_strangely_is_refused(
    server: RawServer, connection: Connection, header: str, value: str
) -> None:
    nothing = response(PAGE[: PAGE.index(b"<Contents>")] + b"</ListBucketResult>")
    line = f"{header}: {value.replace(chr(13), '').replace(chr(10), '')}\r\n".encode("latin-1")
    head = b"HTTP/1.1 200 OK\r\n%b\r\n" % line
    server.respond = lambda request: head if request.startswith("HEAD") else nothing
    connection.close()
    try:
        found = list_product(connection, "me", split_s3_path(PRODUCT))
    except CdsedError as error:
        _is_sensible(error)
    else:
        assert all(0 <= item.size_bytes < 2**63 for item in found)


HONEST = response(
    BODY[100:200],
    status="206 Partial Content",
    headers=f'ETag: "{ETAG}"\r\nContent-Range: bytes 100-199/300\r\n'.encode(),
)


@examples(200)
@given(mutated(HONEST))
@example(HONEST.replace(b"bytes 100-199/300", b"bytes 0-99/300"))
@example(HONEST.replace(b"bytes 100-199/300", b"bytes 100-199/*"))
@example(HONEST.replace(b"Content-Length: 100", b"Content-Length: 1000000"))
@example(HONEST.replace(b"Content-Length: 100", b"Content-Length: -100"))
@example(HONEST.replace(b"Content-Length: 100", b"Transfer-Encoding: chunked"))
@example(HONEST.replace(b"206 Partial Content", b"200 OK"))
@example(HONEST.replace(ETAG.encode(), b"x"))
@example(HONEST.replace(b"206", b"999"))
@example(b"HTTP/1.1 100 Continue\r\n\r\n" * 200)
def test_a_piece_is_what_was_asked_for_or_an_error_of_ours(
    server: RawServer, connection: Connection, tmp_path_factory: pytest.TempPathFactory, raw: bytes
) -> None:
    staging = tmp_path_factory.getbasetemp() / "staging"
    staging.mkdir(exist_ok=True)
    (staging / "a.tiff").write_bytes(bytes(300))
    server.respond = lambda _: raw
    connection.close()
    buffer = memoryview(bytearray(1000))
    context = FetchContext(connection, "me", "eodata", buffer, UNLIMITED, 60.0, threading.Event())
    piece = Piece(1, 1, f"{PREFIX}a.tiff", "a.tiff", ETAG, 300, 100, 100, 0, 0)
    try:
        fetch_piece(context, piece, staging, frozenset(), Untold())
    except CdsedError as error:
        _is_sensible(error)
    written = (staging / "a.tiff").read_bytes()
    assert len(written) == 300
    assert written[:100] + written[200:] == bytes(200), "what was not asked for was written"


def test_the_honest_answers_pass(server: RawServer, connection: Connection, tmp_path: Path) -> None:
    assert [item.path for item in _listed(server, connection, response(PAGE))] == [
        "manifest.safe",
        "measurement/a.tiff",
    ]
    server.respond = lambda _: HONEST
    context = FetchContext(connection, "me", "eodata", memoryview(bytearray(1000)), UNLIMITED, 60.0, threading.Event())
    piece = Piece(1, 1, f"{PREFIX}a.tiff", "a.tiff", ETAG, 300, 100, 100, 0, 0)
    (tmp_path / "a.tiff").write_bytes(bytes(300))
    connection.close()
    fetch_piece(context, piece, tmp_path, frozenset(), Untold())
    assert (tmp_path / "a.tiff").read_bytes() == bytes(100) + BODY[100:200] + bytes(100)
