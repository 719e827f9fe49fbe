"""Areas that are too large for one request are asked for in parts, which together are the same area."""

import threading
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
import shapely
from shapely.geometry import LineString, MultiPoint, MultiPolygon, Point, Polygon

from cdsed.catalogue.area import parts
from cdsed.catalogue.areaparts import AREA_CHARACTERS_MAX, in_requests
from cdsed.catalogue.query import Query
from cdsed.catalogue.search import search
from tests.support.catalogue_client import connect
from tests.support.catalogue_server import Response, product, rows


def _star(corners: int, x: float = 5, y: float = 45, radius: float = 4) -> Polygon:
    angle = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    distance = radius * (1 + 0.3 * np.sin(37 * angle))
    return Polygon(np.c_[x + distance * np.cos(angle), y + distance * np.sin(angle)])


LARGE = {
    "many corners": _star(2000),
    "a hole": Polygon(_star(1000).exterior, [_star(500, radius=1).exterior]),
    "over the antimeridian": _star(1000, x=179),
    "around the world": Polygon(
        [*((x, -80) for x in np.linspace(-180, 180, 200)), *((x, 80) for x in np.linspace(180, -180, 200))]
    ),
    "many polygons": MultiPolygon([Point(x, y).buffer(0.2, 4) for x in range(10) for y in range(10)]),
    "a line": LineString(np.c_[np.linspace(0, 30, 1000), 40 + 0.1 * np.sin(np.arange(1000))]),
    "many points": MultiPoint(np.random.default_rng(7).random((300, 2)) * 50),
}


@pytest.mark.parametrize("area", LARGE.values(), ids=LARGE)
def test_the_parts_of_an_area_are_the_area_and_each_fits_into_a_request(area):
    requests = in_requests(area)

    assert len(requests) > 1
    assert max(len(shapely.to_wkt(each)) for each in requests) < AREA_CHARACTERS_MAX
    pieces = [piece for each in requests for piece in parts(each)]
    assert max(east - west for west, _, east, _ in shapely.bounds(pieces)) < 180
    difference = shapely.union_all(parts(area)).symmetric_difference(shapely.union_all(pieces))
    assert difference.area < 1e-9
    assert difference.geom_type in {"Polygon", "MultiPolygon"} or difference.length < 1e-6
    assert difference.is_empty or not isinstance(area, MultiPoint), "lost points have neither area nor length"


def test_a_small_area_is_asked_for_as_it_is():
    area = shapely.box(170, -10, 190, 10)

    assert in_requests(area) == [area]


def test_corners_at_one_place_are_one_corner_or_refused(monkeypatch):
    line = LineString([*((0, 0),) * 300, (0, 1)])

    assert [each.equals(line) for each in in_requests(line)] == [True]
    monkeypatch.setattr("cdsed.catalogue.areaparts._HALVINGS_MAX", 1)
    with pytest.raises(ValueError, match="too many corners at one place; simplify it"):
        in_requests(_star(2000))


def test_a_search_sends_every_part_and_gives_each_product_once(server):
    asked = []
    points_at = [(x, y) for x in range(-2, 12) for y in range(38, 52)]

    def response(path: str) -> Response:
        asked.append(path)
        text = parse_qs(urlsplit(path).query)["$filter"][0]
        shapes = [shapely.from_wkt(each.split("'")[0]) for each in text.split("SRID=4326;")[1:]]
        fitting = [point for point in points_at if any(shape.intersects(Point(point)) for shape in shapes)]
        found = [product(f"P{x}-{y}.SAFE", Id=f"{x}-{y}", ContentDate={"Start": None}) for x, y in fitting]
        return rows(*found, **{"@odata.count": len(found)})

    server.respond = response
    area = LARGE["many corners"]
    with connect(server.url, threading.Event()) as service:
        found = search(Query(collection="X", area=area), service)

    assert sorted(found["id"]) == sorted(f"{x}-{y}" for x, y in points_at if area.intersects(Point(x, y)))
    assert len(asked) == len(in_requests(area))
    assert max(map(len, asked)) < AREA_CHARACTERS_MAX + 1000
