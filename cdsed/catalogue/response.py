"""Reading `CatalogueEntry` and `Deletion` from the catalogue's JSON; a malformed response is refused as a whole."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from cdsed.errors import ServiceError
from cdsed.model.catalogue_entry import CatalogueEntry, Deletion

_DIGESTS = {  # "N/A" and all zeros mean that the digest is absent
    "MD5": re.compile(r"(?!0{32})[0-9a-f]{32}"),
    "BLAKE3": re.compile(r"(?!0{64})[0-9a-f]{64}"),
}
_FOOTPRINT = re.compile(r"geography'SRID=4326;(?P<wkt>[^']+)'")

_Row = TypeVar("_Row")


def parse_entries(response: Mapping[str, Any], url: str) -> list[CatalogueEntry]:
    """Return every row of a response of ``Products``.

    Parameters
    ----------
    response
        The JSON object of a response with status 200.
    url
        The catalogue's address, for the message.

    Raises
    ------
    ServiceError
        ``InvalidResponse``: it is not of this shape.
    """
    return _rows(response, _entry, url)


def parse_deletions(response: Mapping[str, Any], url: str) -> list[Deletion]:
    """Return every row of a response of ``DeletedProducts``; otherwise as `parse_entries`."""
    return _rows(response, _deletion, url)


def _rows(response: Mapping[str, Any], parse: Callable[[Mapping[str, Any]], _Row], url: str) -> list[_Row]:
    try:
        return [parse(row) for row in _list(response["value"])]
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ServiceError(
            f"{url}: a response that is not as documented: {type(error).__name__}: {error!s:.100}",
            code="InvalidResponse",
        ) from error


def _list(value: Any) -> list[Any]:
    """Return a list; another iterable, such as an empty text, would pass as a response without rows."""
    if not isinstance(value, list):
        raise TypeError("value is not a list")
    return value


def _entry(row: Mapping[str, Any]) -> CatalogueEntry:
    if not isinstance(row["Online"], bool):
        raise TypeError("Online is of another type")
    return CatalogueEntry(
        name=_text(row, "Name"),
        product_id=_text(row, "Id"),
        s3_path=_text(row, "S3Path") if row["S3Path"] else "",
        size_bytes=_size_bytes(row.get("ContentLength") or 0),
        online=row["Online"],
        md5=digest_of(row, "MD5"),
        modified_at=_instant(row["ModificationDate"]),
        blake3=digest_of(row, "BLAKE3"),
        footprint_wkt=_footprint(row),
        published_at=_instant(row["PublicationDate"]) if row.get("PublicationDate") else None,
    )


def _deletion(row: Mapping[str, Any]) -> Deletion:
    at = row.get("DeletionDate")
    cause = row.get("DeletionCause") or "no cause is given"
    return Deletion(_text(row, "Name"), _text(row, "Id"), str(cause), _instant(at) if at else None)


def _text(row: Mapping[str, Any], field: str) -> str:
    if not isinstance(row[field], str):
        raise TypeError(f"{field} is of another type")
    return str(row[field])


def _size_bytes(said: int | str) -> int:
    size_bytes = int(said)
    if not 0 <= size_bytes < 2**63:
        raise ValueError(f"a ContentLength of {said!r:.40}")
    return size_bytes


def _instant(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)  # a time of the catalogue without a zone is UTC


def digest_of(row: Mapping[str, Any], algorithm: str) -> str | None:
    """Return a row's digest by the catalogue's name of the algorithm, in lower-case hex; None when it is absent."""
    for checksum in row.get("Checksum") or []:
        if checksum.get("Algorithm") == algorithm:
            value = str(checksum.get("Value")).lower()
            if _DIGESTS[algorithm].fullmatch(value):
                return value
    return None


def _footprint(row: Mapping[str, Any]) -> str | None:
    """Return the footprint as WKT; rows have it as text and as GeoJSON, some only as GeoJSON."""
    found = _FOOTPRINT.fullmatch(row.get("Footprint") or "")
    if found:
        return found["wkt"]
    match row.get("GeoFootprint"):
        case {"type": "Polygon", "coordinates": rings}:
            return f"POLYGON {_nested(rings, 2)}"
        case {"type": "MultiPolygon", "coordinates": polygons}:
            return f"MULTIPOLYGON {_nested(polygons, 3)}"
    return None


def _nested(coordinates: Sequence[Any], depth: int) -> str:
    if depth == 0:
        return f"{coordinates[0]} {coordinates[1]}"
    return f"({', '.join(_nested(each, depth - 1) for each in coordinates)})"
