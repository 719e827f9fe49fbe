"""Broken and hostile responses end in an error of cdsed that quotes no secret."""

import json
import threading
from typing import Any

import pytest

from cdsed.catalogue.batch_query import BatchQuery
from cdsed.catalogue.cache import Cache
from cdsed.catalogue.http_client import HttpClient, HttpResponse
from cdsed.catalogue.odata_client import ODataClient
from cdsed.catalogue.query import Query
from cdsed.catalogue.rate_limiter import RateLimiter
from cdsed.catalogue.search import search
from cdsed.clock import Clock
from cdsed.credentials.keys_manager import KeysManager
from cdsed.credentials.token_file import TokenFile, TokenGrant, check_token, token_path
from cdsed.credentials.tokens import Tokens
from cdsed.errors import ServiceError
from tests.support.catalogue_server import Response, Server, product, rows, serving
from tests.support.clocks import HastyClock
from tests.support.identity_site import account

NAME = "S1A_IW_SLC__1SDV_20240604T110059_20240604T110126_054172_069690_08A8.SAFE"
CANARY = "canary-token"
DEEP = b'{"value":' + b"[" * 100_000 + b"]" * 100_000 + b"}"


@pytest.fixture
def service(server):
    clock = HastyClock()
    with ODataClient(
        server.url, rate_limiter=RateLimiter(1000, clock), timeout_s=10, clock=clock, stop=threading.Event()
    ) as service:
        yield service


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "cache", 3600, Clock())


def row(**fields: Any) -> dict[str, Any]:
    return product(NAME, ContentDate={"Start": "2024-06-04T11:00:59Z", "End": "2024-06-04T11:01:26Z"}, **fields)


@pytest.mark.parametrize(
    "response",
    [
        rows(row(ContentLength=10**30), **{"@odata.count": 1}),
        rows(row(PublicationDate="0001-01-01T00:00:00+05:00"), **{"@odata.count": 1}),
        rows(row() | {"Name": None}, **{"@odata.count": 1}),
        rows(row(Id=5), **{"@odata.count": 1}),
        rows(row() | {"Name": "\ud800"}, **{"@odata.count": 1}),
        rows(row(), **{"@odata.count": 2, "@odata.nextLink": "http://[nowhere"}),
        rows(row(), **{"@odata.count": 10**400}),
        Response(DEEP),
    ],
    ids=[
        "huge size",
        "before all time",
        "no name",
        "a number as id",
        "half a character",
        "no link",
        "huge count",
        "deep",
    ],
)
def test_an_answer_that_cannot_be_is_an_error_of_the_service(server: Server, service, response):
    server.respond = lambda _: response

    with pytest.raises(ServiceError) as caught:
        search(Query(collection="X"), service)

    assert caught.value.code == "InvalidResponse"


def test_a_refusal_nested_without_end_is_a_refusal_all_the_same(server: Server, service):
    server.respond = lambda _: Response(DEEP, 400)

    with pytest.raises(ServiceError) as caught:
        service.get("Products")

    assert caught.value.code == "BadQuery"


@pytest.mark.parametrize("spoilt", [b"", b'{"value": [', b"[]", b'{"value": 5}', DEEP])
def test_a_kept_answer_that_was_spoilt_is_asked_for_again(server: Server, service, cache, tmp_path, spoilt):
    server.respond = lambda _: rows(row(), **{"@odata.count": 1})
    assert len(search(Query(collection="X"), service, cache=cache)) == 1
    [kept] = tmp_path.joinpath("cache").glob("??/*")
    kept.write_bytes(spoilt)

    assert list(search(Query(collection="X"), service, cache=cache)["name"]) == [NAME]
    assert len(server.paths) == 2
    assert kept.read_bytes() != spoilt


@pytest.mark.parametrize("token", [f"{CANARY}\nX-Other: y", f"{CANARY} ", f"{CANARY}€", f"{CANARY}\0"])
def test_a_token_that_fits_no_header_is_never_sent_nor_quoted(tmp_path, monkeypatch, token):
    with serving() as server, HttpClient(timeout_s=10, clock=HastyClock(), stop=threading.Event()) as http_client:
        # No sandbox gives such tokens.
        monkeypatch.setattr(http_client, "send_with_retry", lambda *_, **__: _Granted(token))
        with pytest.raises(ServiceError) as caught:
            Tokens(server.url, account(), tmp_path, http_client).access_token()
    with pytest.raises(ValueError, match="visible") as refused:
        check_token(token)

    assert CANARY not in str(caught.value) + str(refused.value)
    assert caught.value.__suppress_context__


class _Granted:
    url = "http://identity"
    status = 200

    def __init__(self, token: str) -> None:
        self._token = token

    def json_object(self) -> dict[str, Any]:
        return {"access_token": self._token, "expires_in": 600}


@pytest.mark.parametrize(
    "spoilt",
    [
        {"access_until_s": "x"},
        {"access_until_s": None},
        {"access_token": 5, "access_until_s": 1e12},
        {"access_token": "two\nlines", "access_until_s": 1e12},
        {"refused_until_s": "later", "refused_for": 1},
        {"refusals": "many"},
        {"unheard": "of"},
    ],
)
def test_a_shared_token_file_of_wrong_types_is_as_good_as_none(tmp_path, spoilt):
    path = token_path(tmp_path, "first")
    TokenFile(path).write(TokenGrant(access_token="good", access_until_s=1e12))
    document = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(document | spoilt), encoding="utf-8")

    assert TokenFile(path).read() == TokenGrant()


@pytest.mark.parametrize(
    ("count", "expires"),
    [(None, None), ("many", None), (1e400, None), (1, "9999-12-31T23:59:59-05:00"), (1, "0001-01-01T00:00:00+05:00")],
)
def test_a_list_of_keys_that_cannot_be_is_an_error_of_the_service(server: Server, tmp_path, count, expires):
    key = {"access_id": "A", "expiration_date": expires}
    body = json.dumps({"credentials": [key], "count": count}).replace("Infinity", "1e400").encode()
    server.respond = lambda _: Response(body)
    with HttpClient(timeout_s=10, clock=HastyClock(), stop=threading.Event()) as http_client:
        tokens = Tokens(server.url, account(), tmp_path, http_client)
        TokenFile(token_path(tmp_path, account().name)).write(TokenGrant("token", 1e12))
        with pytest.raises(ServiceError) as caught:
            KeysManager(server.url, "first", tokens, http_client).listed()

    assert caught.value.code == "InvalidResponse"


def test_a_token_without_an_end_is_an_error_of_the_service(tmp_path, monkeypatch):
    body = b'{"access_token": "x", "expires_in": 1' + b"0" * 400 + b"}"
    with HttpClient(timeout_s=10, clock=HastyClock(), stop=threading.Event()) as http_client:
        # No sandbox says so.
        monkeypatch.setattr(http_client, "send_with_retry", lambda *_, **__: HttpResponse("x", 200, body))
        tokens = Tokens("x", account(), tmp_path, http_client)
        with pytest.raises(ServiceError) as caught:
            tokens.access_token()

    assert caught.value.code == "InvalidResponse"


@pytest.mark.parametrize("link", ["http://[nowhere", "http://127.0.0.1:1/Products", 5])
def test_a_question_by_name_follows_no_link_that_leads_elsewhere(server: Server, service, link):
    first = rows(row(), **{"@odata.nextLink": link})
    server.respond = lambda path: first if "$filter" in path else Response(b"{}", 404)
    pages = BatchQuery(service, "Products", 10, order="ContentDate/Start asc").pages([f"Name eq '{NAME}'"])
    next(pages)

    with pytest.raises(ServiceError) as caught:
        next(pages)

    assert caught.value.code in {"NotTheCatalogue", "BadQuery"}
