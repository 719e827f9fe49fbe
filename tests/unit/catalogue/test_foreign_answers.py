"""Responses of proxies and gateways in the place of the catalogue, the identity service or the keys manager."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from cdsed.catalogue.http_client import HttpClient
from cdsed.catalogue.names import look_up
from cdsed.catalogue.odata_client import ODataClient
from cdsed.catalogue.rate_limiter import RateLimiter
from cdsed.credentials.keys_manager import KeysManager
from cdsed.credentials.token_file import TokenFile, TokenGrant, token_path
from cdsed.credentials.tokens import Tokens
from cdsed.errors import ServiceError
from tests.support.catalogue_server import Response, Server, product, rows
from tests.support.clocks import HastyClock
from tests.support.identity_site import account
from tests.support.raw_server import raw_server
from tests.support.raw_server import response as response_of

NAME = "S1A_IW_SLC__1SDV_20240604T110059_20240604T110126_054172_069690_08A8.SAFE"
PAGE = b"<!DOCTYPE html><html><body>Sign in</body></html>"
S3 = b'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>eodata</Name></ListBucketResult>'
TOKEN = b'{"access_token": "x", "expires_in": 600, "token_type": "Bearer"}'
KEYS = b'{"credentials": [], "count": 0}'
ODATA = b'{"@odata.context": "$metadata#Products", "value": []}'
LOGIN = Response(b"", 302, {"Location": "https://login.example.org/"})
CUT = Response(rows(product(NAME)).body, announced=10_000)

FOREIGN = {
    "a page": Response(PAGE, headers={"Content-Type": "text/html"}),
    "nothing": Response(b""),
    "half an answer": Response(rows(product(NAME)).body[:-3]),
    "shorter than it says": CUT,
    "an answer of S3": Response(S3),
    "a redirect to a login page": LOGIN,
}


@pytest.fixture
def service(server):
    clock = HastyClock()
    with ODataClient(
        server.url, rate_limiter=RateLimiter(1000, clock), timeout_s=10, clock=clock, stop=threading.Event()
    ) as service:
        yield service


@pytest.mark.parametrize(
    "response",
    [
        *FOREIGN.values(),
        Response(TOKEN),
        Response(KEYS),
        Response(b'{"value": ""}'),
        Response(b'{"value": {}}'),
        Response(b'{"value": null}'),
        rows(product("S1A_ANOTHER.SAFE")),
    ],
    ids=[*FOREIGN, "a token", "keys", "text for rows", "an object for rows", "null for rows", "another question's"],
)
@pytest.mark.parametrize("asked", ["list", "filter", "deleted"])
def test_what_does_not_come_from_the_catalogue_makes_no_product_unknown(server: Server, service, asked, response):
    server.respond_to_list = lambda _: response if asked == "list" else rows()
    server.respond = lambda _: response if asked == "filter" else rows()
    server.respond_on_deleted = lambda _: response if asked == "deleted" else rows()

    with pytest.raises(ServiceError):
        look_up([NAME], service)


def test_a_product_is_unknown_when_list_filter_and_deletions_say_so(server: Server, service):
    server.respond_to_list = lambda _: rows()

    assert look_up([NAME], service).unknown == {NAME}


@pytest.fixture
def http_client():
    with HttpClient(timeout_s=10, clock=HastyClock(), stop=threading.Event()) as http_client:
        yield http_client


REFUSING = {
    f"{name}, {status}": replace(response, status=status)
    for name, response in FOREIGN.items()
    for status in (400, 401, 403, 404)
    if response is not LOGIN
}


@pytest.mark.parametrize(
    "response",
    [*FOREIGN.values(), *REFUSING.values(), Response(KEYS), Response(ODATA), Response(b'{"detail": "Not Found"}', 404)],
    ids=[*FOREIGN, *REFUSING, "keys", "an answer of the catalogue", "a refusal of the catalogue"],
)
@pytest.mark.parametrize("refreshing", [True, False])
def test_what_does_not_come_from_the_identity_service_refuses_no_login(tmp_path, http_client, response, *, refreshing):
    file = TokenFile(token_path(tmp_path, "first"))
    file.write(before := TokenGrant(refresh_token="r", refresh_until_s=1e12 if refreshing else 0.0))
    with always(response) as url, pytest.raises(ServiceError):
        Tokens(url, account(), tmp_path, http_client).access_token()

    assert file.read() == before


def test_a_token_without_its_members_is_none(tmp_path, http_client):
    for spoilt in ({"access_token": ""}, {"access_token": None}, {"expires_in": None}):
        body = json.dumps({**json.loads(TOKEN), **spoilt}).encode()
        with always(Response(body)) as url, pytest.raises(ServiceError):
            Tokens(url, account(), tmp_path, http_client).access_token()


@pytest.mark.parametrize(
    "response",
    [*FOREIGN.values(), *REFUSING.values(), Response(TOKEN), Response(ODATA), Response(b'{"credentials": ""}')],
    ids=[*FOREIGN, *REFUSING, "a token", "an answer of the catalogue", "text for keys"],
)
@pytest.mark.parametrize("call", ["listed", "create"])
def test_what_does_not_come_from_the_keys_manager_deletes_and_makes_no_key(tmp_path, http_client, response, call):
    with always(response) as url, pytest.raises(ServiceError):
        getattr(_manager(url, tmp_path, http_client), call)()


@pytest.mark.parametrize("response", [*FOREIGN.values(), *REFUSING.values()], ids=[*FOREIGN, *REFUSING])
def test_a_key_counts_as_deleted_only_when_the_keys_manager_says_so(tmp_path, http_client, response):
    with always(response) as url, pytest.raises(ServiceError):
        _manager(url, tmp_path, http_client).delete("key")


def _manager(url: str, folder: Path, http_client: HttpClient) -> KeysManager:
    TokenFile(token_path(folder, "first")).write(TokenGrant("token", 1e12))
    return KeysManager(url, "first", Tokens(url, account(), folder, http_client), http_client)


@contextmanager
def always(given: Response) -> Iterator[str]:
    """Answer every request alike; give the address."""
    headers = {**given.headers, "Connection": "close"}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()
    length = None if given.announced is None else str(given.announced)
    with raw_server() as server:
        server.respond = lambda _: response_of(given.body, status=f"{given.status} X", headers=lines, length=length)
        yield server.url
