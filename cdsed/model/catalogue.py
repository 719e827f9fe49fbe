"""What the catalogue knows of one product."""

from dataclasses import dataclass
from datetime import datetime


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
    """

    name: str
    product_id: str
    s3_path: str
    size_bytes: int
    online: bool
    md5: str | None
    modified_at: datetime
