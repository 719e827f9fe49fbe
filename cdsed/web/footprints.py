"""Footprints of the products of a listing, from what is on disk anyway: the listing's file, and responses.

A footprint for a small map needs few corners, so that it is thinned and rounded. Nothing is stored.
"""

import json
import logging
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from cdsed.model.safename import normalise

Geometry = dict[str, Any]

_log = logging.getLogger(__name__)

_FILE_BYTES_MAX = 64 * 1024 * 1024
_CACHE_FILES_MAX = 500
_CORNERS_MAX = 48
_WKT = re.compile(r"(?P<kind>MULTIPOLYGON|POLYGON)\s*(?:Z\s*)?(?P<rings>\(\([-+0-9.eE,\s()]+\)\))", re.IGNORECASE)
_RING = re.compile(r"\(([^()]+)\)")
_NAME = re.compile(r"[A-Z][A-Z0-9]{2}_[A-Za-z0-9_.-]{10,}")
_NAME_KEYS = ("Name", "name", "title", "safename", "id")


def find(wanted: Collection[str], listing: Path, cache: Path, *, count: int) -> dict[str, Geometry]:
    """Return GeoJSON geometries by safename, as far as files on this machine have them.

    Parameters
    ----------
    wanted
        Safenames, with their extension.
    listing
        The file of the listing: GeoJSON, a response of the catalogue, or lines with WKT.
    cache
        The directory of cached responses of the catalogue, and of `cdsed.catalogue.kept_footprints`; the newest files
        are read first.
    count
        How many names are wanted: the search ends when all are found.
    """
    found: dict[str, Geometry] = {}
    names = _WantedNames(wanted)
    for path in (listing, *_newest(cache)):
        if len(found) >= count:
            break
        for name, geometry in _of_file(path, names):
            found.setdefault(name, geometry)
    return found


class _WantedNames:
    """Names as the state has them; STAC writes them without their extension."""

    def __init__(self, names: Collection[str]) -> None:
        self._names = names
        self._stems = {name.partition(".")[0] for name in names}

    def name_of(self, written: str | None) -> str | None:
        """Return the name that is meant, if it is wanted."""
        if written is None or written in self._names:
            return written
        if written.partition(".")[0] not in self._stems:  # a listing may have twenty times as many names
            return None
        try:
            name = normalise(written)
        except ValueError:
            return None
        return name if name in self._names else None


def _newest(cache: Path) -> list[Path]:
    dated: list[tuple[float, Path]] = []
    for path in (*cache.glob("footprints/*.json"), *cache.glob("??/*")):
        try:
            dated.append((path.stat().st_mtime, path))
        except OSError:
            continue  # pruned meanwhile
    return [path for _, path in sorted(dated, reverse=True)[:_CACHE_FILES_MAX]]


def _of_file(path: Path, wanted: _WantedNames) -> Iterator[tuple[str, Geometry]]:
    try:
        # O_NONBLOCK: a FIFO may have been put there, and must not block.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            text = (file.read(_FILE_BYTES_MAX) or b"").decode(errors="replace")
    except OSError as error:
        _log.debug("no footprints from %s: %s", path, error)
        return
    try:
        rows = _rows(json.loads(text))
    except (ValueError, RecursionError):
        yield from _of_lines(text, wanted)
        return
    for row in rows:
        name = wanted.name_of(_name_of(row))
        if name and (geometry := _of_row(row)):
            yield name, geometry


def _rows(content: Any) -> Iterable[Any]:
    """Return the rows of a response of OData, of a GeoJSON FeatureCollection, or of a list of objects."""
    if isinstance(content, dict):
        content = content.get("value") or content.get("features") or []
    return content if isinstance(content, list) else []


def _name_of(row: Any) -> str | None:
    places = [row, row.get("properties")] if isinstance(row, dict) else []
    for place in (each for each in places if isinstance(each, dict)):
        for key in _NAME_KEYS:
            if isinstance(place.get(key), str) and _NAME.fullmatch(place[key]):
                return str(place[key])
    return None


def _of_row(row: Any) -> Geometry | None:
    if not isinstance(row, dict):
        return None
    for key in ("GeoFootprint", "geometry", "geofootprint"):
        if isinstance(row.get(key), dict) and (geometry := _of_geojson(row[key])):
            return geometry
    for key in ("Footprint", "footprint", "geometry"):
        if isinstance(row.get(key), str) and (geometry := of_wkt(row[key])):
            return geometry
    return None


def _of_lines(text: str, wanted: _WantedNames) -> Iterator[tuple[str, Geometry]]:
    """Yield the name and the footprint of each line that has both, such as a row of CSV with WKT."""
    for line in text.splitlines():
        written = _NAME.search(line)
        name = wanted.name_of(written[0] if written else None)
        if name and (geometry := of_wkt(line)):
            yield name, geometry


def of_wkt(text: str) -> Geometry | None:
    """Return the first polygon in a text with WKT as GeoJSON; None if it has none, or a broken one."""
    found = _WKT.search(text)
    if not found:
        return None
    try:
        rings = [_ring([pair.split() for pair in ring.split(",")]) for ring in _RING.findall(found["rings"])]
    except (ValueError, IndexError):
        return None
    return _geometry(rings)


def _of_geojson(geometry: Mapping[str, Any]) -> Geometry | None:
    """Return a geometry thinned; holes are left out, as a footprint has none that a small map could show."""
    try:
        match geometry.get("type"):
            case "Polygon":
                return _geometry([_ring(geometry["coordinates"][0])])
            case "MultiPolygon":
                return _geometry([_ring(polygon[0]) for polygon in geometry["coordinates"]])
    except (ValueError, LookupError, TypeError, OverflowError):
        return None
    return None


def _ring(corners: list[Any]) -> list[list[float]]:
    ring = [[round(float(corner[0]), 3), round(float(corner[1]), 3)] for corner in corners]
    if not all(-360 <= x <= 360 and -90 <= y <= 90 for x, y in ring):
        raise ValueError("not a place on the globe")
    step = -(-len(ring) // _CORNERS_MAX)
    return [*ring[:-1:step], ring[0]]


def _geometry(rings: list[list[list[float]]]) -> Geometry | None:
    """Return rings as polygons; one that jumps across the antimeridian continues beyond 180 degrees."""
    shells = [_unwrapped(ring) for ring in rings if len(ring) >= 4]
    if not shells:
        return None
    if len(shells) == 1:
        return {"type": "Polygon", "coordinates": shells}
    return {"type": "MultiPolygon", "coordinates": [[shell] for shell in shells]}


def _unwrapped(ring: list[list[float]]) -> list[list[float]]:
    if not any(abs(first[0] - second[0]) > 180 for first, second in pairwise(ring)):
        return ring
    if any(abs(y) == 90 for _, y in ring):
        return ring  # an orbit around a pole reaches both edges
    return [[round(x + 360, 3) if x < 0 else x, y] for x, y in ring]
