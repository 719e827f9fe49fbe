import json
import os
from pathlib import Path

import pandas as pd
import pytest
import shapely

from cdsed.catalogue.frame import COLUMNS, frame_of, whole_frame
from tests.support.catalogue_server import product

DATA = Path(os.environ.get("CDSED_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data"))
TYPES = {
    "id": "string",
    "name": "string",
    "s3_path": "string",
    "size_bytes": "int64",
    "online": "bool",
    "start": "datetime64[us, UTC]",
    "end": "datetime64[us, UTC]",
    "published": "datetime64[us, UTC]",
    "modified": "datetime64[us, UTC]",
    "evicted": "datetime64[us, UTC]",
    "md5": "string",
    "blake3": "string",
    "geometry": "geometry",
}


def footprint(wkt: str):
    return frame_of([product("A", Footprint=f"geography'SRID=4326;{wkt}'")]).geometry[0]


@pytest.mark.parametrize("rows", [[], [product("A")]])
def test_the_columns_are_the_same_with_and_without_rows(rows):
    frame = frame_of(rows)

    assert {name: str(kind) for name, kind in frame.dtypes.items()} == TYPES
    assert tuple(frame.columns) == COLUMNS
    assert frame.crs == "EPSG:4326"


def test_the_columns_of_attributes_are_the_same_with_and_without_rows():
    columns = ("orbitNumber", "cloudCover", "sliceProductFlag", "processingDate", "anything")
    some, none = frame_of([product("A")], columns), frame_of([], columns)

    assert some.dtypes.equals(none.dtypes)
    assert some[list(columns)].isna().all(axis=None)


@pytest.mark.parametrize(
    ("text", "timestamp"),
    [
        ("2024-06-04T12:19:02Z", "2024-06-04T12:19:02Z"),
        ("2024-06-04T12:19:02", "2024-06-04T12:19:02Z"),
        ("2024-06-04T12:19:02.1Z", "2024-06-04T12:19:02.1Z"),
        ("2024-06-04T12:19:02.123456789Z", "2024-06-04T12:19:02.123456Z"),
        ("2024-06-04T14:19:02.5+02:00", "2024-06-04T12:19:02.5Z"),
    ],
)
def test_moments_have_any_number_of_digits_and_are_utc(text, timestamp):
    assert frame_of([product("A", ModificationDate=text)])["modified"][0] == pd.Timestamp(timestamp)


def test_one_moment_of_another_form_changes_no_other():
    texts = ["2024-06-04T12:19:02.5Z", None, "2024-06-04T14:19:02+02:00", "2024-06-04T12:19:02.123456Z"]
    plain, mixed = (
        frame_of([product("A", PublicationDate=text) for text in some])["published"] for some in (texts[::3], texts)
    )

    assert mixed[[0, 3]].tolist() == plain.tolist()
    assert pd.isna(mixed[1])
    assert mixed[2] == pd.Timestamp("2024-06-04T12:19:02Z")


@pytest.mark.parametrize(("name", "value"), [("Id", 5), ("Name", None), ("Online", 1), ("Online", None)])
def test_a_row_with_a_value_of_another_type_is_refused(name, value):
    with pytest.raises(TypeError, match="instead of"):
        frame_of([product("A"), product("B", **{name: value})])


@pytest.mark.parametrize("never", ["", None, "9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999999Z"])
def test_an_eviction_that_never_comes_is_none(never):
    assert pd.isna(frame_of([product("A", EvictionDate=never)])["evicted"][0])


def test_a_validity_far_in_the_future_is_no_error():
    row = product("A", ContentDate={"Start": "2014-04-06T01:00:00Z", "End": "9999-12-31T23:59:59Z"})

    assert frame_of([row])["end"][0].year == 9999


def test_digests_that_are_none_are_missing():
    for checksum in (None, [], [{"Algorithm": "MD5", "Value": "N/A"}], [{"Algorithm": "MD5", "Value": "0" * 32}]):
        assert pd.isna(frame_of([product("A", Checksum=checksum)])["md5"][0])


def test_a_footprint_may_come_as_text_or_as_geojson_or_not_at_all():
    geojson = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}
    rows = [
        product("A", Footprint="geography'SRID=4326;POLYGON ((0 0, 1 0, 1 1, 0 0))'", GeoFootprint=None),
        product("B", Footprint=None, GeoFootprint=geojson),
        product("C", Footprint="rubbish", GeoFootprint=geojson),
        product("D", Footprint=None, GeoFootprint=None),
    ]
    found = frame_of(rows).geometry

    assert found[0].equals(found[1])
    assert found[1].equals(found[2])
    assert found[3] is None


@pytest.mark.parametrize(
    ("wkt", "area"),
    [
        ("POLYGON ((179 0, -179 0, -179 1, 179 1, 179 0))", 2),
        ("POLYGON ((179 0, 181 0, 181 1, 179 1, 179 0))", 2),
        (
            "MULTIPOLYGON (((179 0, 180 0, 180 1, 179 1, 179 0)), ((-180 0, -179 0, -179 1, -180 1, -180 0)))",
            2,
        ),
    ],
)
def test_a_footprint_across_the_antimeridian_is_a_valid_multipolygon_of_its_own_size(wkt, area):
    found = footprint(wkt)

    assert found.is_valid
    assert found.geom_type == "MultiPolygon"
    assert found.area == pytest.approx(area)
    assert found.bounds[0] >= -180
    assert found.bounds[2] <= 180


def test_a_footprint_around_a_pole_encloses_it():
    found = footprint("POLYGON ((0 80, 90 80, 180 80, -90 80, 0 80))")

    assert found.is_valid
    assert found.area == pytest.approx(360 * 10)


def test_a_wide_footprint_that_does_not_jump_stays_as_it_is():
    wkt = "POLYGON ((-150 0, 0 0, 150 0, 150 10, 0 10, -150 10, -150 0))"

    assert footprint(wkt).equals(shapely.from_wkt(wkt))


def test_a_footprint_that_crosses_itself_is_mended():
    assert footprint("POLYGON ((0 0, 2 2, 2 0, 0 2, 0 0))").is_valid


def test_a_footprint_on_no_globe_is_none():
    assert footprint("POLYGON ((0 0, 900 0, 900 1, 0 0))") is None


def test_of_one_name_the_newest_row_stays_and_rows_are_in_the_order_of_sensing():
    def row(name, number, modified, start):
        dates = {"Start": start, "End": start}
        return product(name, Id=number, ModificationDate=modified, ContentDate=dates)

    first = frame_of([row("B", "1", "2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z")])
    second = frame_of(
        [
            row("B", "2", "2024-01-01T00:00:00.000001Z", "2024-01-01T00:00:00Z"),
            row("A", "3", "2024-01-01T00:00:00Z", "2023-01-01T00:00:00Z"),
        ]
    )

    whole = whole_frame([first, second])

    assert whole["id"].tolist() == ["3", "2"]
    assert {name: str(kind) for name, kind in whole.dtypes.items()} == TYPES
    assert whole.index.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("orbitNumber", "many"),
        ("orbitNumber", 5.5),
        ("orbitNumber", [5]),
        ("processingDate", "soon"),
        ("processingDate", "2024-13-45T00:00:00Z"),
        ("processingDate", "0001-01-01T00:00:00+05:00"),
    ],
)
def test_an_attribute_that_is_not_of_its_type_is_missing(name, value):
    frame = frame_of([product("A", Attributes=[{"Name": name, "Value": value}])], [name])

    assert pd.isna(frame[name][0])
    assert frame.dtypes[name] == frame_of([], [name]).dtypes[name]


@pytest.mark.skipif(not DATA.is_dir(), reason="the shared sample data is not here (CDSED_SHARED_DATA)")
@pytest.mark.parametrize("page", range(1, 6))
def test_real_pages_become_frames(page):
    rows = json.loads((DATA / "odata" / f"odata_page_{page}.json").read_text("utf-8"))["value"]
    frame = frame_of(rows, ["productType", "orbitNumber", "processingDate"])

    assert len(frame) == len(rows)
    for number, row in enumerate(rows):
        attributes = {each["Name"]: each["Value"] for each in row["Attributes"]}
        assert frame["name"][number] == row["Name"]
        assert frame["size_bytes"][number] == row["ContentLength"]
        assert frame["start"][number] == pd.Timestamp(row["ContentDate"]["Start"])
        assert frame["productType"][number] == attributes["productType"]
        if "processingDate" in attributes:
            assert frame["processingDate"][number] == pd.Timestamp(attributes["processingDate"])
        if row["GeoFootprint"]:
            assert frame.geometry[number].equals(shapely.from_geojson(json.dumps(row["GeoFootprint"])))
        else:
            assert frame.geometry[number] is None
