"""Converting the core's frame to rows in the form of the catalogue, which cdsodatacli returns."""

from typing import Any

import geopandas as gpd
import pandas as pd

from cdsed.catalogue.export import checksums

_TIMESTAMP = "%Y-%m-%dT%H:%M:%S.%fZ"


def as_rows(frame: gpd.GeoDataFrame, id_query: Any) -> gpd.GeoDataFrame:
    """Return a frame of `cdsed.catalogue.frame` as rows of the catalogue, with the id of their query.

    Returns
    -------
    GeoDataFrame
        ``Id``, ``Name``, ``ContentLength``, ``PublicationDate``, ``ModificationDate``, ``Online``, ``EvictionDate``,
        ``S3Path``, ``Checksum``, ``ContentDate``, ``Footprint``, ``GeoFootprint`` as in the JSON of the catalogue,
        then ``id_original_query`` and ``geometry``.
    """
    start, end = _timestamps(frame["start"]), _timestamps(frame["end"])
    geometries = list(frame.geometry)
    rows = {
        "Id": frame["id"].astype(object),
        "Name": frame["name"].astype(object),
        "ContentLength": frame["size_bytes"],
        "PublicationDate": _timestamps(frame["published"]),
        "ModificationDate": _timestamps(frame["modified"]),
        "Online": frame["online"],
        "EvictionDate": _timestamps(frame["evicted"]),
        "S3Path": frame["s3_path"].astype(object),
        "Checksum": _objects(checksums(frame)),
        "ContentDate": _objects({"Start": one, "End": other} for one, other in zip(start, end, strict=True)),
        "Footprint": _objects(each and f"geography'SRID=4326;{each.wkt}'" for each in geometries),
        "GeoFootprint": _objects(each and each.__geo_interface__ for each in geometries),
        "id_original_query": pd.Series([id_query] * len(frame), dtype=object),
    }
    return gpd.GeoDataFrame(rows, geometry=frame.geometry)


def _objects(values: Any) -> pd.Series:
    return pd.Series(list(values), dtype=object)


def _timestamps(timestamps: pd.Series) -> pd.Series:
    """Return times as text, None where the time is missing."""
    texts = timestamps.dt.strftime(_TIMESTAMP).astype(object)
    return texts.where(timestamps.notna(), None)
