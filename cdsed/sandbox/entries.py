"""Entries of the catalogue for products that the sandbox makes."""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import shapely
from shapely.geometry.base import BaseGeometry

from cdsed.sandbox import footprints
from cdsed.sandbox.attributes import attributes
from cdsed.sandbox.names import parse_name, timestamp_of
from cdsed.sandbox.timestamps import stamp

NEVER_EVICTED = "9999-12-31T23:59:59.999999Z"


@dataclass(frozen=True)
class DeletedEntry:
    """Why and when a product was taken out of the catalogue."""

    cause: str
    at: datetime


@dataclass(frozen=True)
class Delivered:
    """Length and MD5 of the zip that ``$value`` would deliver."""

    size_bytes: int
    md5: str


@dataclass(frozen=True, slots=True)
class EntryFacts:
    """The facts of an entry; the rest of it is made from the name.

    Parameters
    ----------
    safename, product_id, s3_path
        Its names.
    start
        When sensing began.
    published
        When it was added to the catalogue.
    online
        Whether it can be fetched at once.
    footprint
        Well-known text; empty: made from the name; ``null``: without a footprint.
    has_checksums
        False for old products.
    deletion
        None while it exists.
    catalogue_name
        The name of the row; empty: `safename`, of which the rest of the entry is made.
    """

    safename: str
    product_id: str
    s3_path: str
    start: datetime
    published: datetime
    online: bool = True
    footprint: str = ""
    has_checksums: bool = True
    deletion: DeletedEntry | None = None
    catalogue_name: str = ""

    @property
    def name(self) -> str:
        """Return the name of the row."""
        return self.catalogue_name or self.safename

    @property
    def end(self) -> datetime:
        """Return when sensing ended: from the name; for Sentinel-2 it is the start, as in the catalogue."""
        fields = parse_name(self.safename).fields
        if "stop" not in fields:
            return self.start
        return max(self.start, timestamp_of(fields["stop"]) + timedelta(microseconds=self.start.microsecond))

    @property
    def modified(self) -> datetime:
        """Return when the entry was last changed."""
        return self.published + timedelta(seconds=21.776763)


def entry(facts: EntryFacts, delivered: Delivered) -> dict[str, Any]:
    """Return the entry of a product, without the fields that are only expanded on request."""
    geometry = made_geometry(facts)
    whole: dict[str, Any] = {
        "@odata.mediaContentType": "application/octet-stream",
        "Id": facts.product_id,
        "Name": facts.name,
        "ContentType": "application/octet-stream",
        "ContentLength": delivered.size_bytes,
        "OriginDate": stamp(facts.published - timedelta(seconds=336.880131)),
        "PublicationDate": stamp(facts.published),
        "ModificationDate": stamp(facts.modified),
        "Online": facts.online,
        "EvictionDate": NEVER_EVICTED,
        "S3Path": facts.s3_path,
        "Checksum": _checksums(facts, delivered.md5),
        "ContentDate": {"Start": stamp(facts.start), "End": stamp(facts.end)},
        "Footprint": footprints.geography(geometry),
        "GeoFootprint": footprints.geojson(geometry),
    }
    if facts.deletion:
        whole |= {"DeletionDate": stamp(facts.deletion.at), "DeletionCause": facts.deletion.cause}
    return whole


def expansion(what: str, facts: EntryFacts, whole: dict[str, Any]) -> list[dict[str, Any]]:
    """Return ``Attributes``, ``Assets`` or ``Locations`` of a product whose entry is `whole`."""
    if what == "Attributes":
        return attributes(parse_name(facts.safename), facts.start, facts.end)
    return [_quicklook(facts)] if what == "Assets" else [_location(facts, whole)]


@lru_cache(maxsize=50_000)
def made_geometry(facts: EntryFacts) -> BaseGeometry | None:
    """Return the footprint of a product in degrees, or None; ValueError when the given one is not valid."""
    if facts.footprint == "null":
        return None
    if facts.footprint:
        try:
            return footprints.wrapped(shapely.from_wkt(facts.footprint))
        except shapely.errors.GEOSException as error:
            raise ValueError(f"the footprint of {facts.safename} is not valid: {error}") from error
    return footprints.footprint(parse_name(facts.safename))


def _checksums(facts: EntryFacts, md5: str) -> list[dict[str, str]]:
    if not facts.has_checksums:
        return []
    # The sandbox does not compute BLAKE3: this is a constant of that length.
    blake3 = hashlib.sha256(f"BLAKE3 {md5}".encode()).hexdigest()
    timestamp = stamp(facts.modified)
    return [
        {"Value": md5, "Algorithm": "MD5", "ChecksumDate": timestamp},
        {"Value": blake3, "Algorithm": "BLAKE3", "ChecksumDate": timestamp},
    ]


def _quicklook(facts: EntryFacts) -> dict[str, str]:
    identifier = hashlib.md5(f"quicklook {facts.product_id}".encode()).hexdigest()
    return {
        "Type": "QUICKLOOK",
        "Id": f"{identifier[:8]}-{identifier[8:12]}-{identifier[12:16]}-{identifier[16:20]}-{identifier[20:]}",
        "DownloadLink": f"https://sandbox.invalid/odata/v1/Assets({facts.product_id})/$value",
        "S3Path": f"{facts.s3_path}/preview/quick-look.png",
    }


def _location(facts: EntryFacts, whole: dict[str, Any]) -> dict[str, Any]:
    return {
        "FormatType": "Extracted",
        "DownloadLink": f"https://sandbox.invalid/odata/v1/Products({facts.product_id})/$value",
        "ContentLength": whole["ContentLength"],
        "Checksum": whole["Checksum"],
        "S3Path": facts.s3_path,
    }
