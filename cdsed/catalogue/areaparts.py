"""Areas that are too large for the URL of one request, in parts that together are the same area."""

from collections.abc import Iterator
from urllib.parse import quote

import numpy as np
import shapely
from shapely.geometry import LineString, Polygon, box
from shapely.geometry.base import BaseGeometry

from cdsed.catalogue.area import parts

AREA_CHARACTERS_MAX = 4000
"""Characters of a URL for the areas of one request: servers commonly accept URLs of 8000."""

_AROUND_ONE = 80  # characters of a URL around each area
_WIDEST_DEGREES = 170  # an edge of a cut may not have 180
_HALVINGS_MAX = 64
_SEVERAL = {"Point": shapely.MultiPoint, "LineString": shapely.MultiLineString, "Polygon": shapely.MultiPolygon}


def in_requests(area: BaseGeometry) -> list[BaseGeometry]:
    """Return an area as one or more areas, each short enough for a request.

    Raises
    ------
    ValueError
        `cdsed.catalogue.area.parts` refuses it, or it has too many corners at one place.
    """
    simple = parts(area)
    if sum(map(_characters, simple)) <= AREA_CHARACTERS_MAX:
        return [area]
    pieces = [piece for part in simple for piece in _split(shapely.remove_repeated_points(part))]
    return [_SEVERAL[pieces[0].geom_type](group) for group in _groups(pieces)]


def _characters(part: BaseGeometry) -> int:
    return len(quote(part.wkt)) + _AROUND_ONE


def _groups(pieces: list[BaseGeometry]) -> Iterator[list[BaseGeometry]]:
    group: list[BaseGeometry] = []
    characters = 0
    for piece in pieces:
        characters += _characters(piece)
        if group and characters > AREA_CHARACTERS_MAX:
            yield group
            group, characters = [], _characters(piece)
        group.append(piece)
    yield group


def _split(part: BaseGeometry, halvings: int = 0) -> Iterator[BaseGeometry]:
    """Yield a Point, LineString or Polygon in pieces that are short enough."""
    west, _, east, _ = part.bounds
    if _characters(part) <= AREA_CHARACTERS_MAX and (halvings == 0 or east - west <= _WIDEST_DEGREES):
        yield part
    elif halvings == _HALVINGS_MAX:
        raise ValueError("the area has too many corners at one place; simplify it")
    else:
        for half in _halves_of_line(part) if isinstance(part, LineString) else _halves(part):
            yield from _split(half, halvings + 1)


def _halves_of_line(line: BaseGeometry) -> Iterator[BaseGeometry]:
    corners = shapely.get_coordinates(line)
    middle = len(corners) // 2
    yield LineString(corners[: middle + 1])
    yield LineString(corners[middle:])


def _halves(polygon: BaseGeometry) -> Iterator[BaseGeometry]:
    """Yield the polygons on both sides of a cut through the middle one of the corners."""
    west, south, east, north = polygon.bounds
    corners = shapely.get_coordinates(polygon)
    if east - west > min(_WIDEST_DEGREES, north - south):
        at = _middle(corners[:, 0], west, east)
        sides = box(west, south, at, north), box(at, south, east, north)
    else:
        at = _middle(corners[:, 1], south, north)
        sides = box(west, south, east, at), box(west, at, east, north)
    for side in sides:
        # where the polygon only touches the cut, the intersection also has lines and points
        yield from (each for each in shapely.get_parts(polygon.intersection(side)) if isinstance(each, Polygon))


def _middle(values: np.typing.NDArray[np.float64], low: float, high: float) -> float:
    median = float(np.median(values))
    return median if low < median < high else (low + high) / 2
