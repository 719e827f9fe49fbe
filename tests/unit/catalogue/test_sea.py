import time

import geopandas as gpd
import numpy as np
import pytest
import shapely

from cdsed.catalogue.sea import LAND, sea_percent


def percent(*shapes, crs="EPSG:4326"):
    return sea_percent(gpd.GeoSeries(list(shapes), crs=crs))


def test_open_sea_and_inner_land_differ():
    atlantic, sahara, antarctica = (
        shapely.box(-40, 30, -39, 31),
        shapely.box(10, 20, 11, 21),
        shapely.box(0, -89, 9, -85),
    )

    assert percent(atlantic, sahara, antarctica) == pytest.approx([100, 0, 0], abs=0.01)


def test_the_earth_is_mostly_sea():
    assert percent(shapely.box(-180, -90, 180, 90))[0] == pytest.approx(71, abs=0.5)


def test_it_is_measured_by_area_and_not_by_degrees():
    """Of a strip from pole to pole over the Pacific, Antarctica is a smaller part than its degrees say."""
    strip = shapely.box(-140, -90, -139, 60)
    sea_degrees = 100 * (60 + 75) / 150

    assert percent(strip)[0] > sea_degrees + 4


def test_a_coast_is_found_where_it_is():
    """Brittany's west end: the land of a box is some 60 % of it, from the Natural Earth coast."""
    [sea] = percent(shapely.box(-5.2, 47.8, -3.2, 48.8))

    assert 20 < sea < 60


def test_both_sides_of_the_antimeridian_count():
    fiji = shapely.box(176.5, -19, 183.5, -15.5)
    west, east = shapely.box(176.5, -19, 180, -15.5), shapely.box(-180, -19, -176.5, -15.5)
    together = shapely.MultiPolygon([west, east])

    assert percent(together)[0] == pytest.approx(percent(west, east).mean())
    assert percent(together)[0] < 99
    assert shapely.area(fiji) == pytest.approx(shapely.area(together))


def test_another_reference_system_is_heeded():
    sahara = gpd.GeoSeries([shapely.box(10, 20, 11, 21)], crs="EPSG:4326").to_crs("EPSG:3857")

    assert sea_percent(sahara)[0] == pytest.approx(0, abs=0.01)


def test_what_has_no_area_has_no_percentage():
    assert np.isnan(percent(None, shapely.Point(0, 0), shapely.Polygon())).all()


def test_no_footprints_give_no_percentages():
    assert len(percent()) == 0


def test_the_mask_is_whole_and_valid():
    land = gpd.read_parquet(LAND)

    assert land.is_valid.all()
    assert land.area.sum() / 1e12 == pytest.approx(147.5, abs=1)  # million km2 of land, with the ice of Antarctica


def test_ten_thousand_footprints_take_seconds():
    random = np.random.default_rng(1)
    corners = zip(random.uniform(-178, 176, 10_000), random.uniform(-70, 70, 10_000), strict=True)
    shapes = [shapely.Polygon([(x, y), (x + 2.5, y + 0.4), (x + 2.1, y + 2.2), (x - 0.4, y + 1.8)]) for x, y in corners]
    began = time.monotonic()
    sea = percent(*shapes)

    assert time.monotonic() - began < 20
    assert 60 < sea.mean() < 80
