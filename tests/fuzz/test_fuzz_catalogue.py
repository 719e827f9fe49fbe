"""Whatever the catalogue answers, it is read as documented, or it is an error of the service."""

import json
import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cdsed.catalogue.http_client import HttpResponse
from cdsed.catalogue.names import look_up
from cdsed.catalogue.odata_client import ODataClient
from cdsed.catalogue.query import Query
from cdsed.catalogue.rate_limiter import RateLimiter
from cdsed.catalogue.response import parse_deletions, parse_entries
from cdsed.catalogue.search import search
from cdsed.errors import CdsedError, ServiceError
from tests.fuzz.campaign import examples
from tests.fuzz.mutations import documents, mutated, restructured
from tests.support.catalogue_server import product
from tests.support.clocks import HastyClock
from tests.support.raw_server import RawServer, raw_server, response

_SIBLING = Path(__file__).parents[3] / "shared" / "data"
_DATA = Path(os.environ.get("CDSED_SHARED_DATA", _SIBLING))

NAME = "S1A_IW_SLC__1SDV_20240604T110059_20240604T110126_054172_069690_08A8.SAFE"
ROW = product(NAME, ContentDate={"Start": "2024-06-04T11:00:59Z", "End": "2024-06-04T11:01:26Z"}) | {
    "PublicationDate": "2024-06-04T12:19:02.060894Z",
    "Footprint": "geography'SRID=4326;POLYGON ((1 2, 3 4, 5 6, 1 2))'",
    "GeoFootprint": {"type": "Polygon", "coordinates": [[[1, 2], [3, 4], [5, 6], [1, 2]]]},
    "Attributes": [{"Name": "orbitNumber", "Value": 54172, "ValueType": "Integer"}],
}
PAGE = {"@odata.count": 1, "value": [ROW]}
URL = "https://catalogue.example/odata/v1"


@pytest.fixture(scope="module")
def server() -> Iterator[RawServer]:
    logging.disable(logging.WARNING)
    with raw_server() as server:
        yield server
    logging.disable(logging.NOTSET)


@pytest.fixture(scope="module")
def service(server: RawServer) -> Iterator[ODataClient]:
    clock = HastyClock()
    rate_limiter = RateLimiter(1e6, clock)
    with ODataClient(
        f"{server.url}/odata/v1", rate_limiter=rate_limiter, timeout_s=10, clock=clock, stop=threading.Event()
    ) as service:
        yield service


def _is_sensible(error: CdsedError) -> None:
    assert 0 < len(str(error)) < 1000


@examples(300)
@given(st.one_of(restructured(PAGE), documents(), st.fixed_dictionaries({"value": documents()})))
@example({"value": [ROW | {"ContentLength": float("inf")}]})
@example({"value": [ROW | {"ContentLength": float("nan")}]})
@example({"value": [ROW | {"Checksum": [{"Value": 1, "Algorithm": "MD5"}]}]})
@example({"value": [ROW | {"ModificationDate": "9999-12-31T23:59:59-23:59"}]})
@example({"value": [ROW | {"S3Path": 5}]})
@example({"value": [ROW | {"S3Path": ["/eodata"]}]})
@example({"value": [ROW | {"ContentLength": -5}]})
@example({"value": [ROW | {"ContentLength": "1" * 5000}]})
def test_any_answer_is_read_as_documented_or_refused(page: Any) -> None:
    if not isinstance(page, dict):
        return
    for parse in (parse_entries, parse_deletions):
        try:
            found = parse(page, URL)
        except ServiceError as error:
            _is_sensible(error)
            continue
        for row in found:
            assert isinstance(row.name, str)
            assert isinstance(row.product_id, str)
            if parse is parse_entries:
                assert isinstance(row.s3_path, str)
                assert 0 <= row.size_bytes < 2**63


@examples(60)
@given(st.one_of(restructured(PAGE).map(lambda page: json.dumps(page).encode()), mutated(json.dumps(PAGE).encode())))
def test_a_search_ends_in_rows_or_an_error_of_ours(server: RawServer, service: ODataClient, body: bytes) -> None:
    server.respond = lambda _: response(body)
    try:
        search(Query(collection="X"), service)
    except CdsedError as error:
        _is_sensible(error)


@examples(60)
@given(st.data())
def test_a_look_up_ends_in_facts_or_an_error_of_ours(
    server: RawServer, service: ODataClient, data: st.DataObject
) -> None:
    spoilt = [data.draw(mutated(json.dumps(PAGE).encode())), data.draw(restructured(PAGE).map(json.dumps)).encode()]
    status = data.draw(st.sampled_from(["200 OK", "400 Bad Request", "404 Not Found", "302 Found", "500 Oh"]))
    server.respond = lambda line: response(spoilt[line.startswith("GET")], status=status)
    try:
        facts = look_up([NAME], service)
    except CdsedError as error:
        _is_sensible(error)
    else:
        assert NAME in facts.found or NAME in facts.deleted or NAME in facts.unknown


@examples(40)
@given(st.one_of(mutated(response(json.dumps(PAGE).encode())), st.binary(max_size=300)))
@example(response(b"<html>maintenance</html>", headers=b"Content-Type: text/html\r\n"))
@example(response(json.dumps(PAGE).encode("utf-16")))
@example(response(b"{}", headers=b"Content-Encoding: gzip\r\n"))
@example(response(b"{}", headers=b"Transfer-Encoding: chunked\r\n"))
@example(response(b"", status="503 Later", headers=b"Retry-After: 99999999999999999999\r\n"))
@example(response(b"{}", length="-1"))
@example(response(b"{}", headers=b"X: " + b"y" * 70_000 + b"\r\n"))
def test_an_answer_that_is_no_http_is_an_error_of_ours(server: RawServer, service: ODataClient, raw: bytes) -> None:
    server.respond = lambda _: raw
    try:
        service.get("Products")
    except CdsedError as error:
        _is_sensible(error)


@examples(100)
@given(st.one_of(st.binary(max_size=200), documents().map(lambda document: json.dumps(document).encode())))
def test_what_the_identity_service_says_is_quoted_on_one_short_printable_line(body: bytes) -> None:
    said = HttpResponse("https://identity.example", 400, body).reason()
    assert said.isprintable()
    assert len(said) < 300


@examples(100)
@given(st.data())
def test_real_pages_of_the_catalogue_may_be_restructured_in_any_way(data: st.DataObject) -> None:
    pages = sorted(_DATA.glob("odata/odata_page_*.json"))
    if not pages:
        pytest.skip("no real pages here: set CDSED_SHARED_DATA")
    page = json.loads(data.draw(st.sampled_from(pages)).read_text(encoding="utf-8"))
    page["value"] = page["value"][:2]
    try:
        parse_entries(data.draw(restructured(page)), URL)
    except ServiceError as error:
        _is_sensible(error)
