"""Areas of ``OData.CSC.Intersects``: well-known text in degrees."""

import shapely
from shapely.geometry.base import BaseGeometry

_KINDS = ("Point", "LineString", "Polygon", "MultiPolygon")


def read_area(text: str) -> BaseGeometry:
    """Return the area of ``SRID=4326;POLYGON ((…))``.

    Raises
    ------
    ValueError
        It is not a valid point, line, polygon or multipolygon in that system.
    """
    reference, _semicolon, wkt = text.partition(";")
    if reference != "SRID=4326":
        raise ValueError(f"the area is not in SRID=4326: {reference}")
    try:
        area = shapely.from_wkt(wkt)
    except shapely.errors.GEOSException as error:
        raise ValueError(f"the area is not a geometry: {error}") from error
    if area.geom_type not in _KINDS or area.is_empty or not area.is_valid:
        raise ValueError(f"the area is not a valid one of {', '.join(_KINDS)}: {area.geom_type}")
    west, south, east, north = area.bounds
    if west < -180 or east > 180 or south < -90 or north > 90:
        raise ValueError("the area leaves the world: longitudes go from -180 to 180, latitudes from -90 to 90")
    shapely.prepare(area)
    return area


def meets(area: BaseGeometry, footprint: BaseGeometry | None) -> bool:
    """Return whether the two have a point in common, on the plane of longitudes and latitudes."""
    return footprint is not None and bool(area.intersects(footprint))
