"""Footprints that manifests state."""

import os
from pathlib import Path

import pytest
import shapely

from cdsed.model.manifest_footprint import footprint_of

DATA = Path(os.environ.get("CDSED_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data")) / "manifests"


def test_one_frame_is_a_polygon_and_several_are_more() -> None:
    one = "<c><coordinates>10,20 10,21 11,21</coordinates></c>"
    assert footprint_of(one.encode()) == "POLYGON ((20 10, 21 10, 21 11, 20 10))"
    two = f"<a>{one}<posList>0 0 0 1 1 1 0 0</posList></a>"
    assert footprint_of(two.encode()) == ("MULTIPOLYGON (((20 10, 21 10, 21 11, 20 10)), ((0 0, 1 0, 1 1, 0 0)))")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<x/>",
        "<x>",
        "<coordinates>1,2</coordinates>",
        "<coordinates>1,2 3,4 5,x</coordinates>",
        "<coordinates>1,2 3,4 95,6</coordinates>",
        "<coordinates>1,2 3,4 nan,6</coordinates>",
        "<!DOCTYPE x []><coordinates>1,2 3,4 5,6</coordinates>",
    ],
)
def test_what_is_not_a_footprint_is_left_out(text: str) -> None:
    assert footprint_of(text.encode()) is None


@pytest.mark.skipif(not DATA.is_dir(), reason="the sample data is not there")
def test_real_manifests_of_each_mission_have_one() -> None:
    for manifest in sorted(DATA.glob("*/S*")):
        footprint = footprint_of(manifest.read_bytes())
        assert footprint, manifest.name
        assert shapely.from_wkt(footprint).area > 0, manifest.name
