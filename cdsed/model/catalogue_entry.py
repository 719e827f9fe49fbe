"""What the catalogue says of products, and why a product is unavailable."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from cdsed.frozen import frozen
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
        Its path, e.g. ``/eodata/Sentinel-1/…/X.SAFE``: a directory or one single object.
    size_bytes
        Size of the zip (or single object) of the product: an estimate for a directory; 0 when unknown.
    online
        Whether it can be fetched; you have to order an offline product from CDSE by hand.
    md5
        Digest of that zip or single object in lower-case hex, or None if the catalogue has none.
    modified_at
        When the catalogue last changed the row, UTC.
    blake3
        Another digest of the same bytes, or None.
    footprint_wkt
        The area it shows, longitude first, or None: auxiliary files show no area.
    published_at
        When the product appeared in the catalogue, UTC, or None if the row does not say it.
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
    published_at: datetime | None = None

    @property
    def can_be_had(self) -> bool:
        """Whether it is online, and the catalogue says where."""
        return self.online and bool(self.s3_path)


@frozen
class Deletion:
    """A product that the catalogue has deleted.

    Attributes
    ----------
    cause
        In CDSE's words.
    at
        When, UTC, or None if not known.
    successor
        The name of another version of the product, which the catalogue has; empty if it has none.
    """

    name: str
    product_id: str
    cause: str
    at: datetime | None
    successor: str = ""


@frozen
class Absence:
    """Why a product is unavailable: a stable code, and a text that says what you can do."""

    code: str
    cause: str


@frozen
class Facts:
    """What the catalogue says of names or ids; each one that was asked for is in exactly one of the three.

    Attributes
    ----------
    found
        The entries, by the name or id that was asked for, in that order.
    deleted
        Those that the catalogue has deleted.
    unknown
        Those that the catalogue does not know.
    others
        Further rows of a name in `found` that can be had, too: the catalogue may have a name several times.
    """

    found: Mapping[str, CatalogueEntry] = field(default_factory=dict)
    deleted: Mapping[str, Deletion] = field(default_factory=dict)
    unknown: frozenset[str] = frozenset()
    others: Mapping[str, tuple[CatalogueEntry, ...]] = field(default_factory=dict)

    def absence(self, asked: str) -> Absence | None:
        """Return why a product that was asked for is unavailable; None if it is available."""
        entry, deletion = self.found.get(asked), self.deleted.get(asked)
        if deletion:
            when = f" on {deletion.at:%Y-%m-%d}" if deletion.at else ""
            instead = f"; the catalogue has {deletion.successor} instead" if deletion.successor else ""
            return Absence("Deleted", f"CDSE deleted it{when}: {deletion.cause}{instead}")
        if entry is None:
            wrong = misfit(asked)  # a misspelt name is the most likely reason
            return Absence("NotInCatalogue", f"not in the catalogue{f'; perhaps misspelt: {wrong}' if wrong else ''}")
        if not entry.online:
            return Absence("Offline", "offline at CDSE; order it in the Data Workspace, then drop it again")
        if not entry.s3_path:
            return Absence("NoPath", "the catalogue does not say where it is")
        return None
