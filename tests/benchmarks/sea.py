"""How much of 10 000 footprints is sea, against cdsodatacli.

The peer fetches Natural Earth's 1:110m land from the web; here its ``get_path`` is given our 1:10m land, thinned
to about as many vertices (5000), so that its work is the same. It computes in degrees, cdsed by area.
"""

import tempfile
import time
from pathlib import Path

import geopandas as gpd
import numpy as np
import shapely

from cdsed.catalogue.sea import LAND, sea_percent
from cdsed.sandbox.footprints import footprint
from cdsed.sandbox.names import parse_name, realistic_safenames
from tests.benchmarks.peer import compare
from tests.benchmarks.result import Result

_FOOTPRINTS = 10_000
_COARSE_DEGREES = 0.3
_COARSE_PIECES = 127
_PEER = """
import geopandas as gpd
from cdsodatacli import query

query.get_path = lambda _name: sys.argv[1]
footprints = gpd.read_parquet(sys.argv[2])

def once():
    return len(query.sea_percent(footprints.copy(), min_sea_percent=-1))
"""


def run() -> list[Result]:
    """Compute the sea percentage of 10 000 footprints of Sentinel-1 by both, in turn."""
    names = realistic_safenames("S1_GRD", _FOOTPRINTS, seed=6)
    geometries = gpd.GeoSeries([footprint(parse_name(name)) for name in names], crs="EPSG:4326")
    begun_s = time.perf_counter()
    sea_percent(geometries)
    cold_s = time.perf_counter() - begun_s
    with tempfile.TemporaryDirectory() as folder:
        land, footprints = Path(folder, "land.geojson"), Path(folder, "footprints.parquet")
        coarse = _coarse_land()
        land.write_text(coarse.to_json(), encoding="utf-8")
        gpd.GeoDataFrame(geometry=geometries).to_parquet(footprints)
        compared = compare(lambda: sea_percent(geometries), _PEER, str(land), str(footprints))
    vertices = shapely.get_num_coordinates(coarse.values).sum()
    print(
        f"sea_percent of {_FOOTPRINTS} footprints: {compared.text()} with {vertices} vertices of land; "
        f"ours the first time, when it reads its land: {cold_s:.3g} s"
    )
    return [] if compared.ratio is None else [Result("sea_percent: time / cdsodatacli", compared.ratio)]


def _coarse_land() -> gpd.GeoSeries:
    tiles = gpd.read_parquet(LAND)
    pieces = shapely.get_parts(tiles.union_all())
    largest = pieces[np.argsort(shapely.area(pieces))[-_COARSE_PIECES:]]
    degrees = gpd.GeoSeries(largest, crs=tiles.crs).to_crs("EPSG:4326")
    return gpd.GeoSeries(shapely.make_valid(degrees.simplify(_COARSE_DEGREES).values), crs=degrees.crs)
