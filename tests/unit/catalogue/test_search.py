import json
import threading
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from cdsed.catalogue.cache import Cache
from cdsed.catalogue.query import Query
from cdsed.catalogue.search import search
from cdsed.clock import SYSTEM_CLOCK
from cdsed.errors import Incomplete, ServiceError, Stopped
from tests.support.catalogue_client import connect
from tests.support.catalogue_server import Response, product

DAY = Query(start=datetime(2024, 1, 1, tzinfo=UTC), end=datetime(2024, 1, 2, tzinfo=UTC), collection="SENTINEL-1")


@pytest.fixture
def service(sandbox):
    with connect(sandbox.catalogue_url) as connected:
        yield connected


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "cache", 86_400, SYSTEM_CLOCK)


class Book:
    """Products of one moment each, served page by page as the catalogue does."""

    def __init__(self, server, count: int, link: str | None = "@odata.nextLink") -> None:
        self.rows = [
            product(
                f"P{number:05}.SAFE",
                Id=f"id-{number:05}",
                ContentDate={"Start": f"{timestamp(number):%Y-%m-%dT%H:%M:%S.%f}Z", "End": None},
            )
            for number in range(count)
        ]
        self.link = link
        self.lost = 0  # rows that are counted and not given
        self.url = server.url
        server.respond = self.response

    def response(self, path: str) -> Response:
        options = {name: values[0] for name, values in parse_qs(urlsplit(path).query).items()}
        rows = [row for row in self.rows if self.within(row, options.get("$filter", ""))]
        skip, top = int(options.get("$skip", 0)), int(options["$top"])
        assert options["$orderby"] == "ContentDate/Start asc"
        assert skip <= 10_000
        assert top <= 1000
        page = {"@odata.count": len(rows), "value": rows[: len(rows) - self.lost][skip : skip + top]}
        if self.link and skip + top < len(rows):
            query = "&".join(f"{name}={value}" for name, value in {**options, "$skip": skip + top}.items())
            page[self.link] = f"https://behind.the.proxy/odata/v1/Products?{query}".replace(" ", "+")
        return Response(json.dumps(page).encode())

    def within(self, row, text: str) -> bool:
        start = row["ContentDate"]["Start"]
        terms = [term.removeprefix("ContentDate/Start ") for term in text.split(" and ")]
        edges = {term[:2]: term[3:] for term in terms if term[:3] in {"ge ", "lt "}}
        return edges.get("ge", "") <= start < edges.get("lt", "9")


def timestamp(number: int) -> datetime:
    return datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=number)


@pytest.mark.parametrize("link", ["@odata.nextLink", "@OData.nextLink", None])
def test_pages_are_followed_by_whatever_link_there_is_and_by_count_without_one(server, link):
    Book(server, 2500, link)
    with connect(server.url) as service:
        found = search(DAY, service)

    assert found["id"].tolist() == [f"id-{number:05}" for number in range(2500)]
    assert len(server.paths) == 3


def test_a_link_to_another_host_is_followed_at_the_configured_host(server):
    Book(server, 1500)
    with connect(server.url) as service:
        assert len(search(DAY, service)) == 1500


def test_a_slice_that_overflows_is_cut_until_every_part_can_be_had(server):
    Book(server, 25_000)
    with connect(server.url) as service:
        found = search(DAY, service)

    assert found["id"].nunique() == len(found) == 25_000


def test_an_open_window_is_cut_as_well(server):
    Book(server, 12_000)
    with connect(server.url) as service:
        assert len(search(Query(collection="X"), service)) == 12_000


def test_windows_are_half_open_so_that_no_product_is_met_twice_or_missed(server):
    Book(server, 3600)
    with connect(server.url) as service:
        hours = [
            search(
                Query(start=timestamp(first), end=timestamp(first + 600), collection="X"), service, slice_length=length
            )
            for first in range(0, 3600, 600)
            for length in (None, timedelta(seconds=100))
        ]

    assert [len(hour) for hour in hours] == [600] * 12


def test_more_products_of_one_moment_than_can_be_had_are_an_error_and_no_short_answer(server):
    book = Book(server, 11_001)
    for row in book.rows:
        row["ContentDate"]["Start"] = "2024-01-01T00:00:00.000000Z"
    with connect(server.url) as service, pytest.raises(Incomplete, match="11000 at most; narrow the query"):
        search(DAY, service)


def test_exactly_as_many_as_can_be_had_are_had(server):
    book = Book(server, 11_000, None)
    for row in book.rows:
        row["ContentDate"]["Start"] = "2024-01-01T00:00:00.000000Z"
    with connect(server.url) as service:
        assert len(search(DAY, service)) == 11_000


@pytest.mark.parametrize("link", ["@odata.nextLink", None])
def test_rows_that_are_counted_and_not_given_are_an_error(server, link):
    Book(server, 1500, link).lost = 1
    with connect(server.url) as service, pytest.raises(Incomplete, match=r"counts 1500 products .* gave 1499"):
        search(DAY, service)


def test_an_answer_that_was_kept_and_no_longer_fits_is_asked_for_again(server, cache):
    book = Book(server, 1500)
    book.lost = 1
    with connect(server.url) as service, pytest.raises(Incomplete):
        search(DAY, service, cache=cache)
    book.lost = 0
    with connect(server.url) as service:
        assert len(search(DAY, service, cache=cache)) == 1500


def test_a_count_that_is_missing_is_an_error(server):
    server.responses(Response(b'{"value": []}'))
    with connect(server.url) as service, pytest.raises(ServiceError, match="how many rows"):
        search(DAY, service)


@pytest.mark.parametrize("row", [{"Name": "X"}, {"Id": "1", "Name": "X", "Online": "yes"}, "X", None])
def test_a_row_that_is_not_as_documented_is_an_error(server, row):
    server.responses(Response(json.dumps({"@odata.count": 1, "value": [row]}).encode()))
    with connect(server.url) as service, pytest.raises(ServiceError, match="not as documented"):
        search(DAY, service)


@pytest.mark.parametrize(("status", "code"), [(404, "BadQuery"), (422, "BadQuery")])
def test_a_refusal_is_quoted_at_once(server, status, code):
    server.respond = lambda _: Response(b'{"detail": "no such attribute"}', status)
    with connect(server.url) as service, pytest.raises(ServiceError, match="no such attribute") as caught:
        search(DAY, service)

    assert caught.value.code == code
    assert len(server.paths) == 1


def test_a_second_search_asks_for_nothing_and_finds_the_same(server, cache):
    Book(server, 2500)
    with connect(server.url) as service:
        first = search(DAY, service, cache=cache)
        asked = len(server.paths)
        second = search(DAY, service, cache=cache)

    assert len(server.paths) == asked
    assert second.equals(first)
    assert len(second) == 2500


def test_of_two_rows_with_one_name_the_newest_is_found(server):
    book = Book(server, 3)
    book.rows[1] |= {"Name": "P00000.SAFE", "ModificationDate": "2025-01-01T00:00:00Z"}
    with connect(server.url) as service:
        found = search(DAY, service)

    assert found["id"].tolist() == ["id-00001", "id-00002"]


def test_a_pattern_with_pieces_in_the_wrong_order_is_sorted_out(server):
    book = Book(server, 2)
    book.rows[0]["Name"], book.rows[1]["Name"] = "S1A_x_y.SAFE", "S1A_y_x.SAFE"
    with connect(server.url) as service:
        assert search(Query(name="S1A*x*y*"), service)["name"].tolist() == ["S1A_x_y.SAFE"]


def test_nothing_found_has_the_columns_of_something_found(server):
    Book(server, 1)
    with connect(server.url) as service:
        some = search(Query(columns=("orbitNumber", "cloudCover")), service)
        none = search(Query(columns=("orbitNumber", "cloudCover"), start=timestamp(100)), service)

    assert len(none) == 0
    assert none.dtypes.equals(some.dtypes)
    assert none.crs == some.crs == "EPSG:4326"


def test_progress_is_shown_to_the_end(server):
    Book(server, 25_000)
    reported = []
    with connect(server.url) as service:
        search(DAY, service, progress=reported.append)

    assert reported[-1].rows == 25_000
    assert reported[-1].slices_done == reported[-1].slices > 1


def test_a_stop_ends_a_search(server):
    Book(server, 25_000)
    stop = threading.Event()
    stop.set()
    with connect(server.url, stop) as service, pytest.raises(Stopped):
        search(DAY, service)


def test_a_failure_in_one_slice_ends_the_others(server):
    book = Book(server, 25_000)

    def response(path):
        return Response(b'{"detail": "no"}', 400) if len(server.paths) == 3 else book.response(path)

    server.respond = response
    with connect(server.url) as service, pytest.raises(ServiceError, match="no"):
        search(DAY, service)
    assert len(server.paths) < 15


def test_attributes_asked_for_are_typed_columns(sandbox, service):
    sandbox.call("POST", "catalogue/generate", {"count": 50, "start": "2024-01-01", "end": "2024-01-02"})
    columns = ("orbitNumber", "polarisationChannels", "beginningDateTime", "sliceProductFlag", "cloudCover")
    found = search(Query(collection="SENTINEL-1", columns=columns), service)

    assert [str(found[name].dtype) for name in columns] == [
        "Int64",
        "string",
        "datetime64[us, UTC]",
        "boolean",
        "Float64",
    ]
    assert found["orbitNumber"].notna().all()
    assert (found["beginningDateTime"] == found["start"]).all()
    assert found["cloudCover"].isna().all()


@pytest.mark.parametrize("kind", ["internal_error", "throttle", "short_body", "reset"])
def test_a_failure_of_every_fifth_request_changes_nothing(sandbox, service, kind):
    sandbox.call("POST", "catalogue/generate", {"count": 2000, "start": "2024-01-01", "end": "2024-01-02"})
    sandbox.fault(kind=kind, operation="odata", every=5)
    found = search(DAY, service, slice_length=timedelta(hours=1))

    assert found["id"].nunique() == len(found) == 2000
    assert sandbox.counters()["faults"][kind] >= 4
