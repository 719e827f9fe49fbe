"""Rows of the catalogue as a GeoDataFrame, with the same typed columns even when it has no rows.

================ ==================== ==========================================================
column           type                 meaning
================ ==================== ==========================================================
id               string               UUID of the product in CDSE
name             string               safename, with its extension; each once
s3_path          string               where it is, ``/eodata/…``
size_bytes       int64                size of its zip or single object; 0: unknown
online           bool                 whether it can be fetched at once
start, end       datetime64[us, UTC]  sensing
published        datetime64[us, UTC]  when it appeared
modified         datetime64[us, UTC]  when the catalogue last changed the row
evicted          datetime64[us, UTC]  when it will be taken offline; NaT: never
md5, blake3      string               digests of that zip or single object in small hex
geometry         geometry, EPSG:4326  footprint; None for products without one
================ ==================== ==========================================================

Requested attributes follow as columns under their own names, with the types of `cdsed.catalogue.attributes`.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from geopandas.array import from_shapely
from numpy.typing import NDArray
from pandas.api.extensions import ExtensionArray

from cdsed.catalogue.attributes import AttributeType, type_of
from cdsed.catalogue.footprint import footprints
from cdsed.catalogue.response import digest_of

CRS = "EPSG:4326"
COLUMNS = (
    *("id", "name", "s3_path", "size_bytes", "online", "start", "end", "published", "modified", "evicted"),
    *("md5", "blake3", "geometry"),
)
_NEVER = "9999"  # the year in which the catalogue puts the eviction of a product that stays online
_T = TypeVar("_T")
_PLAIN_UTC = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?)Z?")


def frame_of(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = ()) -> gpd.GeoDataFrame:
    """Return rows of ``Products`` in their order, duplicates included.

    Parameters
    ----------
    rows
        Members of ``value`` of a response.
    columns
        Attributes to add as columns; the rows have to be expanded by them.

    Raises
    ------
    KeyError, TypeError, ValueError, OverflowError
        A row is not as documented.
    """
    sensing = [row.get("ContentDate") or {} for row in rows]
    values: dict[str, Any] = {
        "id": _text(_all([row["Id"] for row in rows], str)),
        "name": _text(_all([row["Name"] for row in rows], str)),
        "s3_path": _text([row.get("S3Path") or None for row in rows]),
        "size_bytes": np.array([row.get("ContentLength") or 0 for row in rows], dtype=np.int64),
        "online": np.array(_all([row["Online"] for row in rows], bool), dtype=bool),
        "start": _timestamps([each.get("Start") for each in sensing]),
        "end": _timestamps([each.get("End") for each in sensing]),
        "published": _timestamps([row.get("PublicationDate") for row in rows]),
        "modified": _timestamps([row.get("ModificationDate") for row in rows]),
        "evicted": _timestamps([_eviction(row.get("EvictionDate")) for row in rows]),
        "md5": _text([digest_of(row, "MD5") for row in rows]),
        "blake3": _text([digest_of(row, "BLAKE3") for row in rows]),
    }
    if columns:
        attributes = [{item["Name"]: item["Value"] for item in row.get("Attributes") or ()} for row in rows]
        values |= {name: _attribute(name, [each.get(name) for each in attributes]) for name in columns}
    geometry = from_shapely(footprints(rows), crs=CRS)
    return gpd.GeoDataFrame(values | {"geometry": geometry}, geometry="geometry")


def whole_frame(frames: Sequence[gpd.GeoDataFrame], columns: Sequence[str] = ()) -> gpd.GeoDataFrame:
    """Return several frames as one, ordered by sensing time: of each name the newest row of those that are online."""
    filled = [frame for frame in frames if len(frame)] or [frame_of([], columns)]
    together = pd.concat(filled, ignore_index=True)
    best_last = together.sort_values(["online", "modified", "id"], kind="stable")
    once = best_last.drop_duplicates("name", keep="last")
    return once.sort_values(["start", "name"], kind="stable", ignore_index=True)


def _text(values: list[str | None]) -> ExtensionArray:
    return pd.array(values, dtype="string")


def _all(values: list[_T], kind: type[_T]) -> list[_T]:
    """Return values that all are of one type."""
    if wrong := {*map(type, values)} - {kind}:
        raise TypeError(f"{wrong.pop().__name__} instead of {kind.__name__}")
    return values


def _timestamps(texts: list[str | None]) -> ExtensionArray:
    try:
        found = _all_in_utc(pa.array(texts, pa.string()))
    except (pa.ArrowException, UnicodeError):  # one of them has another form, and all are read one by one
        found = np.array([_plain(text) for text in texts], dtype="datetime64[us]")
    return pd.array(found, dtype="datetime64[us, UTC]")


def _all_in_utc(texts: pa.StringArray) -> NDArray[np.datetime64]:
    """Read times that end with a Z; raises ArrowInvalid if one does not, or has more than 6 digits of seconds."""
    if pc.any(pc.invert(pc.ends_with(texts, "Z"))).as_py():
        raise pa.ArrowInvalid("another zone")
    found: NDArray[np.datetime64] = texts.cast(pa.timestamp("us", "UTC")).to_numpy(zero_copy_only=False)
    return found


def _plain(text: str | None) -> str:
    """Return a time in UTC without its zone, as numpy reads it; the catalogue writes 0 to 9 digits of seconds."""
    if not text:
        return "NaT"
    if match := _PLAIN_UTC.fullmatch(text):
        return match[1]
    timestamp = datetime.fromisoformat(text)
    return (timestamp.astimezone(UTC) if timestamp.tzinfo else timestamp).replace(tzinfo=None).isoformat()


def _is_timestamp(text: str) -> bool:
    try:
        np.datetime64(_plain(text), "us")
    except (ValueError, OverflowError):
        return False
    return True


def _eviction(text: str | None) -> str | None:
    return None if text is None or text.startswith(_NEVER) else text


def _attribute(name: str, values: list[Any]) -> pd.Series | ExtensionArray:
    """Return a typed column; a value of another type, as in one known attribute of Sentinel-3, becomes missing."""
    match type_of(name):
        case AttributeType.INTEGER:
            numbers = pd.to_numeric(pd.Series(values, dtype=object), errors="coerce")
            return numbers.where(numbers % 1 == 0).astype("Int64")
        case AttributeType.DOUBLE:
            return pd.to_numeric(pd.Series(values, dtype=object), errors="coerce").astype("Float64")
        case AttributeType.BOOLEAN:
            return pd.Series([value if isinstance(value, bool) else None for value in values], dtype="boolean")
        case AttributeType.TIMESTAMP:
            return _timestamps([value if isinstance(value, str) and _is_timestamp(value) else None for value in values])
    return _text([None if value is None else str(value) for value in values])
