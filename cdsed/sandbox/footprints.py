"""Footprints: made from a name, and written as the catalogue writes them."""

import hashlib
from typing import Any

import shapely
from shapely import affinity
from shapely.geometry.base import BaseGeometry

from cdsed.sandbox.names import ParsedName

# Half of the width and height in degrees, and the shift of the upper edge; about the size of real ones.
_SHAPES = {
    "S1": (1.4, 0.9, 0.5),
    "WV": (0.4, 12.0, 3.0),
    "S2": (0.55, 0.5, 0.0),
    "S3": (6.5, 5.5, 2.0),
    "S5P": (13.0, 60.0, 15.0),
}
_BANDS = "CDEFGHJKLMNPQRSTUVWX"  # of 8 degrees each, from 80 degrees south on
_WORLD = shapely.box(-180, -90, 180, 90)


def footprint(name: ParsedName) -> BaseGeometry:
    """Return a plausible footprint; two polygons if it crosses the antimeridian, as in the catalogue."""
    kind = "WV" if name.fields.get("mode") == "WV" else name.mission
    width, height, lean = _SHAPES[kind]
    longitude, latitude = _centre(name, 89 - height)
    ring = [
        (longitude - width, latitude - height),
        (longitude + width, latitude - height),
        (longitude + width + lean, latitude + height),
        (longitude - width + lean, latitude + height),
    ]
    return wrapped(shapely.Polygon([(round(x, 6), round(y, 6)) for x, y in ring]))


def wrapped(geometry: BaseGeometry) -> BaseGeometry:
    """Return a geometry with the parts beyond 180 degrees east or west moved to the other side."""
    west, _south, east, _north = geometry.bounds
    if west >= -180 and east <= 180:
        return geometry
    shift = -360 if east > 180 else 360
    parts = [_WORLD.intersection(part) for part in (geometry, affinity.translate(geometry, shift))]
    return shapely.MultiPolygon([part for part in parts if part.geom_type == "Polygon" and not part.is_empty])


def geography(geometry: BaseGeometry | None) -> str | None:
    """Return ``Footprint``: ``geography'SRID=4326;POLYGON ((113.605408 -29.713636, …))'``."""
    if geometry is None:
        return None
    return f"geography'SRID=4326;{geometry.wkt}'"


def geojson(geometry: BaseGeometry | None) -> dict[str, Any] | None:
    """Return ``GeoFootprint``, with lists as JSON has them."""
    if geometry is None:
        return None
    if isinstance(geometry, shapely.MultiPolygon):
        coordinates: Any = [_rings(part) for part in geometry.geoms]
    else:
        coordinates = _rings(geometry)
    return {"type": geometry.geom_type, "coordinates": coordinates}


def _rings(polygon: Any) -> list[list[list[float]]]:
    return [[list(point) for point in ring.coords] for ring in (polygon.exterior, *polygon.interiors)]


def _centre(name: ParsedName, latitude_max: float) -> tuple[float, float]:
    chance = hashlib.md5(f"footprint {name.safename}".encode()).digest()
    one, other = (int.from_bytes(chance[place : place + 4], "big") / 2**32 for place in (0, 4))
    if name.mission == "S2":
        tile = name.fields["tile"]
        return int(tile[:2]) * 6 - 183 + (one - 0.5) * 4.8, max(-80, _BANDS.index(tile[2]) * 8 - 80 + other * 8)
    return one * 360 - 180, (other * 2 - 1) * latitude_max
