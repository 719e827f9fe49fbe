"""How much of a footprint is sea: by area, against the land mask that ships with the package.

The mask is Natural Earth's 1:10m land (public domain), made by `cdsed.catalogue.make_land`. Lakes count as land.
"""

from functools import cache
from pathlib import Path

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray

EQUAL_AREA = "EPSG:6933"  # a cylindrical projection: meridians and parallels stay straight
LAND = Path(__file__).with_name("land.parquet")


def sea_percent(geometries: gpd.GeoSeries) -> NDArray[np.float64]:
    """Return the part of each geometry that is sea, in percent of its area.

    Parameters
    ----------
    geometries
        Footprints with their CRS, valid, and cut where they cross the antimeridian.

    Returns
    -------
    numpy.ndarray
        0 to 100; NaN for a missing geometry and for one without area.
    """
    projected = np.asarray(geometries.to_crs(EQUAL_AREA).values, dtype=object)
    land, index, land_m2 = _land()
    number, tile = index.query(projected, predicate="intersects")
    met_m2 = np.empty(len(number))
    inside = shapely.covers(projected[number], land[tile])
    met_m2[inside] = land_m2[tile[inside]]
    crossed = ~inside
    met_m2[crossed] = shapely.area(shapely.intersection(projected[number[crossed]], land[tile[crossed]]))
    on_land_m2 = np.bincount(number, weights=met_m2, minlength=len(projected))
    with np.errstate(divide="ignore", invalid="ignore"):
        sea = 100 * (1 - on_land_m2 / shapely.area(projected))
    return np.where(np.isfinite(sea), sea.clip(0, 100).round(6), np.nan)  # beyond that it is rounding error


@cache
def _land() -> tuple[NDArray[np.object_], shapely.STRtree, NDArray[np.float64]]:
    """Return the pieces of land, their spatial index and their areas; read once."""
    land = np.asarray(gpd.read_parquet(LAND).geometry.values, dtype=object)
    return land, shapely.STRtree(land), shapely.area(land)
