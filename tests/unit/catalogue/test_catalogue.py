import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote

import pytest
import requests

from cdsed.catalogue.names import Names
from cdsed.catalogue.odata_client import ODataClient
from cdsed.catalogue.rate_limiter import RateLimiter
from cdsed.clock import SYSTEM_CLOCK, Clock
from cdsed.errors import FaultDomain, ServiceError, Stopped
from cdsed.model.catalogue_entry import CatalogueEntry
from tests.support.catalogue_server import Response, Server, product, rows, serving

A = "S1A_IW_GRDH_1SDV_20240604T110100_20240604T110131_054172_069690_E33E.SAFE"
B = "S2A_MSIL1C_20240912T112541_N0511_R137_T28PHQ_20240912T133420.SAFE"
DATA = Path(os.environ.get("CDSED_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data"))


class Catalogue(ODataClient):
    """A service that takes no FilterList, so that each question is one GET."""

    def find(self, names: list[str], per_filter: int = 15) -> dict[str, CatalogueEntry]:
        return dict(Names(self, per_filter=per_filter).look_up(names).found)


def make(url: str, clock: Clock, stop: threading.Event, *, requests_per_s: float = 1e6, **changes: object) -> Catalogue:
    settings = {"timeout_s": 5.0} | changes
    return Catalogue(url, rate_limiter=RateLimiter(requests_per_s, clock), clock=clock, stop=stop, **settings)


class FastClock(Clock):
    """The machine's clock, but waiting takes no time: what was asked for is written down."""

    def __init__(self) -> None:
        self.waited_s: list[float] = []

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        if seconds > 0:
            self.waited_s.append(seconds)
        return stop.is_set()


@pytest.fixture
def clock() -> FastClock:
    return FastClock()


@pytest.fixture
def stop() -> threading.Event:
    return threading.Event()


@pytest.fixture
def catalogue(server: Server, clock: FastClock, stop: threading.Event) -> Iterator[Catalogue]:
    with make(server.url, clock, stop) as client:
        yield client


def refusal(catalogue: Catalogue, names: list[str] | None = None, **options: int) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        catalogue.find(names or [A], **options)
    assert caught.value.fault_domain is FaultDomain.SERVICE
    return caught.value


def test_names_are_found_and_unknown_ones_left_out(server, catalogue):
    server.responses(rows(product(A)), rows())  # the second one is asked for B without its extension

    found = catalogue.find([B, A])

    assert list(found) == [A]
    entry = found[A]
    assert entry.product_id == "521bd8f9-48a5-4e1f-9435-58f97cb64d39"
    assert (entry.s3_path, entry.size_bytes, entry.online) == (
        f"/eodata/Sentinel-1/SAR/{A}",
        2121095339,
        True,
    )
    assert entry.md5 == "4eec48737ecab7aab2bf590a8dec23b1"
    assert entry.modified_at == datetime(2024, 6, 4, 12, 19, 2, 60894, tzinfo=UTC)


def test_the_question_is_one_filter_with_an_explicit_limit(server, catalogue):
    catalogue.find([A, B])

    bare_a, bare_b = A.removesuffix(".SAFE"), B.removesuffix(".SAFE")
    assert server.filters() == [f"Name eq '{A}' or Name eq '{B}'", f"Name eq '{bare_a}' or Name eq '{bare_b}'"]
    assert server.paths[0].startswith("/odata/v1/Products?$filter=")
    assert server.paths[0].endswith("&$top=1000")
    assert server.agents[0].startswith("cdsed/")


def test_quotes_and_separators_in_a_name_cannot_change_the_question(server, catalogue):
    catalogue.find(["S1A_'&$top=0#% +é.SAFE"])

    assert server.filters() == ["Name eq 'S1A_''&$top=0#% +é.SAFE'", "Name eq 'S1A_''&$top=0#% +é'"]


def test_nothing_asked_is_no_request(server, catalogue):
    assert catalogue.find([]) == {}
    assert server.paths == []


def test_a_name_asked_twice_is_asked_once(server, catalogue):
    catalogue.find([A, A])

    assert server.filters() == [f"Name eq '{name}'" for name in (A, A.removesuffix(".SAFE"))]


def test_many_names_go_in_batches_over_one_connection(server, catalogue):
    names = [f"S1A_{number:02}.SAFE" for number in range(40)]
    server.respond = lambda path: rows(*(product(name) for name in names if f"'{name}'" in unquote(path)))

    assert list(catalogue.find(names)) == names
    assert [asked.count("Name eq") for asked in server.filters()] == [15, 15, 10]
    assert len(server.peers) == 1


def test_long_names_make_smaller_batches_so_that_no_url_passes_2048_characters(server, catalogue):
    names = [f"S1A_{number:02}_{'X' * 240}.SAFE" for number in range(20)]

    catalogue.find(names)

    assert max(len(server.url.removesuffix("/odata/v1") + path) for path in server.paths) <= 2048
    asked = [*names, *(name.removesuffix(".SAFE") for name in names)]
    assert " or ".join(server.filters()) == " or ".join(f"Name eq '{name}'" for name in asked)
    assert len(server.paths) == 6


def test_of_two_rows_with_one_name_the_newest_counts(server, catalogue):
    older, newer = "2024-01-01T00:00:00.000Z", "2024-01-01T00:00:00.000001Z"
    server.responses(
        rows(
            product(A, Id="old", ModificationDate=older),
            product(A, Id="new", ModificationDate=newer),
            product(A, Id="old", ModificationDate=older),
        )
    )

    assert catalogue.find([A])[A].product_id == "new"


@pytest.mark.parametrize(
    ("fields", "attribute", "value"),
    [
        ({"Checksum": []}, "md5", None),
        ({"Checksum": None}, "md5", None),
        ({"Checksum": [{"Algorithm": "MD5", "Value": "N/A"}]}, "md5", None),
        ({"Checksum": [{"Algorithm": "MD5", "Value": "0" * 32}]}, "md5", None),
        ({"Checksum": [{"Algorithm": "BLAKE3", "Value": "a" * 32}]}, "md5", None),
        ({"ContentLength": 0}, "size_bytes", 0),
        ({"ContentLength": None}, "size_bytes", 0),
        ({"Online": False}, "online", False),
        ({"S3Path": None}, "s3_path", ""),
        (
            {"ModificationDate": "2024-06-04T12:19:02"},
            "modified_at",
            datetime(2024, 6, 4, 12, 19, 2, tzinfo=UTC),
        ),
        (
            {"ModificationDate": "2024-06-04T12:19:02.123456789Z"},
            "modified_at",
            datetime(2024, 6, 4, 12, 19, 2, 123456, tzinfo=UTC),
        ),
    ],
)
def test_the_gaps_of_real_rows_are_understood(server, catalogue, fields, attribute, value):
    server.responses(rows(product(A, **fields)))

    assert getattr(catalogue.find([A])[A], attribute) == value


@pytest.mark.parametrize(
    ("responses", "waited_s"),
    [
        ([Response(status=500)], (1, 2)),
        ([Response(status=503, headers={"Retry-After": "7"})], (7, 7)),
        ([Response(status=429, headers={"Retry-After": "2"})], (2, 2)),
        ([Response(b'{"value": [', announced=4000)], (1, 2)),
        ([Response(b"<html>maintenance</html>")], (1, 2)),
        ([Response(b'{"value": []}', announced=14)], (1, 2)),
        ([Response(status=500), Response(status=502), Response(status=504)], (7, 10)),
    ],
)
def test_what_may_pass_is_tried_again_after_a_pause(server, catalogue, clock, responses, waited_s):
    server.responses(*responses, rows(product(A)))

    assert A in catalogue.find([A])
    assert waited_s[0] - 0.1 <= sum(clock.waited_s) <= waited_s[1] + 0.1


@pytest.mark.parametrize(
    ("response", "code", "quote"),
    [
        (Response(b"oops", 500), "ServerError", "answered 500: oops"),
        (Response(b"", 503), "ServerError", "answered 503: nothing"),
        (
            Response(b'{"error":"WAF","message":"Rate limit exceeded","status":429}', 429),
            "TooManyRequests",
            "answered 429: WAF Rate limit exceeded",
        ),
        (Response(b'{"value": [', announced=4000), "TruncatedBody", "the response ended early"),
        (Response(b"[1, 2]"), "InvalidResponse", "not as documented"),
        (Response(b"\xff\xfe"), "InvalidResponse", "not as documented"),
    ],
)
def test_what_does_not_pass_is_reported_after_four_tries(server, catalogue, response, code, quote):
    server.respond = lambda _: response

    error = refusal(catalogue)

    assert error.code == code
    assert quote in str(error)
    assert len(server.paths) == 4


@pytest.mark.parametrize(
    ("response", "code", "quote"),
    [
        (
            Response(
                b'{"detail":[{"type":"less","loc":["query","$top"],"msg":"Input should be less"}]}',
                422,
            ),
            "BadQuery",
            "answered 422: query $top Input should be less",
        ),
        (
            Response(b'{"detail":{"message":"Invalid value","request_id":"x"}}', 400),
            "BadQuery",
            "400: Invalid value",
        ),
        (Response(b'{"detail":"Not Found"}', 404), "BadQuery", "answered 404: Not Found"),
        (Response(b"\x1b[31mgo\naway", 403), "Refused", "answered 403: [31mgo away"),
        (Response(b"", 302, {"Location": "http://127.0.0.1:1/"}), "NotTheCatalogue", "services.catalogue_url"),
        (rows({"Name": A}), "InvalidResponse", "KeyError: 'Online'"),
        (rows(product(A, Online="yes")), "InvalidResponse", "another type"),
        (rows(product(A, ModificationDate="yesterday")), "InvalidResponse", "not as documented"),
        (
            rows(product(A), **{"@odata.nextLink": "http://more"}),
            "InvalidResponse",
            "more rows than were asked for",
        ),
    ],
)
def test_what_cannot_pass_is_not_tried_again(server, catalogue, clock, response, code, quote):
    server.respond = lambda _: response

    error = refusal(catalogue)

    assert error.code == code
    assert quote in str(error)
    assert len(server.paths) == 1
    assert clock.waited_s == []


def test_a_long_retry_after_is_left_to_the_schedule(server, catalogue, clock):
    server.responses(Response(status=429, headers={"Retry-After": "600"}))

    assert refusal(catalogue).retry_after_s == 600
    assert clock.waited_s == []


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("Fri, 01 Jan 2100 00:00:00 GMT", 3600),
        ("9" * 400, 3600),
        ("Fri, 01 Jan 99999999999 00:00:00 GMT", None),
        ("soon", None),
        ("-5", None),
    ],
)
def test_retry_after_may_be_a_date_and_nonsense_counts_as_absent(server, catalogue, value, seconds):
    server.respond = lambda _: Response(status=429, headers={"Retry-After": value})

    assert refusal(catalogue).retry_after_s == seconds


def test_a_server_that_hangs_is_given_up_in_time(server, clock, stop):
    release = threading.Event()
    server.respond = lambda _: Response(hang=release)

    with make(server.url, clock, stop, timeout_s=0.2) as catalogue:
        error = refusal(catalogue)
    release.set()

    assert error.code == "Timeout"
    assert len(server.paths) == 4


def test_a_catalogue_that_is_not_there_is_named(clock, stop):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/odata/v1"
        with make(url, clock, stop) as catalogue:
            error = refusal(catalogue)

    assert error.code == "ConnectionFailed"
    assert str(error) == f"{url}: no connection: [Errno 111] Connection refused"


def test_a_failure_in_a_later_batch_is_no_short_answer(server, clock, stop):
    server.responses(rows(product(A)), Response(status=400))

    with make(server.url, clock, stop) as catalogue:
        assert refusal(catalogue, [A, B], per_filter=1).code == "BadQuery"


def test_a_stop_ends_the_pause_before_the_next_try_at_once(server, stop):
    server.respond = lambda _: Response(status=429, headers={"Retry-After": "25"})
    threading.Timer(0.3, stop.set).start()

    began = time.monotonic()
    with make(server.url, SYSTEM_CLOCK, stop) as catalogue, pytest.raises(Stopped):
        catalogue.find([A])

    assert time.monotonic() - began < 20
    assert len(server.paths) == 1


def test_requests_keep_their_pace(server, clock, stop):
    server.respond = lambda path: rows(*(product(name) for name in (A, B) if f"'{name}'" in unquote(path)))
    with make(server.url, clock, stop, requests_per_s=0.1) as catalogue:
        catalogue.find([A, B], per_filter=1)

    assert (len(server.lists), len(server.paths)) == (1, 2)
    assert clock.waited_s == pytest.approx([10, 20], abs=2)  # this clock only writes down how long


def test_no_password_of_netrc_reaches_the_catalogue(server, clock, stop, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("default login me password canary\n", encoding="utf-8")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with make(server.url, clock, stop) as catalogue:
        request = catalogue._http_client._session.prepare_request(requests.Request("GET", server.url))

    assert "Authorization" not in request.headers


def test_tls_is_verified_and_a_ca_file_can_vouch(certificate, clock, stop):
    with serving(certificate) as server:
        with make(server.url, clock, stop) as stranger:
            error = refusal(stranger)
        with make(server.url, clock, stop, ca_file=certificate.with_name("crt")) as friend:
            assert friend.find([A]) == {}

    assert error.code == "TlsFailed"
    assert "services.ca_file" in str(error)
    assert len(server.paths) == 2


@pytest.mark.skipif(not DATA.is_dir(), reason="the shared sample data is not here (CDSED_SHARED_DATA)")
@pytest.mark.parametrize("page", range(1, 6))
def test_real_pages_of_the_catalogue_are_understood(server, catalogue, page):
    response = json.loads((DATA / "odata" / f"odata_page_{page}.json").read_text("utf-8"))
    response.pop("@odata.nextLink", None)  # these pages come from a search, not from a question by name
    names = [row["Name"] for row in response["value"]]
    server.responses(Response(json.dumps(response).encode()))

    found = catalogue.find(names)

    assert list(found) == names
    for row in response["value"]:
        entry = found[row["Name"]]
        assert (entry.product_id, entry.s3_path, entry.size_bytes) == (
            row["Id"],
            row["S3Path"],
            row["ContentLength"],
        )
        assert entry.md5 == next(c["Value"] for c in row["Checksum"] if c["Algorithm"] == "MD5")
