"""Footprints are read from files that exist anyway, whatever form these have."""

import json
import os
from pathlib import Path

import pytest

from cdsed.web import footprints

_ONE = "S1A_IW_GRDH_1SDV_20240604T110100_20240604T110131_054172_069690_E33E.SAFE"
_TWO = "S2A_MSIL1C_20240912T112541_N0511_R137_T28PHQ_20240912T133420.SAFE"
_SQUARE = [[0.0, 0.0], [2.0, 0.0], [2.0, 1.0], [0.0, 0.0]]
_WKT = "POLYGON ((0 0, 2 0, 2 1, 0 0))"
_GEOJSON = {"type": "Polygon", "coordinates": [_SQUARE]}


def _found(path: Path, text: str, *names: str) -> dict[str, object]:
    path.write_text(text, encoding="utf-8")
    return footprints.find({*names}, path, path.parent / "no-cache", count=len(names))


@pytest.mark.parametrize(
    "text",
    [
        f'name,footprint\n{_ONE},"{_WKT}"\n',
        f"{_ONE};geography'SRID=4326;{_WKT}'\n",
        json.dumps({"value": [{"Name": _ONE, "Footprint": f"geography'SRID=4326;{_WKT}'"}]}),
        json.dumps({"value": [{"Name": _ONE, "Footprint": None, "GeoFootprint": _GEOJSON}]}),
        json.dumps([{"Name": _ONE, "GeoFootprint": _GEOJSON}]),
        json.dumps({"type": "FeatureCollection", "features": [{"properties": {"Name": _ONE}, "geometry": _GEOJSON}]}),
        json.dumps({"features": [{"id": _ONE, "properties": {}, "geometry": _GEOJSON}]}),
        json.dumps({"Name": _ONE, "Footprint": _WKT}) + "\n" + json.dumps({"Name": _TWO}) + "\n",
    ],
    ids=["csv", "text", "odata wkt", "odata geojson", "list", "geojson", "stac", "json lines"],
)
def test_a_footprint_is_found_in_each_form_of_listing(tmp_path: Path, text: str) -> None:
    assert _found(tmp_path / "listing", text, _ONE) == {_ONE: _GEOJSON}


def test_a_name_that_the_state_has_with_an_extension_is_found_without_it(tmp_path: Path) -> None:
    text = json.dumps({"features": [{"id": _ONE.removesuffix(".SAFE"), "properties": {}, "geometry": _GEOJSON}]})
    assert _found(tmp_path / "listing", text, _ONE) == {_ONE: _GEOJSON}


def test_cached_responses_are_searched_the_newest_first_and_only_as_long_as_needed(tmp_path: Path) -> None:
    for number, name in enumerate((_ONE, _TWO)):
        file = tmp_path / "cache" / "ab" / f"{number}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"value": [{"Name": name, "GeoFootprint": _GEOJSON}]}), encoding="utf-8")
    found = footprints.find({_ONE, _TWO}, tmp_path / "gone", tmp_path / "cache", count=2)
    assert set(found) == {_ONE, _TWO}


@pytest.mark.parametrize(
    "text",
    ["", "{", "[" * 5000, "null", '{"value": 7}', '{"value": [7, null, {"Name": 3}]}', f"{_ONE},POLYGON((a b))",
     f"{_ONE},POLYGON((0 0, 1 1, 0 0))", f"{_ONE},POLYGON((0 99, 1 99, 1 98, 0 99))",
     json.dumps([{"Name": _ONE, "GeoFootprint": {"type": "Polygon", "coordinates": []}}]),
     json.dumps([{"Name": _ONE, "GeoFootprint": {"type": "Polygon", "coordinates": [[["x", None]]]}}]),
     f'[{{"Name": "{_ONE}", "GeoFootprint": {{"type": "Polygon", "coordinates": [[[1{"0" * 400}, 0]]]}}}}]',
     f'[{{"Name": "{_ONE}", "GeoFootprint": {{"type": "Polygon", "coordinates": [[[NaN, Infinity]]]}}}}]'],
)  # fmt: skip
def test_what_is_not_a_footprint_is_left_out(tmp_path: Path, text: str) -> None:
    assert _found(tmp_path / "listing", text, _ONE) == {}


def test_a_footprint_across_the_antimeridian_goes_beyond_180_degrees() -> None:
    found = footprints.of_wkt("POLYGON ((179 0, -179 0, -179 1, 179 1, 179 0))")
    assert found == {"type": "Polygon", "coordinates": [[[179, 0], [181, 0], [181, 1], [179, 1], [179, 0]]]}


def test_two_parts_stay_two_parts_and_a_long_outline_is_thinned() -> None:
    two = footprints.of_wkt("MULTIPOLYGON (((170 0, 180 0, 180 1, 170 0)), ((-180 0, -170 0, -180 1, -180 0)))")
    assert two is not None
    assert two["type"] == "MultiPolygon"
    assert len(two["coordinates"]) == 2
    corners = ", ".join(f"{number / 100} {number / 200}" for number in range(5000))
    long = footprints.of_wkt(f"POLYGON (({corners}, 0 0))")
    assert long is not None
    [ring] = long["coordinates"]
    assert len(ring) <= 49
    assert ring[0] == ring[-1]


def test_a_pipe_in_the_place_of_a_listing_keeps_no_one_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "listing")
    assert footprints.find({_ONE}, tmp_path / "listing", tmp_path / "no-cache", count=1) == {}
