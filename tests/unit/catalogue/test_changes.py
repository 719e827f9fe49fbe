"""What has changed in the catalogue since a time, asked of the sandbox."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import cast

import pytest

from cdsed.catalogue.changes import ChangeSearch, query_of
from cdsed.catalogue.odata_client import ODataClient
from cdsed.config.standing_queries import QueryConditions, StandingQuery
from cdsed.sandbox.names import realistic_safenames
from tests.support.catalogue_client import connect
from tests.support.sandbox import SandboxProcess

START_AT = datetime(2024, 1, 1, tzinfo=UTC).timestamp()
YEAR_S = 366 * 86_400.0


@pytest.fixture
def service(shared_sandbox: SandboxProcess) -> Iterator[ODataClient]:
    with connect(shared_sandbox.catalogue_url) as connected:
        yield connected


def standing(**values: object) -> StandingQuery:
    search = {"collection": "SENTINEL-2"}
    return StandingQuery.model_validate({"name": "all", "search": search, "every_s": 60.0, "overlap_s": 0.0, **values})


def test_short_windows_find_each_product_once_and_end_at_the_last(
    shared_sandbox: SandboxProcess, service: ODataClient
) -> None:
    shared_sandbox.generate(250, collection="SENTINEL-2", start="2024-01-01", end="2024-01-03", seed=4)
    source, query = ChangeSearch(service), standing(products_max=100)
    mark_at, names, runs = START_AT, [], 0
    while True:
        changes = source.changes(query, mark_at, time.time(), START_AT + YEAR_S)
        names += [each.safename for each in changes.products]
        runs += 1
        if changes.complete_until_at is None:
            break
        assert len(changes.products) <= 100
        assert changes.complete_until_at > mark_at
        mark_at = changes.complete_until_at
    assert len(names) == len(set(names)) == 250
    assert 3 <= runs <= 5


def test_deleted_products_are_found_with_their_cause(shared_sandbox: SandboxProcess, service: ODataClient) -> None:
    gone, other = realistic_safenames("S3", 2, seed=8)
    shared_sandbox.add_products(
        {"safename": gone, "deleted": {"cause": "Corrupted product", "at": "2025-06-01T00:00:00Z"}},
        {"safename": other, "deleted": {"cause": "Duplicated product", "at": "2024-01-01T00:00:00Z"}},
    )
    since_at = datetime(2025, 1, 1, tzinfo=UTC).timestamp()
    query = standing(search={"collection": "SENTINEL-3", "online": True})
    changes = ChangeSearch(service).changes(query, time.time(), since_at, time.time())
    assert changes.deleted is not None
    assert [(each.safename, each.cause) for each in changes.deleted] == [(gone, "Corrupted product")]
    assert changes.products == ()


class _Deleted:
    """A catalogue with these deleted rows, as OData gives them page by page."""

    url = "https://catalogue.example.org"

    def __init__(self, rows: list[dict[str, str]]) -> None:
        self.rows = rows

    def get(self, path: str, options: dict[str, str]) -> dict[str, object]:
        assert path == "DeletedProducts"
        since = options["$filter"].rpartition("DeletionDate ge ")[2]
        rows = [row for row in self.rows if row["DeletionDate"] >= since]
        assert int(options["$skip"]) <= 10_000, "the catalogue refuses more"
        return {"value": rows[int(options["$skip"]) :][: int(options["$top"])]}


def test_many_products_that_were_deleted_at_once_or_do_not_fit_hide_no_later_one() -> None:
    at_once = [{"DeletionDate": "2025-06-01T00:00:00.000000Z"} for _ in range(2500)]
    rows = [*at_once, {"DeletionDate": "2025-06-02T00:00:00.000000Z"}]
    rows = [{"Id": str(n), "Name": f"S2A_MSIL1C_{n}", "DeletionCause": "", **row} for n, row in enumerate(rows)]
    rows[-1]["Name"] = "S2A_MSIL2A_X"
    source = ChangeSearch(cast("ODataClient", _Deleted(rows)))
    since = datetime(2025, 1, 1, tzinfo=UTC)
    every = source._deleted(query_of(QueryConditions(collection="SENTINEL-2")), since)
    assert every is not None
    assert len(every) == 2501
    some = source._deleted(query_of(QueryConditions(collection="SENTINEL-2", name="S2A_MSIL2A_*")), since)
    assert [each.safename for each in some or ()] == ["S2A_MSIL2A_X"]


def test_a_catalogue_without_deleted_products_does_not_fail(
    shared_sandbox: SandboxProcess, service: ODataClient
) -> None:
    shared_sandbox.fault(kind="not_found", operation="odata", key="*DeletionDate*")
    try:
        changes = ChangeSearch(service).changes(standing(), time.time(), time.time(), time.time())
    finally:
        shared_sandbox.clear_faults()
    assert changes.deleted is None


def test_the_words_of_the_settings_are_those_of_a_search() -> None:
    conditions = QueryConditions(area="POINT (-5 48)", attributes=("orbitNumber >= 100",), cloud_max_percent=20)
    query = query_of(conditions)
    assert query.area is not None
    assert query.cloud_max_percent == 20
    assert query.attributes[0].name == "orbitNumber"
    with pytest.raises(ValueError, match="not a date or time"):
        query_of(QueryConditions(start="yesterday"))
