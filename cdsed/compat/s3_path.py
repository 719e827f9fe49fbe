"""``guess_s3_path``: the S3 path of a product, from its name alone."""

from cdsed.compat.errors import NoSafename
from cdsed.model import eodata
from cdsed.model.safename import normalise, parse


def guess_s3_path(safebasename: str) -> str:
    """Return the expected object key of a product in the bucket.

    Parameters
    ----------
    safebasename
        The product's basename.

    Returns
    -------
    str
        Without the bucket: ``Sentinel-1/SAR/SLC/2019/01/18/S1A_IW_SLC__1SDV_…_08A8.SAFE``.

    Raises
    ------
    NoSafename
        The path does not follow from the name, e.g. level 0 of Sentinel-3, or it is not the name of a product.
        Look the path up in the catalogue (`cdsed.resolve`).
    """
    try:
        parsed = parse(normalise(safebasename))
    except ValueError as error:
        raise NoSafename(f"safebasename not handled: {error}") from error
    path = eodata.guess_s3_path(parsed)
    if path is None:
        raise NoSafename(f"safebasename not handled: {safebasename}; only the catalogue has its path")
    return path.removeprefix(f"/{eodata.BUCKET}/")


def key_of_path(s3_path: str, bucket: str) -> str:
    """Return the object key of a path with ``s3://`` or not, and with the bucket, the name eodata, or neither."""
    key = s3_path.removeprefix("s3://").strip("/")
    return key.removeprefix(f"{bucket}/").removeprefix(f"{eodata.BUCKET}/")
