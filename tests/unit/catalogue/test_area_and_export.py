import ast
import io
import json

import geopandas as gpd
import pandas as pd
import pytest
import shapely

from cdsed.catalogue.areafile import area_of, read_area
from cdsed.catalogue.export import Format, format_of, records, render
from cdsed.catalogue.frame import frame_of
from tests.support.catalogue_server import product

BOX = shapely.box(0, 0, 10, 10)
HOLED = shapely.Polygon(BOX.exterior, [shapely.box(2, 2, 3, 3).exterior])


@pytest.fixture
def frame():
    rows = [
        product(
            'Ünique, "name".SAFE',
            Footprint="geography'SRID=4326;POLYGON ((0 0, 1 0, 1 1, 0 0))'",
            ContentDate={"Start": "2024-06-04T11:01:00.494767Z", "End": "2024-06-04T11:01:31Z"},
            Attributes=[{"Name": "orbitNumber", "Value": 54172}],
        ),
        product("B.SAFE", Id="2", S3Path=None, Checksum=[]),
    ]
    return frame_of(rows, ["orbitNumber"])


@pytest.mark.parametrize(
    "text", [HOLED.wkt, f"SRID=4326;{HOLED.wkt}", f" {HOLED.wkt.lower()}\n", shapely.to_geojson(HOLED)]
)
def test_an_area_is_read_from_text_and_from_a_file_of_it(text, tmp_path):
    file = tmp_path / "area.txt"

    assert read_area(text).equals(HOLED)
    for encoding in ("utf-8", "utf-8-sig"):
        file.write_text(text, encoding=encoding)
        assert read_area(str(file)).equals(HOLED)


def test_features_are_taken_together(tmp_path):
    feature = {"type": "Feature", "properties": {}, "geometry": json.loads(shapely.to_geojson(BOX))}
    other = feature | {"geometry": json.loads(shapely.to_geojson(shapely.box(20, 0, 30, 10)))}
    found = read_area(json.dumps({"type": "FeatureCollection", "features": [feature, other]}))

    assert found.equals(shapely.union(BOX, shapely.box(20, 0, 30, 10)))


@pytest.mark.parametrize("suffix", ["gpkg", "geojson", "shp"])
def test_a_vector_file_is_read_in_its_own_reference_system(tmp_path, suffix):
    there = gpd.GeoDataFrame(geometry=[HOLED], crs="EPSG:4326")
    there = there if suffix == "geojson" else there.to_crs("EPSG:3857")
    there.to_file(tmp_path / f"area.{suffix}")

    assert read_area(str(tmp_path / f"area.{suffix}")).equals_exact(HOLED, 1e-6, normalize=True)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("nowhere", "neither WKT nor GeoJSON nor a file"),
        ("POLYGON ((0 0, 1 1", "not a WKT that can be read"),
        ("SRID=2154;POINT (0 0)", "SRID 2154"),
        ('{"type": "Nonsense"}', "not a GeoJSON that can be read"),
        ('{"type": "FeatureCollection", "features": []}', "no shapes"),
        ('{"type": "Point"', "not a GeoJSON that can be read"),
        ('{"type": "Nonsense", "crs": "EPSG:4326"}', "not a format that can be read"),
        ('{"type": "Nonsense", "crs": {"properties": null}}', "not a format that can be read"),
        ("S1A_" * 100, "neither WKT nor GeoJSON nor a file"),
    ],
)
def test_an_area_that_cannot_be_read_is_refused(text, complaint):
    with pytest.raises(ValueError, match=complaint):
        read_area(text)


def test_old_geojson_is_read_in_the_reference_system_it_names():
    there = gpd.GeoDataFrame(geometry=[HOLED], crs="EPSG:4326").to_crs("EPSG:3857")
    text = json.dumps({**json.loads(there.to_json()), "crs": {"type": "name", "properties": {"name": "EPSG:3857"}}})

    assert read_area(text).equals_exact(HOLED, 1e-6, normalize=True)


def test_a_table_without_shapes_is_no_area(tmp_path):
    (tmp_path / "listing.csv").write_text("id,safename\n1,S1A_X\n", encoding="utf-8")
    with pytest.raises(ValueError, match="no shapes"):
        read_area(str(tmp_path / "listing.csv"))


@pytest.mark.parametrize("content", [b"\x00\xff\x01", b"some words", b"x.bin"])
def test_a_file_that_is_no_area_is_refused(tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.bin").write_bytes(content)
    with pytest.raises(ValueError, match=r"x\.bin: not a format that can be read"):
        read_area("x.bin")


def test_a_listing_has_the_three_columns_the_inbox_takes(frame):
    assert render(frame, Format.LISTING).decode() == (
        "id,safename,S3Path\n"
        '521bd8f9-48a5-4e1f-9435-58f97cb64d39,"Ünique, ""name"".SAFE",'
        '"/eodata/Sentinel-1/SAR/Ünique, ""name"".SAFE"\n'
        "2,B.SAFE,\n"
    )


def test_csv_and_json_hold_every_column(frame):
    table = pd.read_csv(io.BytesIO(render(frame, Format.CSV)))
    document = json.loads(render(frame, Format.JSON))

    assert list(table.columns) == list(document[0]) == list(frame.columns)
    assert document == records(frame)
    assert document[0]["start"] == table["start"][0] == "2024-06-04T11:01:00.494767Z"
    assert document[0]["geometry"] == "POLYGON ((0 0, 1 0, 1 1, 0 0))"
    assert document[0]["orbitNumber"] == 54172
    assert document[1]["geometry"] is document[1]["md5"] is document[1]["start"] is document[1]["orbitNumber"] is None


def test_geojson_is_read_back_by_others(frame):
    back = gpd.read_file(io.BytesIO(render(frame, Format.GEOJSON)))

    assert back["name"].tolist() == frame["name"].tolist()
    assert back.geometry[0].equals(frame.geometry[0])


def test_parquet_keeps_every_type(frame):
    back = gpd.read_parquet(io.BytesIO(render(frame, Format.PARQUET)))

    assert back.dtypes.astype(str).equals(frame.dtypes.astype(str))
    assert back.equals(frame)


@pytest.mark.parametrize("form", Format)
def test_nothing_can_be_written_too(form):
    assert render(frame_of([]), form)


@pytest.mark.parametrize(
    ("suffix", "form"), [(".txt", "listing"), (".CSV", "csv"), (".geojson", "geojson"), (".parquet", "parquet")]
)
def test_the_name_decides_the_format(suffix, form):
    assert format_of(suffix) == form


def test_a_name_that_tells_nothing_is_refused():
    with pytest.raises(ValueError, match="docx"):
        format_of(".docx")


def test_the_columns_of_cdsodatacli_are_written_as_its_readers_expect(frame):
    table = pd.read_csv(io.BytesIO(render(frame, Format.CDSODATACLI)))

    assert list(table.columns) == ["Id", "Name", "S3Path", "geometry", "Checksum"]
    assert list(table["Name"]) == list(frame["name"])
    assert shapely.from_wkt(table["geometry"][0]).equals(frame.geometry[0])
    assert pd.isna(table["geometry"][1])
    assert pd.isna(table["S3Path"][1])
    expected = {"Value": "4eec48737ecab7aab2bf590a8dec23b1", "Algorithm": "MD5"}
    assert [ast.literal_eval(text) for text in table["Checksum"]] == [[expected], []]


@pytest.mark.parametrize("given", [gpd.GeoSeries([HOLED], crs=4326), gpd.GeoDataFrame(geometry=[HOLED])])
def test_an_area_may_be_a_table_of_geopandas(given):
    assert area_of(given).equals(HOLED)
    assert area_of(HOLED) is HOLED
    with pytest.raises(ValueError, match="the area 5 is neither"):
        area_of(5)
