"""Where products are in CDSE's object store: paths, object keys, and which of them are safe."""

import re
from functools import lru_cache

from cdsed.errors import ProductError
from cdsed.frozen import frozen
from cdsed.model.families.places import key_of_auxiliary
from cdsed.model.safename import Safename, stem_of

BUCKET = "eodata"

_SEGMENT = re.compile(r"[A-Za-z0-9._+][A-Za-z0-9._+-]{0,254}")  # a leading - would be an option in `rm *`
BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


@frozen
class S3Location:
    """A bucket, and the object key of a product or of its folder, without slashes at its ends."""

    bucket: str
    key: str

    @property
    def s3_path(self) -> str:
        """The location as the catalogue writes it, ``/eodata/Sentinel-1/…``."""
        return f"/{self.bucket}/{self.key}"


def guess_s3_path(safename: Safename) -> str | None:
    """Derive a product's path from its name, if the layout is known well enough for a try.

    Returns
    -------
    str or None
        ``/eodata/…``; None for unknown products, and names from which no folder can be derived: ask the catalogue.
    """
    if key := key_of_auxiliary(safename.name):
        return f"/{BUCKET}/{key}"
    if safename.start is None:
        return None
    mission = safename.family.mission
    folder = mission.eodata_folder(safename, safename.start)
    name = safename.stem if mission.eodata_bare(safename) else safename.name
    return folder and f"/{BUCKET}/{folder}/{safename.start:%Y/%m/%d}/{name}"


def split_s3_path(s3_path: str) -> S3Location:
    """Read a path: ``/eodata/…``, ``s3://eodata/…``, ``eodata/…`` or, without the bucket, ``Sentinel-1/…``.

    Raises
    ------
    ValueError
        A segment is empty, ``.`` or ``..``, or has a character that object keys of products do not have; or the
        object key is missing.
    """
    path = s3_path.removeprefix("s3://").removeprefix("/").removesuffix("/")
    first, _, rest = path.partition("/")
    # Bucket names have no capitals, so `Sentinel-1/SAR/…`, as older tools write it, has no bucket.
    location = S3Location(first, rest) if BUCKET_NAME.fullmatch(first) else S3Location(BUCKET, path)
    try:
        safe_segments(location.key)
    except ValueError as error:
        raise ValueError(f"the S3 path {s3_path[:200]!r} cannot be used: {error}") from None
    return location


def is_place_of(location: S3Location, safename: str) -> bool:
    """Tell whether a location can be that of a product: its last part is the name, extensions aside."""
    return stem_of(location.key.rpartition("/")[2]) == stem_of(safename)


@lru_cache(maxsize=256)  # asked for some times on the way of each product
def location_of(safename: str, s3_path: str, bucket: str = BUCKET) -> S3Location:
    """Return where a product is in the object store, by the path that a listing or the catalogue gives.

    Parameters
    ----------
    bucket
        The one of the settings. Listings and the catalogue may call it `BUCKET`, too.

    Raises
    ------
    ProductError
        ``UnsafePath``: the path cannot be used, or is that of another product. ``ForeignBucket``: it is in another
        bucket, which must not be asked for: its refusals would say nothing about the service or the account.
    """
    try:
        location = split_s3_path(s3_path)
    except ValueError as error:
        raise ProductError(f"{safename}: {error}", code="UnsafePath") from error
    if location.bucket not in {bucket, BUCKET}:
        raise ProductError(f"{s3_path} is in another bucket than {bucket} (services.s3_bucket)", code="ForeignBucket")
    location = S3Location(bucket, location.key)
    if not is_place_of(location, safename):
        raise ProductError(f"{s3_path} is the place of another product than {safename}", code="UnsafePath")
    return location


def safe_segments(key_below_product: str) -> tuple[str, ...]:
    """Split an object key into segments that are safe as file names; unsafe keys are refused, not repaired.

    Raises
    ------
    ValueError
        A segment is empty, ``.`` or ``..``, longer than 255, begins with ``-``, or has other characters
        than ``A-Za-z0-9._+-``.
    """
    segments = tuple(key_below_product.split("/"))
    for segment in segments:
        if segment in {"", ".", ".."}:
            raise ValueError(f"it has a segment {segment!r}")
        if not _SEGMENT.fullmatch(segment):
            raise ValueError(f"its segment {segment[:80]!r} is not like the name of a file of a product")
    return segments
