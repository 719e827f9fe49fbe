"""Fetch the parts of others in cdsed/web/static again, as vendor.json records them: ``python packaging/vendor.py``.

It needs npm and the index. `--coastline` makes land.json again, from the land mask that the package has.
"""

import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
VENDOR = ROOT / "cdsed" / "web" / "static" / "vendor"
RECORD = VENDOR / "vendor.json"


def sha256(data: bytes) -> str:
    """Return the digest as it is recorded."""
    return hashlib.sha256(data).hexdigest()


def fetch(part: dict[str, Any]) -> None:
    """Get one package with npm, check it, and put the recorded files in their place."""
    with tempfile.TemporaryDirectory() as folder:
        name = f"{part['name']}@{part['version']}"
        command = ["npm", "pack", "--silent", name]
        done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)  # noqa: S603 - recorded
        archive = Path(folder, done.stdout.strip().splitlines()[-1])
        if sha256(archive.read_bytes()) != part["sha256"]:
            raise SystemExit(f"{name}: the archive is another one than recorded")
        with tarfile.open(archive) as tar:
            for file in part["files"]:
                member = tar.extractfile(f"package/{file['from']}")
                data = member.read() if member else b""
                if sha256(data) != file["sha256"]:
                    raise SystemExit(f"{name}: {file['from']} is another one than recorded")
                target = VENDOR / file["to"]
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data)


def coastline() -> None:
    """Write land.json: the land mask without small islands, in degrees, with corners some kilometres apart."""
    import geopandas as gpd
    import shapely

    sys.path.insert(0, str(ROOT))
    from cdsed.catalogue.sea import LAND

    tiles = gpd.read_parquet(LAND)
    whole = shapely.union_all(tiles.geometry.buffer(30).values).buffer(-30)  # closes the seams between tiles
    parts = gpd.GeoSeries([whole], crs=tiles.crs).explode(ignore_index=True)
    land = parts[parts.area > 6e8].simplify(9000).to_crs(4326)
    polygons = [polygon for each in land for polygon in getattr(each, "geoms", [each])]
    coordinates = [
        [
            [[round(x, 2), round(y, 2)] for x, y in ring.coords]
            for ring in (polygon.exterior, *(hole for hole in polygon.interiors if shapely.Polygon(hole).area > 0.05))
        ]
        for polygon in polygons
    ]
    text = json.dumps({"type": "MultiPolygon", "coordinates": coordinates}, separators=(",", ":"))
    (VENDOR.parent / "land.json").write_text(text)


if __name__ == "__main__":
    if sys.argv[1:] == ["--coastline"]:
        coastline()
    else:
        for each in json.loads(RECORD.read_text())["parts"]:
            fetch(each)
