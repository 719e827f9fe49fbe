"""Reading an area from text, or from a file with shapes."""

import json
import os
import re
from pathlib import Path
from typing import Any

import geopandas as gpd
import shapely
from shapely.errors import GEOSException
from shapely.geometry.base import BaseGeometry

from cdsed.catalogue.frame import CRS

_EWKT = re.compile(r"(?:SRID=(?P<srid>\d+);)?\s*(?P<wkt>[A-Z]+\s*(?:Z\s*)?\(.*)", re.IGNORECASE | re.DOTALL)


def area_of(value: Any) -> BaseGeometry:
    """Return an area that a caller gives: text or a path as for `read_area`, a geometry, or a table of geopandas.

    Raises
    ------
    ValueError
        It cannot be read, or is something else.
    """
    match value:
        case BaseGeometry():
            return value
        case str() | os.PathLike():
            return read_area(os.fspath(value))
        case gpd.GeoDataFrame() | gpd.GeoSeries():
            shapes = value.geometry if value.crs is None else value.to_crs(CRS).geometry
            return _whole(list(shapes.dropna()))
    raise ValueError(f"the area {value!r:.100} is neither a geometry, nor WKT, GeoJSON or a file")


def read_area(text: str) -> BaseGeometry:
    """Read an area.

    Parameters
    ----------
    text
        WKT (``SRID=4326;`` may stand before it), GeoJSON, or the path of a file of either or of any vector
        format that GDAL reads. All shapes of a file count. Coordinates are converted from its reference system.

    Returns
    -------
    shapely.geometry.base.BaseGeometry
        Longitude and latitude on WGS 84, as given; `cdsed.catalogue.area.parts` validates it.

    Raises
    ------
    ValueError
        It cannot be read, has no shapes, or is in another reference system without saying which.
    """
    area = _read_text(text)
    if area is not None:
        return area
    if not os.path.isfile(text):  # noqa: PTH113 - Path.is_file raises where the text is too long to be a path
        raise ValueError(f"{text[:200]!r} is neither WKT nor GeoJSON nor a file")
    return _file(Path(text))


def _read_text(text: str) -> BaseGeometry | None:
    if match := _EWKT.fullmatch(text.strip()):
        return _wkt(match)
    return _geojson(text) if text.lstrip().startswith("{") else None


def _wkt(match: re.Match[str]) -> BaseGeometry:
    if match["srid"] not in {None, "4326"}:
        raise ValueError(f"the area has SRID {match['srid']}; give it in 4326, longitude and latitude")
    try:
        return shapely.from_wkt(match["wkt"])
    except GEOSException as error:
        raise ValueError(f"the area is not a WKT that can be read: {error}") from error


def _geojson(text: str) -> BaseGeometry:
    """Read a geometry, a feature or a collection of either; RFC 7946 has only one reference system."""
    try:
        value = json.loads(text)
        if not value.get("crs"):
            return _whole([shapely.from_geojson(json.dumps(value))])
    except (ValueError, RecursionError, GEOSException) as error:
        raise ValueError(f"the area is not a GeoJSON that can be read: {error!s:.200}") from error
    return _vectors(text)


def _file(path: Path) -> BaseGeometry:
    try:
        area = _read_text(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError:
        area = None
    except ValueError as error:
        if path.suffix.lower() in {".wkt", ".txt", ".json", ".geojson"}:
            raise ValueError(f"{path}: {error}") from error
        area = None
    return _vectors(path) if area is None else area


def _vectors(source: str | Path) -> BaseGeometry:
    """Read a vector file with GDAL, or GeoJSON of 2008, in the reference system that it names."""
    try:
        frame = gpd.read_file(source)
        if not isinstance(frame, gpd.GeoDataFrame) or frame.crs is None:
            raise ValueError(f"{source!s:.100}: there are no shapes in a reference system; give them as WKT or GeoJSON")
        return _whole(list(frame.to_crs(CRS).geometry.dropna()))
    except RuntimeError as error:  # what pyogrio and pyproj raise
        raise ValueError(f"{source!s:.100}: not a format that can be read: {error!s:.200}") from error


def _whole(shapes: list[BaseGeometry]) -> BaseGeometry:
    """Return shapes of one kind as one geometry; touching polygons are merged."""
    simple = [part for shape in shapes for part in _simple(shape)]
    if not simple:
        raise ValueError("there are no shapes in it")
    if len(simple) == 1:
        return simple[0]
    if len({part.geom_type for part in simple}) > 1:
        raise ValueError("its shapes are of several kinds; give points, lines or polygons only")
    return shapely.union_all(simple)


def _simple(shape: BaseGeometry) -> list[BaseGeometry]:
    if shape.geom_type == "GeometryCollection":
        return [part for inner in shapely.get_parts(shape) for part in _simple(inner)]
    return list(shapely.get_parts(shape))
