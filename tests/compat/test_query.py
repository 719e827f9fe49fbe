"""``cdsodatacli.query.fetch_data`` and functions that ask the catalogue: ids of a listing, temporary keys."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import geopandas as gpd
import pandas as pd
import pytest
from shapely.geometry import MultiPolygon, Point, Polygon, box

from cdsed.compat.download import add_missing_cdse_hash_ids_in_listing
from cdsed.compat.query import _pattern, fetch_data
from cdsed.compat.s3_temporary_access_token import _get_fresh_s3_client
from cdsed.errors import AccountError, InboxError, ServiceError
from cdsed.sandbox.accounts import make_accounts
from cdsed.sandbox.names import realistic_safenames
from tests.support.cdsodatacli import Old
from tests.support.sandbox import SandboxProcess

COLUMNS = [
    "Id",
    "Name",
    "ContentLength",
    "PublicationDate",
    "ModificationDate",
    "Online",
    "EvictionDate",
    "S3Path",
    "Checksum",
    "ContentDate",
    "Footprint",
    "GeoFootprint",
    "id_original_query",
    "geometry",
]
SEA = "POLYGON ((-30 40, -29 40, -29 41, -30 41, -30 40))"
LAND = "POLYGON ((5 46, 6 46, 6 47, 5 47, 5 46))"


def _name(day: int, mark: int, kind: str = "GRDH_1SDV") -> str:
    date = f"202406{day:02}"
    return f"S1A_IW_{kind}_{date}T110100_{date}T110131_054172_069690_{mark:04X}.SAFE"


@pytest.fixture(scope="module")
def shared_sandbox() -> Iterator[SandboxProcess]:
    """Give a catalogue with ten products, one a day, at sea on even days; and one account with a password."""
    first, second = make_accounts(2, seed=1)
    accounts = [replace(first, login="someone@example.org", password="canary-password"), second]
    with SandboxProcess(accounts) as sandbox:
        products = [
            {"safename": _name(day, day), "size_bytes": 1000, "footprint": SEA if day % 2 == 0 else LAND}
            for day in range(1, 11)
        ]
        sandbox.add_products(*products)
        yield sandbox


@pytest.fixture
def there(old: Old) -> Old:
    """Let the settings name the keys manager of the sandbox, too."""
    config = old.root / "cdsed.yml"
    text = config.read_text(encoding="utf-8")
    text = text.replace("services: {", f"services: {{keys_manager_url: {old.sandbox.url}/api/user, ")
    config.write_text(text, encoding="utf-8")
    return old


def _table(first: int = 1, last: int = 11, **columns: object) -> gpd.GeoDataFrame:
    values = {
        "start_datetime": [pd.Timestamp(2024, 6, first)],
        "end_datetime": [pd.Timestamp(2024, 6, last)],
        "id_query": ["mine"],
        "collection": ["SENTINEL-1"],
        **{name: [value] for name, value in columns.items()},
    }
    geometry = values.pop("geometry", [None])
    return gpd.GeoDataFrame(values, geometry=geometry)


def test_fetch_data_returns_the_rows_of_the_catalogue(there: Old) -> None:
    table = _table(geometry=box(-31, 39, -28, 42), name="S1A_IW_GRDH", sensormode="IW")
    before = table.copy()
    found = fetch_data(table)
    assert isinstance(found, pd.DataFrame)
    assert isinstance(found, gpd.GeoDataFrame)
    assert list(found.columns) == COLUMNS
    assert found.crs == "EPSG:4326"
    assert list(found["Name"]) == [_name(day, day) for day in (2, 4, 6, 8, 10)]
    first = found.iloc[0]
    assert first["S3Path"].startswith("/eodata/Sentinel-1/")
    assert first["ContentDate"]["Start"].startswith("2024-06-02T11:01:00.")
    assert first["Footprint"].startswith("geography'SRID=4326;POLYGON")
    assert first["GeoFootprint"]["type"] == "Polygon"
    assert {each["Algorithm"] for each in first["Checksum"]} <= {"MD5", "BLAKE3"}
    assert set(found["id_original_query"]) == {"mine"}
    assert isinstance(first["ModificationDate"], str)
    pd.testing.assert_frame_equal(table, before)


@pytest.mark.parametrize("querymode", ["seq", "multi"])
@pytest.mark.parametrize("timedelta_slice", [None, timedelta(days=1)])
def test_fetch_data_gives_the_same_in_slices_and_in_both_modes(
    there: Old, querymode: str, timedelta_slice: timedelta | None
) -> None:
    found = fetch_data(_table(), timedelta_slice=timedelta_slice, querymode=querymode, top=1)
    assert sorted(found["Name"]) == [_name(day, day) for day in range(1, 11)]


def test_fetch_data_keeps_the_queries_apart_and_each_product_once_in_each(there: Old) -> None:
    table = pd.concat([_table(1, 4), _table(3, 6), _table(3, 4).assign(id_query="other")], ignore_index=True)
    found = fetch_data(table)
    assert list(found["id_original_query"]) == ["mine"] * 5 + ["other"]
    assert list(found["Name"][:5]) == [_name(day, day) for day in range(1, 6)]


def test_fetch_data_computes_and_applies_the_sea_percentage(there: Old) -> None:
    found = fetch_data(_table(), min_sea_percent=50)
    assert list(found.columns) == [*COLUMNS, "sea_percent"]
    assert list(found["Name"]) == [_name(day, day) for day in (2, 4, 6, 8, 10)]
    assert found["sea_percent"].between(99, 100).all()


def test_an_answer_without_products_has_the_same_columns(there: Old) -> None:
    assert list(fetch_data(_table(20, 21)).columns) == COLUMNS
    assert list(fetch_data(_table(20, 21), min_sea_percent=1.0).columns) == [*COLUMNS, "sea_percent"]
    assert list(fetch_data(_table().iloc[:0]).columns) == COLUMNS


def test_holes_and_multipolygons_are_honoured(there: Old) -> None:
    around = Polygon(box(-40, 30, -20, 50).exterior, [box(-31, 39, -28, 42).exterior])
    assert fetch_data(_table(geometry=around)).empty
    both = MultiPolygon([box(-31, 39, -28, 42), box(4, 45, 7, 48)])
    assert len(fetch_data(_table(geometry=both))) == 10
    assert len(fetch_data(_table(geometry=Point(5.5, 46.5)))) == 5


def test_what_cannot_be_honoured_is_refused_and_names_the_row(there: Old) -> None:
    with pytest.raises(ValueError, match=r"lacks the column 'id_query'"):
        fetch_data(_table().drop(columns="id_query"))
    with pytest.raises(ValueError, match=r"row 0 of the table: .*window"):
        fetch_data(_table(5, 5))
    with pytest.raises(ValueError, match="row 0 of the table"):
        fetch_data(_table(geometry=Polygon([(0, 0), (1, 1), (0, 1), (1, 0)])))
    with pytest.raises(ValueError, match="seq or multi"):
        fetch_data(_table(), querymode="parallel")


def test_a_quote_in_a_name_is_no_way_into_the_filter(there: Old) -> None:
    assert fetch_data(_table(name="x') or contains(Name,'S1A")).empty


def test_old_column_names_and_extra_attributes_still_work(there: Old) -> None:
    table = _table(Attributes="cloudCover,20").rename(
        columns={"start_datetime": "startdate", "end_datetime": "stopdate"}
    )
    assert fetch_data(table).empty  # radar has no clouds


def test_the_cache_gives_all_rows_again_without_asking(there: Old) -> None:
    cache_dir = there.root / "cache"
    first = fetch_data(_table(), cache_dir=str(cache_dir))
    asked = there.sandbox.counters()["odata_requests"]
    again = fetch_data(_table(), cache_dir=str(cache_dir), display_tqdm=True)
    assert there.sandbox.counters()["odata_requests"] == asked
    pd.testing.assert_frame_equal(again, first)


def test_an_answer_that_failed_is_not_taken_for_an_empty_one(there: Old) -> None:
    config = there.root / "cdsed.yml"
    text = config.read_text(encoding="utf-8").replace("/odata/v1", "/odata/v1/nowhere")
    config.write_text(text, encoding="utf-8")
    with pytest.raises(ServiceError):
        fetch_data(_table())


def test_email_and_password_log_in_once_for_many_calls(there: Old) -> None:
    for _ in range(3):
        found = fetch_data(_table(1, 3), email="someone@example.org", password="canary-password")
        assert len(found) == 2
    grants = there.sandbox.call("GET", "identity")
    assert "canary" not in json.dumps(grants)
    assert sum(value for key, value in _numbers(grants) if "password" in key) <= 1, grants
    with pytest.raises(AccountError):
        fetch_data(_table(1, 3), email="nobody@example.org", password="wrong")


def _numbers(value: object, key: str = "") -> Iterator[tuple[str, int]]:
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _numbers(each, f"{key}.{name}")
    elif isinstance(value, int):
        yield key, value


def test_add_missing_ids_finds_ids_and_paths_in_the_order_of_the_listing(
    there: Old, caplog: pytest.LogCaptureFixture
) -> None:
    gone = realistic_safenames("S1_SLC", 1, seed=501)[0]
    names = [_name(3, 3), gone, _name(1, 1), _name(3, 3)]
    listing = there.root / "listing.txt"
    listing.write_text("\n".join(names) + "\n", encoding="utf-8")
    result = add_missing_cdse_hash_ids_in_listing(str(listing), there.conf(), display_tqdm=False)
    assert isinstance(result, pd.DataFrame)
    assert list(result.columns) == ["id", "safename", "S3Path"]
    assert list(result["safename"]) == [_name(3, 3), _name(1, 1)]
    assert all(len(number) == 36 for number in result["id"])
    assert result["S3Path"][0] == f"Sentinel-1/SAR/IW_GRDH_1S/2024/06/03/{_name(3, 3)}"
    assert gone in caplog.text


def test_add_missing_ids_of_nothing_has_the_same_columns(there: Old) -> None:
    listing = there.root / "listing.txt"
    listing.write_text("# nothing\n", encoding="utf-8")
    result = add_missing_cdse_hash_ids_in_listing(listing, {}, email=None, password=None)
    assert list(result.columns) == ["id", "safename", "S3Path"]
    with pytest.raises((InboxError, OSError)):
        add_missing_cdse_hash_ids_in_listing(str(Path(there.root, "absent.txt")), {})


def test_get_fresh_s3_client_makes_keys_and_a_resource_with_them(there: Old) -> None:
    fetch_data(_table(1, 2), email="someone@example.org", password="canary-password")
    token = json.loads(next(there.root.rglob("token.*.json")).read_text(encoding="utf-8"))["access_token"]
    made = _get_fresh_s3_client(there.conf(), {"Authorization": f"Bearer {token}"})
    assert isinstance(made, tuple)
    keys, resource = made
    assert {"access_id", "secret"} <= keys.keys()
    assert resource.meta.service_name == "s3"
    assert resource.meta.client.meta.endpoint_url == there.sandbox.url
    resource.meta.client.close()
    with pytest.raises(AccountError):
        _get_fresh_s3_client(there.conf(), {"Authorization": "Bearer stale"})


@pytest.mark.parametrize("extension", [".SAFE", ".SEN3", ".nc", ".SEN6"])
def test_a_whole_name_stands_for_itself_and_a_part_for_every_name_that_has_it(extension: str) -> None:
    assert _pattern(f"X{extension}") == f"X{extension}"
    assert _pattern("X") == "*X*"


def test_a_word_that_the_catalogue_does_not_have_is_logged(old: Old, caplog: pytest.LogCaptureFixture) -> None:
    gdf = pd.DataFrame({"start_datetime": [None], "end_datetime": [None], "id_query": ["a"], "collection": ["S1"]})
    assert fetch_data(gdf, checkpoint_dir=old.root / "checkpoints").empty
    assert "no collection 'S1'; it has SENTINEL-1" in caplog.text
    assert list((old.root / "checkpoints").iterdir()) != []


def test_a_time_in_the_table_is_a_time_or_refused(old: Old) -> None:
    gdf = pd.DataFrame({"start_datetime": [date(2024, 1, 1)], "end_datetime": ["2024/01/02"], "id_query": ["a"]})
    assert fetch_data(gdf.assign(collection="SENTINEL-1")).empty
    with pytest.raises(ValueError, match="row 0 of the table: 20240101 is not a date or time"):
        fetch_data(gdf.assign(start_datetime=20240101))
