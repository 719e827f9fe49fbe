"""Results of a search as files of common formats."""

import csv
import io
import json
from enum import StrEnum
from typing import Any

import geopandas as gpd
import pandas as pd
import shapely

_SUFFIXES = {"txt": "listing", "parq": "parquet", "geoparquet": "parquet"}


class Format(StrEnum):
    """The formats of results; a listing is what the inbox takes."""

    LISTING = "listing"
    CSV = "csv"
    JSON = "json"
    GEOJSON = "geojson"
    PARQUET = "parquet"
    CDSODATACLI = "cdsodatacli"


def format_of(suffix: str) -> Format:
    """Return the format of files with a suffix; ValueError when it is unknown."""
    name = suffix.removeprefix(".").lower()
    return Format(_SUFFIXES.get(name, name))


def render(frame: gpd.GeoDataFrame, form: Format) -> bytes:
    """Return the content of a file with these products.

    Parameters
    ----------
    frame
        As `cdsed.catalogue.frame` describes.
    form
        ``listing``: ``id,safename,S3Path``; ``csv`` and ``json``: all columns, footprints as WKT, times in
        ISO 8601; ``geojson``: RFC 7946; ``parquet``: GeoParquet with all types kept; ``cdsodatacli``: the CSV of its
        ``queryCDS``, with the columns ``Id,Name,S3Path,geometry,Checksum``.
    """
    match form:
        case Format.LISTING:
            return _listing(frame)
        case Format.CSV:
            return bytes(_plain(frame).to_csv(index=False, lineterminator="\n").encode())
        case Format.JSON:
            return json.dumps(records(frame), ensure_ascii=False, indent=1).encode() + b"\n"
        case Format.GEOJSON:
            return _geojson(frame)
        case Format.PARQUET:
            buffer = io.BytesIO()
            frame.to_parquet(buffer, index=False)
            return buffer.getvalue()
        case Format.CDSODATACLI:
            return _cdsodatacli(frame)


def records(frame: gpd.GeoDataFrame) -> list[dict[str, Any]]:
    """Return a mapping for JSON per product: footprints as WKT, times in ISO 8601, None for missing values."""
    plain = _plain(frame).astype(object)
    found: list[dict[str, Any]] = plain.where(plain.notna(), None).to_dict("records")
    return found


def _listing(frame: gpd.GeoDataFrame) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("id", "safename", "S3Path"))
    writer.writerows(zip(frame["id"], frame["name"], frame["s3_path"].fillna(""), strict=True))
    return text.getvalue().encode()


def _cdsodatacli(frame: gpd.GeoDataFrame) -> bytes:
    """Return the columns that scripts read from ``queryCDS``; digests as Python writes a list of dictionaries."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("Id", "Name", "S3Path", "geometry", "Checksum"))
    paths, shapes = frame["s3_path"].fillna(""), [shape.wkt if shape else "" for shape in frame.geometry]
    writer.writerows(zip(frame["id"], frame["name"], paths, shapes, checksums(frame), strict=True))
    return text.getvalue().encode()


def checksums(frame: gpd.GeoDataFrame) -> list[list[dict[str, str]]]:
    """Return the digests of each product as the catalogue writes them."""
    known = zip(frame["md5"], frame["blake3"], strict=True)
    pairs = [(("MD5", md5), ("BLAKE3", blake3)) for md5, blake3 in known]
    return [[{"Value": value, "Algorithm": name} for name, value in pair if not pd.isna(value)] for pair in pairs]


def _geojson(frame: gpd.GeoDataFrame) -> bytes:
    properties = records(frame.drop(columns="geometry"))
    shapes = [shape and json.loads(shape) for shape in shapely.to_geojson(frame.geometry.to_numpy())]
    features = [
        {"type": "Feature", "id": each["id"], "geometry": shape, "properties": each}
        for each, shape in zip(properties, shapes, strict=True)
    ]
    return json.dumps({"type": "FeatureCollection", "features": features}, ensure_ascii=False).encode() + b"\n"


def _plain(frame: gpd.GeoDataFrame) -> pd.DataFrame:
    plain = pd.DataFrame(frame.copy())
    for name in plain.columns[plain.dtypes.map(pd.api.types.is_datetime64_any_dtype)]:
        plain[name] = plain[name].dt.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if "geometry" in plain:
        plain["geometry"] = pd.Series(shapely.to_wkt(frame.geometry.to_numpy(), rounding_precision=-1), dtype="string")
    return plain
