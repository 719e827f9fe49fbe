"""Footprints of catalogue rows as geometries, many at once.

Rows of products that cross the antimeridian or enclose a pole come in these forms, as ``Footprint`` and as
``GeoFootprint``. The first three are valid on the plane, reach both edges of it, and are taken as they are:

============================================ ======================================================================
product                                      form
============================================ ======================================================================
a scene across the antimeridian              MultiPolygon of two parts, cut at 180 and -180 degrees
an orbit around a pole (S5P, S3)             Polygon from -180 to 180 degrees, with an edge along latitude 90 or -90
an orbit that also crosses the antimeridian  MultiPolygon of two parts, one of them with such an edge
of an older catalogue, and of other tools    Polygon that jumps from 180 to -180 degrees, or goes beyond 180
============================================ ======================================================================

Some orbits of Sentinel-3 in 2016 have a footprint of half the globe. They stay so: the catalogue finds them by it.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import MultiPolygon
from shapely.geometry.base import BaseGeometry

from cdsed.catalogue.area import cut, unwrap, valid

#: What a parquet file says of its column ``geometry`` (WKB). Without a `crs`, coordinates are longitude and latitude;
#: see https://geoparquet.org/releases/v1.1.0.
GEOPARQUET_METADATA = {
    "geo": json.dumps(
        {
            "version": "1.1.0",
            "primary_column": "geometry",
            "columns": {"geometry": {"encoding": "WKB", "geometry_types": []}},
        }
    )
}

_PREFIX, _SUFFIX = "geography'SRID=4326;", "'"


def footprints(rows: Sequence[Mapping[str, Any]]) -> NDArray[np.object_]:
    """Return the footprints of rows, from ``Footprint`` or else ``GeoFootprint``; None where neither can be read.

    Returns
    -------
    numpy.ndarray
        Longitude and latitude; a footprint that crosses the antimeridian is a valid MultiPolygon, cut there.
    """
    texts = [_wkt(row.get("Footprint")) for row in rows]
    geometries = np.asarray(shapely.from_wkt(np.array(texts, dtype=object), on_invalid="ignore"))
    for number in np.flatnonzero(shapely.is_missing(geometries)):
        geometries[number] = _from_geojson(rows[int(number)].get("GeoFootprint"))
    bounds = shapely.bounds(geometries)
    is_valid = shapely.is_valid(geometries)
    with np.errstate(invalid="ignore"):
        is_cut = is_valid & (bounds[:, 0] == -180) & (bounds[:, 2] == 180)
        wide = (bounds[:, 2] - bounds[:, 0] > 180) | (np.abs(bounds[:, [0, 2]]) > 180).any(axis=1)
    for number in np.flatnonzero((wide & ~is_cut) | ~(is_valid | shapely.is_missing(geometries))):
        geometries[number] = _mended(geometries[number])
    return geometries


def _wkt(footprint: Any) -> str | None:
    if not isinstance(footprint, str):
        return None
    return footprint.removeprefix(_PREFIX).removesuffix(_SUFFIX)


def _from_geojson(footprint: Any) -> BaseGeometry | None:
    return shapely.from_geojson(json.dumps(footprint), on_invalid="ignore") if footprint else None


def _mended(footprint: BaseGeometry) -> BaseGeometry | None:
    """Return a repaired footprint, cut at the antimeridian; None when it is outside the globe."""
    try:
        wholes = [valid(unwrap(part)) for part in shapely.get_parts(footprint)]
    except ValueError:
        return None
    simple = [part for whole in wholes for part in shapely.get_parts(whole)]
    pieces = [piece for part in simple for piece in cut(part)]
    polygons = [piece for piece in pieces if piece.geom_type == "Polygon"]
    if len(pieces) == 1:
        return pieces[0]
    if not polygons:
        return shapely.union_all(pieces)
    together = MultiPolygon(polygons)
    return together if together.is_valid else shapely.union_all(polygons)
