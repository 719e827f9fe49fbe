"""``guess_s3_path``: where a product lies, from its name alone."""

from cdsed.model import eodata
from cdsed.model.safename import normalise, parse


def guess_s3_path(safebasename: str) -> str:
    """Return the expected key of a product in the bucket.

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
    ValueError
        The name says too little: Sentinel-3 and -6, reprocessed Sentinel-2, or no name at all. Ask the catalogue
        (`cdsed.resolve`).
    """
    path = eodata.guess_s3_path(parse(normalise(safebasename)))
    if path is None:
        raise ValueError(f"safebasename not handled: {safebasename}; its path is known to the catalogue only")
    return path.removeprefix(f"/{eodata.BUCKET}/")
