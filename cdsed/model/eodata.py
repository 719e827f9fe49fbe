"""Where products are in CDSE's object store: paths, keys, and which of them we trust."""

import re
from dataclasses import dataclass

from cdsed.errors import ProductError
from cdsed.model.safename import Safename

BUCKET = "eodata"

_SEGMENT = re.compile(r"[A-Za-z0-9._+][A-Za-z0-9._+-]{0,254}")  # a leading - is an option to who types rm *
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


@dataclass(frozen=True, slots=True)
class S3Location:
    """A bucket and a key without slashes at its ends; the key of a product is a folder's or one object's."""

    bucket: str
    key: str

    @property
    def s3_path(self) -> str:
        """The location as the catalogue writes it, ``/eodata/Sentinel-1/…``."""
        return f"/{self.bucket}/{self.key}"


def guess_s3_path(safename: Safename) -> str | None:
    """Derive a product's path from its name, where the layout is known well enough to be worth a try.

    Returns
    -------
    str or None
        ``/eodata/…``; None for auxiliary files, whatever is unknown, and names from which the mission derives no
        folder: ask the catalogue.
    """
    if safename.start is None:
        return None
    folder = safename.family.mission.eodata_folder(safename, safename.start)
    return folder and f"/{BUCKET}/{folder}/{safename.start:%Y/%m/%d}/{safename.name}"


def split_s3_path(s3_path: str) -> S3Location:
    """Read a path: ``/eodata/…``, ``s3://eodata/…``, ``eodata/…`` or, without the bucket, ``Sentinel-1/…``.

    Raises
    ------
    ValueError
        A segment is empty, ``.`` or ``..``, or holds a character no key of a product has; or there is no key.
    """
    path = s3_path.removeprefix("s3://").removeprefix("/").removesuffix("/")
    first, _, rest = path.partition("/")
    # Bucket names have no capitals: `Sentinel-1/SAR/…`, as older tools write it, begins with the key.
    location = S3Location(first, rest) if _BUCKET.fullmatch(first) else S3Location(BUCKET, path)
    try:
        safe_segments(location.key)
    except ValueError as error:
        raise ValueError(f"the S3 path {s3_path[:200]!r} cannot be used: {error}") from None
    return location


def is_place_of(location: S3Location, safename: str) -> bool:
    """Tell whether a location can be a product's: its last part is the name, give or take extensions."""
    stem = safename.removesuffix(".zip").rpartition(".")[0] or safename
    return location.key.rpartition("/")[2].startswith(stem)


def location_of(safename: str, s3_path: str) -> S3Location:
    """Return where a product is in the object store, by the path that a listing or the catalogue gives.

    Raises
    ------
    ProductError
        ``UnsafePath``: the path cannot be used, or is that of another product.
    """
    try:
        location = split_s3_path(s3_path)
    except ValueError as error:
        raise ProductError(f"{safename}: {error}", code="UnsafePath") from error
    if not is_place_of(location, safename):
        raise ProductError(f"{s3_path} is the place of another product than {safename}", code="UnsafePath")
    return location


def safe_segments(key_below_product: str) -> tuple[str, ...]:
    """Split a key into segments that are safe as file names; refuse it rather than repair it.

    Raises
    ------
    ValueError
        A segment is empty, ``.`` or ``..``, longer than 255, begins with ``-``, or has others than
        ``A-Za-z0-9._+-``.
    """
    segments = tuple(key_below_product.split("/"))
    for segment in segments:
        if segment in {"", ".", ".."}:
            raise ValueError(f"it has a segment {segment!r}")
        if not _SEGMENT.fullmatch(segment):
            raise ValueError(f"its segment {segment[:80]!r} is not like the name of any file of a product")
    return segments
