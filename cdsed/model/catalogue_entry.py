"""What the catalogue knows of products, and why a product cannot be had."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from cdsed.model.safename import misfit


@dataclass(frozen=True)
class CatalogueEntry:
    """One row of the OData catalogue.

    Parameters
    ----------
    name
        The safename, extension included.
    product_id
        The UUID of the product in CDSE.
    s3_path
        Where it lies, e.g. ``/eodata/Sentinel-1/…/X.SAFE``: a directory or one single object.
    size_bytes
        Size of the zip (or single object) of the product: an estimate for a directory; 0 when unknown.
    online
        Whether it can be fetched; what is offline has to be ordered from CDSE by hand.
    md5
        Digest of that zip or single object in small hex, or None where the catalogue has none.
    modified_at
        When the catalogue last touched the row, UTC.
    blake3
        Another digest of the same bytes, or None.
    footprint_wkt
        What it shows of the earth, longitude first, or None: auxiliary files show nothing.
    """

    name: str
    product_id: str
    s3_path: str
    size_bytes: int
    online: bool
    md5: str | None
    modified_at: datetime
    blake3: str | None = None
    footprint_wkt: str | None = None


@dataclass(frozen=True, slots=True)
class Deletion:
    """A product that was in the catalogue once; `cause` in CDSE's words, `at` in UTC where it is told."""

    name: str
    product_id: str
    cause: str
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Absence:
    """Why a product cannot be had: a short stable word, and a clause for people with what to do about it."""

    code: str
    cause: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What the catalogue says of names or ids; everything asked stands in exactly one of the three.

    Attributes
    ----------
    found
        The entry of each, by what was asked, in the order in which it was asked.
    deleted
        What is no longer in the catalogue and among its deletions.
    unknown
        What the catalogue has never heard of.
    """

    found: Mapping[str, CatalogueEntry] = field(default_factory=dict)
    deleted: Mapping[str, Deletion] = field(default_factory=dict)
    unknown: frozenset[str] = frozenset()

    def absence(self, asked: str) -> Absence | None:
        """Say why a product that was asked for cannot be had; None when it can."""
        entry, deletion = self.found.get(asked), self.deleted.get(asked)
        if deletion:
            when = f" on {deletion.at:%Y-%m-%d}" if deletion.at else ""
            return Absence("Deleted", f"CDSE deleted it{when}: {deletion.cause}")
        if entry is None:
            wrong = misfit(asked)  # a misspelt name is the most likely reason
            return Absence("NotInCatalogue", f"not in the catalogue{f'; perhaps misspelt: {wrong}' if wrong else ''}")
        if not entry.online:
            return Absence("Offline", "offline at CDSE; order it in the Data Workspace, then drop it again")
        if not entry.s3_path:
            return Absence("NoPath", "the catalogue does not say where it lies")
        return None
