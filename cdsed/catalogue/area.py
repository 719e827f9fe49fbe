"""Areas on the globe: which ones a query may have, and how they are cut at the antimeridian."""

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.affinity import translate
from shapely.geometry import LineString, Point, Polygon, box
from shapely.geometry.base import BaseGeometry

_SIMPLE = {"Point", "LineString", "Polygon"}
_KINDS = _SIMPLE | {f"Multi{kind}" for kind in _SIMPLE}

Coordinates = NDArray[np.float64]


def parts(area: BaseGeometry) -> list[BaseGeometry]:
    """Return an area as Points, LineStrings and Polygons between -180 and 180 degrees of longitude.

    Raises
    ------
    ValueError
        It is empty, crosses itself, leaves the globe, or is of another kind.
    """
    if area.geom_type not in _KINDS:
        raise ValueError(f"an area is a Point, LineString, Polygon or Multi… of them, not a {area.geom_type}")
    if area.is_empty:
        raise ValueError("the area is empty")
    if shapely.get_srid(area) not in {0, 4326}:
        raise ValueError(f"the area has SRID {shapely.get_srid(area)}; give it in 4326, longitude and latitude")
    simple = []
    for part in shapely.get_parts(shapely.set_srid(shapely.force_2d(area), 0)):
        whole = unwrap(part)
        if not whole.is_valid:
            raise ValueError(f"the area is not valid: {shapely.is_valid_reason(whole)}")
        simple += [shapely.orient_polygons(piece) for piece in cut(whole)]
    return simple


def unwrap(part: BaseGeometry) -> BaseGeometry:
    """Return a Point, LineString or Polygon with longitudes that continue beyond 180 degrees instead of jumping.

    An edge of more than 180 degrees means the short way round. An edge of exactly 360 degrees, as in a box around the
    whole world, stays. A ring that goes around a pole encloses it.

    Raises
    ------
    ValueError
        A coordinate is not a number, or is outside the globe.
    """
    coordinates = shapely.get_coordinates(part)
    if not np.isfinite(coordinates).all():
        raise ValueError("the area has coordinates that are not numbers")
    if (np.abs(coordinates) > (360, 90)).any():
        raise ValueError("the area leaves the globe: longitude comes first, to 360 at most, then latitude, to 90")
    match part:
        case Polygon():
            shell = Polygon(_ring(shapely.get_coordinates(part.exterior)))
            holes = [_hole(shell, _ring(shapely.get_coordinates(ring))) for ring in part.interiors]
            return Polygon(shell.exterior, holes)
        case LineString():
            return LineString(_unjump(coordinates))
    return part


def valid(part: BaseGeometry) -> BaseGeometry:
    """Return a geometry repaired where it crosses itself; a Polygon keeps only parts that have an area."""
    return shapely.make_valid(part, method="structure", keep_collapsed=False)


def cut(part: BaseGeometry) -> list[BaseGeometry]:
    """Return a valid result of `unwrap` as pieces of the same kind between -180 and 180 degrees."""
    if part.is_empty:
        return []
    west, _, east, _ = part.bounds
    if west >= -180 and east <= 180:
        return [part]
    if isinstance(part, Point):
        return [Point((part.x + 180) % 360 - 180, part.y)]
    pieces = []
    for turn in range(int((west + 180) // 360), int((east + 180) // 360) + 1):
        strip = box(360 * turn - 180, -90, 360 * turn + 180, 90)
        here = shapely.get_parts(translate(part.intersection(strip), -360 * turn))
        # where a polygon only touches the edge of a strip, the intersection also has lines and points
        pieces += [piece for piece in here if piece.geom_type == part.geom_type]
    return pieces


def _unjump(coordinates: Coordinates) -> Coordinates:
    steps = np.diff(coordinates[:, 0])
    jumps = (np.abs(steps) > 180) & (np.abs(steps) < 360)
    continuous = coordinates.copy()
    continuous[1:, 0] -= np.cumsum(np.where(jumps, np.sign(steps) * 360, 0))
    return continuous


def _ring(coordinates: Coordinates) -> Coordinates:
    """Return a ring without jumps, closed over the nearer pole if it goes around one."""
    ring = _unjump(coordinates)
    if ring[0, 0] == ring[-1, 0]:
        return ring
    pole = np.copysign(90, ring[:, 1].mean())
    return np.vstack([ring, [(ring[-1, 0], pole), (ring[0, 0], pole)], ring[:1]])


def _hole(shell: Polygon, ring: Coordinates) -> Coordinates:
    """Return a hole, moved by whole turns around the globe to where its shell is."""
    for turn in (0, 1, -1):
        shifted: Coordinates = ring + np.array((360 * turn, 0))
        if shell.covers(shapely.points(shifted)).all():
            return shifted
    return ring
