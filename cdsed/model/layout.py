"""Layouts: the directory of a product below an archive, a spool or an output directory, by fields of its name.

The built-in layout of archives is that of cdsodatacli's ``WhichArchiveDir``, e.g.
``sentinel-1a/L1/IW/S1A_IW_GRDH_1S/2024/156``. Families without it have a template in the settings, or none. Spools and
output directories have a layout only if the settings or a listing ask for it.
"""

import re
import string
from collections.abc import Iterator, Mapping
from datetime import date
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Self

from cdsed.frozen import frozen
from cdsed.model.families import Family
from cdsed.model.safename import Safename

FIELDS = (
    "family",  # S1
    "mission",  # sentinel-1
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
#: Fields that only some missions have in their names, such as ``tile``.
NAME_FIELDS = tuple(
    sorted({name for family in Family if (form := family.mission.form) for name in form.field_names} - {*FIELDS})
)
_EMPTY = dict.fromkeys(FIELDS, "")
#: The directory below a spool in which products that are fetched in part appear.
PARTIAL = "partial"

_TEMPLATE_CHARACTERS_MAX = 500
_TEMPLATES_MAX = 64
_DATES_MAX = 1024
_FIELD = re.compile("[a-z_]{1,20}")
_OF_FAMILY = re.compile(f"({'|'.join(Family)}):(.*)")


def checked_template(template: str) -> str:
    """Return the template of a layout if it is valid.

    Raises
    ------
    ValueError
        It has an unknown field, gives a field a format, or leads out of its root.
    """
    for name, form, conversion in _fields_of(template):
        if name not in FIELDS and name not in NAME_FIELDS:
            # Only what looks like a field is repeated: the first line of a file that is not a listing may have secrets.
            shown = f" {{{name}}}" if _FIELD.fullmatch(name) else ""
            raise ValueError(f"has no field{shown}; there are {', '.join(FIELDS + NAME_FIELDS)}")
        if form or conversion:
            raise ValueError(f"must name {{{name}}} alone, without a format or conversion")
    path = PurePosixPath(template)
    if not template.isprintable() or not template or path.is_absolute() or ".." in path.parts:
        raise ValueError("must be a relative path without '..'")
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
        None if the family has no layout, or the name no date, or not a field of its own that the layout names.
    """
    below = below_archive(safename, templates)
    return None if below is None else root / below


def below_archive(safename: Safename, templates: Mapping[Family, str]) -> str | None:
    """Return the directory of `archive_dir` relative to the archive."""
    template = templates.get(safename.family) or safename.family.mission.archive_layout
    if template is None or safename.start is None:
        return None
    values = _EMPTY | _values(safename)
    return template.format_map(values) if values.keys() >= _names_of(template) else None


@frozen
class ProductLayout:
    """Where products appear below a spool or an output directory.

    Attributes
    ----------
    templates
        Pairs of a family and its template; the family None is every other one. Without a template, the products of a
        family appear in the spool or output directory itself.
    """

    templates: tuple[tuple[Family | None, str], ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `str` returns: one template, or ``S1:TEMPLATE;S2:TEMPLATE``.

        Raises
        ------
        ValueError
            A template is not valid, or a family has two.
        """
        found = [_OF_FAMILY.fullmatch(part) for part in text.split(";")]
        pairs = [(each[1], each[2]) for each in found if each]
        if not pairs:
            return cls(((None, _checked(text)),))
        if len(pairs) < len(found):
            raise ValueError(f"must be one template, or one for each of some families ({', '.join(Family)})")
        if len(dict(pairs)) < len(pairs):
            raise ValueError("must name each family once")
        return cls.by_family(dict(pairs))

    @classmethod
    def by_family(cls, templates: Mapping[str, str]) -> Self:
        """Return a layout with a template for each of some families; raises ValueError as `parse`."""
        unknown = sorted({*templates} - {*Family})
        if unknown:
            raise ValueError(f"has no family {unknown[0]!r}; there are {', '.join(Family)}")
        return cls(tuple((family, _checked(templates[family])) for family in Family if family in templates))

    def __str__(self) -> str:
        return ";".join(text if family is None else f"{family}:{text}" for family, text in self.templates)

    @property
    def is_flat(self) -> bool:
        """Whether all products appear in the spool or output directory itself."""
        return all(text == "." for _, text in self.templates)

    def below(self, safename: Safename) -> str:
        """Return the directory of a product, relative to its spool or output directory; empty: in it.

        Raises
        ------
        ValueError
            The name lacks a field that its template has.
        """
        templates = dict(self.templates)
        template = templates.get(safename.family) or templates.get(None) or "."
        values = {name: value for name, value in _values(safename).items() if value}
        for name, _, _ in _fields_of(template):
            if name not in values:
                raise ValueError(f"{safename.name} has no {{{name}}}; it has {', '.join(values) or 'no field'}")
        path = str(PurePosixPath(template.format_map(values)))
        return "" if path == "." else path


def _checked(template: str) -> str:
    """Return a template for a spool; there, hidden directories and that of partial products are cdsed's own."""
    path = PurePosixPath(checked_template(template))
    if len(template) > _TEMPLATE_CHARACTERS_MAX or ";" in template:
        raise ValueError(f"must be at most {_TEMPLATE_CHARACTERS_MAX} characters, without ';'")
    if any(part.startswith(".") for part in path.parts) or path.parts[:1] == (PARTIAL,):
        raise ValueError(f"must not begin with {PARTIAL}/, nor name a hidden directory")
    return template


def _fields_of(template: str) -> Iterator[tuple[str, str | None, str | None]]:
    """Yield the fields of a template, each with its format and conversion."""
    for _, name, form, conversion in string.Formatter().parse(template):
        if name is not None:
            yield name, form, conversion


@lru_cache(_TEMPLATES_MAX)
def _names_of(template: str) -> frozenset[str]:
    return frozenset(name for name, _, _ in _fields_of(template))


@lru_cache(_DATES_MAX)
def _dates(day: date) -> dict[str, str]:
    forms = {"year": "%Y", "month": "%m", "day": "%d", "doy": "%j"}
    return {name: f"{day:{form}}" for name, form in forms.items()}


def _values(safename: Safename) -> dict[str, str]:
    """Return the fields of a name that a template may have; some of them are empty."""
    mission, start = safename.family.mission, safename.start
    mode = mission.archive_modes.get(safename.mode, safename.mode)
    letter = safename.unit[2:].strip("_").lower()
    return {
        "family": str(safename.family),
        "mission": mission.collection.lower(),
        "satellite": f"sentinel-{safename.unit[1]}{letter}" if safename.unit else "",
        "unit": safename.unit,
        "level": safename.level,
        "mode": mode,
        "product_type": safename.product_type.replace(safename.mode, mode, 1),
        **({} if start is None else _dates(start.date())),
        **{name: text for name, text in safename.fields.items() if name not in FIELDS},
    }
