"""Makes ``land.parquet``, the land mask that ships with the package: ``python -m cdsed.catalogue.make_land FILE``.

FILE is ``land-10m.json`` of the npm package world-atlas (2.0.2): Natural Earth's 1:10m land as TopoJSON. Natural Earth
is in the public domain (https://www.naturalearthdata.com/about/terms-of-use/), world-atlas is under the ISC licence.
"""

import json
import sys
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
from shapely.geometry import Polygon, box
from shapely.geometry.base import BaseGeometry

from cdsed.catalogue.area import Coordinates, cut, unwrap, valid
from cdsed.catalogue.sea import EQUAL_AREA, LAND

_TILE_DEGREES = 5  # small pieces, so that a footprint is compared with few vertices
_GRID_M = 10.0  # finer than the data, and compresses well


def polygons(topology: dict[str, Any]) -> list[BaseGeometry]:
    """Return the polygons of a TopoJSON's ``land``, cut at the antimeridian and at the pole.

    Parameters
    ----------
    topology
        As https://github.com/topojson/topojson-specification says, quantised, of MultiPolygons.
    """
    scale, origin = np.array(topology["transform"]["scale"]), np.array(topology["transform"]["translate"])
    arcs = [np.cumsum(arc, axis=0) * scale + origin for arc in topology["arcs"]]
    found = []
    for multipolygon in topology["objects"]["land"]["geometries"]:
        for shell, *holes in multipolygon["arcs"]:
            polygon = Polygon(_ring(shell, arcs), [_ring(hole, arcs) for hole in holes])
            for part in shapely.get_parts(valid(unwrap(polygon))):
                found += [piece for piece in cut(part) if piece.geom_type == "Polygon"]
    return found


def _ring(numbers: list[int], arcs: list[Coordinates]) -> Coordinates:
    """Join arcs, each of which begins where the one before ends; ~n is arc n backwards."""
    pieces = [arcs[number] if number >= 0 else arcs[~number][::-1] for number in numbers]
    return np.vstack([pieces[0], *(piece[1:] for piece in pieces[1:])])


def tiled(land: list[BaseGeometry]) -> gpd.GeoSeries:
    """Return land as polygons of the equal-area projection, none larger than a tile."""
    steps = np.arange(-180, 180, _TILE_DEGREES), np.arange(-90, 90, _TILE_DEGREES)
    tiles = [box(x, y, x + _TILE_DEGREES, y + _TILE_DEGREES) for x in steps[0] for y in steps[1]]
    number, tile = shapely.STRtree(tiles).query(land, predicate="intersects")
    pieces = shapely.intersection(np.array(land, dtype=object)[number], np.array(tiles, dtype=object)[tile])
    projected = gpd.GeoSeries(pieces, crs="EPSG:4326").to_crs(EQUAL_AREA)
    rounded = projected.set_precision(_GRID_M).explode(ignore_index=True)
    return rounded[(rounded.geom_type == "Polygon") & ~rounded.is_empty].reset_index(drop=True)


def main(topojson: Path) -> None:
    """Read FILE, write the mask beside this module."""
    topology = json.loads(topojson.read_text(encoding="utf-8"))
    land = gpd.GeoDataFrame(geometry=tiled(polygons(topology)))
    land.to_parquet(LAND, compression="zstd", index=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
