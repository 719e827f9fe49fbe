import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from cdsed.catalogue.odata_client import ODataClient
from cdsed.catalogue.rate_limiter import RateLimiter
from cdsed.clock import SYSTEM_CLOCK
from cdsed.errors import ServiceError
from tests.support.catalogue_server import Response
from tests.support.daemon import wait_until


def connect(server, **changes):
    settings = {"rate_limiter": RateLimiter(1e6, SYSTEM_CLOCK), "timeout_s": 5.0, "token": None} | changes
    return ODataClient(server.url, clock=SYSTEM_CLOCK, stop=threading.Event(), **settings)


def test_options_are_quoted(server):
    with connect(server) as service:
        assert service.get("Products", {"$filter": "Name eq 'a&b+c é'"}) == {"value": []}

    assert server.paths == ["/odata/v1/Products?$filter=Name%20eq%20'a%26b%2Bc%20%C3%A9'"]


def test_the_bytes_of_an_answer_are_given_as_they_came(server):
    server.respond = lambda _: Response(b' {"value" :[]}\n')
    with connect(server) as service:
        reply = service.fetch("Products")

    assert reply.body == b' {"value" :[]}\n'
    assert reply.content == {"value": []}


@pytest.mark.parametrize("url", ["http://elsewhere/odata/v1/Products", "https://127.0.0.1/Products"])
def test_no_other_service_is_asked(server, url):
    with connect(server) as service, pytest.raises(ServiceError, match="points to another service"):
        service.get(url)
    assert server.paths == []


def test_an_absolute_url_of_this_service_is_asked(server):
    with connect(server) as service:
        service.get(f"{server.url}/Products?%24skip=20")

    assert server.paths == ["/odata/v1/Products?%24skip=20"]


def test_a_token_is_asked_for_with_each_request_and_sent(server, monkeypatch):
    seen = []
    tokens = iter(["first", "second"])
    with connect(server, token=lambda: next(tokens)) as service:
        session = service._http_client._session
        send = session.send
        monkeypatch.setattr(session, "send", lambda r, **k: seen.append(r.headers["Authorization"]) or send(r, **k))
        service.get("Products")
        service.get("Products")

    assert seen == ["Bearer first", "Bearer second"]


def test_a_retry_after_holds_back_every_thread(server, caplog):
    answered = []

    def respond(_path):
        answered.append(time.monotonic())
        return Response(status=429, headers={"Retry-After": "1"}) if len(answered) == 1 else Response()

    server.respond = respond
    with connect(server) as service, ThreadPoolExecutor(2) as pool:
        first = pool.submit(service.get, "Products")
        wait_until("the rate limiter pauses", lambda: "retry in" in caplog.text)
        second = pool.submit(service.get, "Products")
        assert first.result() == second.result() == {"value": []}

    assert min(answered[1:]) - answered[0] > 0.9
