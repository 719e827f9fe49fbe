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
        The path does not follow from the name: Sentinel-3 and -6, reprocessed Sentinel-2, or not a name of a product.
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
