"""Layouts of archives: the directory of a product, by satellite, level, mode, type and date.

The built-in layout is that of cdsodatacli's ``WhichArchiveDir``, e.g. ``sentinel-1a/L1/IW/S1A_IW_GRDH_1S/2024/156``.
Families without it have a template in the configuration, or none.
"""

import string
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from cdsed.model.families import Family
from cdsed.model.safename import Safename

FIELDS = (
    "family",  # S1
    "satellite",  # sentinel-1a
    "unit",  # S1A
    "level",  # L1
    "mode",  # IW; SM for the stripmaps S1 to S6
    "product_type",  # IW_GRDH_1S
    "year",
    "month",
    "day",
    "doy",  # day of year, 001 to 366
)


def checked_template(template: str) -> str:
    """Return the template of a layout if it is valid.

    Raises
    ------
    ValueError
        It has an unknown field, gives a field a format, or leads out of the archive.
    """
    for _, name, form, conversion in string.Formatter().parse(template):
        if name is not None and name not in FIELDS:
            raise ValueError(f"has no field {{{name}}}; there are {', '.join(FIELDS)}")
        if form or conversion:
            raise ValueError(f"must name {{{name}}} alone, without a format")
    path = PurePosixPath(template)
    if not template.isprintable() or not template or path.is_absolute() or ".." in path.parts:
        raise ValueError("must be a path below the archive")
    return template


def archive_dir(root: Path, safename: Safename, templates: Mapping[Family, str]) -> Path | None:
    """Return the directory of an archive that a product belongs to.

    Parameters
    ----------
    root
        The archive.
    safename
        The product's parsed name.
    templates
        Layouts by family, such as ``{unit}/{product_type}/{year}/{doy}``; they override the built-in ones.

    Returns
    -------
    Path or None
        None if the family has no layout, or the name no date.
    """
    mission = safename.family.mission
    template = templates.get(safename.family) or mission.archive_layout
    if template is None or safename.start is None:
        return None
    mode = mission.archive_modes.get(safename.mode, safename.mode)
    letter = safename.unit[2:].strip("_").lower()
    return root / template.format(
        family=safename.family,
        satellite=f"sentinel-{safename.unit[1]}{letter}",
        unit=safename.unit,
        level=safename.level,
        mode=mode,
        product_type=safename.product_type.replace(safename.mode, mode, 1),
        year=f"{safename.start:%Y}",
        month=f"{safename.start:%m}",
        day=f"{safename.start:%d}",
        doy=f"{safename.start:%j}",
    )
