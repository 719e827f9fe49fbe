"""Footprints over the antimeridian and the poles, in the forms of the real catalogue: read, searched, and measured."""

import json

import geopandas as gpd
import pytest
import shapely
from shapely.geometry.base import BaseGeometry

from cdsed.catalogue.area import parts
from cdsed.catalogue.footprint import footprints
from cdsed.catalogue.sea import sea_percent

# Across the antimeridian in the open Pacific: 4 x 2 degrees.
CUT = "MULTIPOLYGON (((178 1, 180 1, 180 3, 178 3, 178 1)), ((-180 1, -178 1, -178 3, -180 3, -180 1)))"
JUMPS = "POLYGON ((178 1, -178 1, -178 3, 178 3, 178 1))"
BEYOND = "POLYGON ((178 1, 182 1, 182 3, 178 3, 178 1))"
# Around the north pole: sea above Greenland.
POLE = "POLYGON ((-180 85, -90 85, 0 85, 90 85, 180 85, 180 90, 90 90, 0 90, -90 90, -180 90, -180 85))"
POLE_SHORT = "POLYGON ((-180 85, 0 85, 180 85, 180 90, -180 90, -180 85))"
POLE_JUMPS = "POLYGON ((0 85, 90 85, 180 85, -90 85, 0 85))"
# Around the south pole: land.
SOUTH = "POLYGON ((-180 -86, 180 -86, 180 -90, -180 -90, -180 -86))"
# Both: an orbit from the Pacific over the pole.
ORBIT = (
    "MULTIPOLYGON (((170 1, 180 1, 180 3, 170 3, 170 1)),"
    " ((-180 1, -178 1, -178 3, -170 85, 0 85, 180 85, 180 90, -180 90, -180 1)))"
)
# As some orbits of 2016: an edge of 270 degrees on the plane does not jump, because the catalogue has cut it already.
HALF_THE_GLOBE = "POLYGON ((-180 89, 90 89, 180 80, 180 -60, -47 -68, -180 -69, -180 89))"
ALL = [CUT, JUMPS, BEYOND, POLE, POLE_SHORT, POLE_JUMPS, SOUTH, ORBIT, HALF_THE_GLOBE]


def _read(wkt: str) -> BaseGeometry:
    shape = shapely.from_wkt(wkt, on_invalid="ignore")
    as_text = {"Footprint": f"geography'SRID=4326;{wkt}'"}
    as_json = {"Footprint": None, "GeoFootprint": json.loads(shapely.to_geojson(shape))}
    text, geojson = footprints([as_text, as_json])
    assert text.equals(geojson)
    return text


@pytest.mark.parametrize("wkt", [CUT, POLE, POLE_SHORT, SOUTH, ORBIT, HALF_THE_GLOBE])
def test_what_the_catalogue_has_cut_itself_stays_as_it_is(wkt: str) -> None:
    assert _read(wkt).equals(shapely.from_wkt(wkt))


@pytest.mark.parametrize(("wkt", "same"), [(JUMPS, CUT), (BEYOND, CUT), (POLE_JUMPS, POLE)])
def test_what_jumps_becomes_what_the_catalogue_would_cut(wkt: str, same: str) -> None:
    assert _read(wkt).equals(shapely.from_wkt(same))


@pytest.mark.parametrize("wkt", ALL)
def test_every_form_is_valid_and_on_the_globe(wkt: str) -> None:
    found = _read(wkt)
    west, south, east, north = found.bounds
    assert found.is_valid
    assert west >= -180
    assert east <= 180
    assert south >= -90
    assert north <= 90


@pytest.mark.parametrize(
    ("wkt", "sea"), [(CUT, 100), (JUMPS, 100), (BEYOND, 100), (POLE, 100), (POLE_JUMPS, 100), (SOUTH, 0)]
)
def test_the_sea_of_each_form_is_right(wkt: str, sea: int) -> None:
    assert sea_percent(gpd.GeoSeries([_read(wkt)], crs="EPSG:4326"))[0] == pytest.approx(sea, abs=0.1)


@pytest.mark.parametrize(
    ("area", "found"),
    [
        (shapely.box(179, 0, 181, 2), {CUT, ORBIT}),
        (shapely.box(-181, 0, -179, 2), {CUT, ORBIT}),
        (shapely.from_wkt("POLYGON ((179 0, -179 0, -179 2, 179 2, 179 0))"), {CUT, ORBIT}),
        (shapely.box(-179.5, 0, -179, 2), {CUT, ORBIT}),
        (shapely.box(171, 0, 172, 2), {ORBIT}),
        (shapely.from_wkt("POLYGON ((0 88, 90 88, 180 88, -90 88, 0 88))"), {POLE, ORBIT}),
        (shapely.Point(77, 89.9), {POLE, ORBIT}),
        (shapely.from_wkt("POLYGON ((0 -88, 90 -88, 180 -88, -90 -88, 0 -88))"), {SOUTH}),
        (shapely.box(0, 0, 10, 10), set()),
        (shapely.box(-180, -90, 180, 90), {CUT, POLE, SOUTH, ORBIT}),
    ],
)
def test_an_area_finds_the_footprints_that_it_meets_and_no_other(area: BaseGeometry, found: set[str]) -> None:
    pieces = parts(area)
    for wkt in (CUT, POLE, SOUTH, ORBIT):
        assert any(piece.intersects(_read(wkt)) for piece in pieces) == (wkt in found)
