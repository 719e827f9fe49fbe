"""From the catalogue's JSON to `CatalogueEntry`; whatever is not well-formed is refused whole."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from cdsed.errors import ServiceError
from cdsed.model.catalogue import CatalogueEntry

_MD5 = re.compile(r"(?!0{32})[0-9a-f]{32}")  # "N/A" and all zeros stand for none


def parse_entries(body: bytes, url: str) -> list[CatalogueEntry]:
    """Return every row of an OData answer.

    Parameters
    ----------
    body
        The body of a 200 answer.
    url
        The catalogue's address, for the message.

    Raises
    ------
    ServiceError
        ``BadAnswer``: not JSON, not of this shape, or not all of the rows.
    """
    try:
        return list(_entries(json.loads(body)))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ServiceError(
            f"{url}: an answer that is not as documented: {type(error).__name__}: {error!s:.100}",
            code="BadAnswer",
        ) from error


def _entries(answer: Any) -> Iterator[CatalogueEntry]:
    if "@odata.nextLink" in answer:
        raise ValueError("there are more rows than were asked for")
    for row in answer["value"]:
        if not (isinstance(row["Id"], str) and isinstance(row["Name"], str) and isinstance(row["Online"], bool)):
            raise TypeError("Id, Name or Online is of another type")
        modified_at = datetime.fromisoformat(row["ModificationDate"])
        yield CatalogueEntry(
            name=row["Name"],
            product_id=row["Id"],
            s3_path=row["S3Path"] or "",
            size_bytes=int(row.get("ContentLength") or 0),
            online=row["Online"],
            md5=_md5(row.get("Checksum") or []),
            # the catalogue means UTC where it says nothing
            modified_at=modified_at if modified_at.tzinfo else modified_at.replace(tzinfo=UTC),
        )


def _md5(checksums: list[dict[str, Any]]) -> str | None:
    for checksum in checksums:
        value = str(checksum.get("Value")).lower()
        if checksum.get("Algorithm") == "MD5" and _MD5.fullmatch(value):
            return value
    return None
