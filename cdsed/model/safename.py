"""Safenames: which names are valid, and what their fields say. `cdsed.model.families` has the forms."""

import re
from dataclasses import dataclass
from functools import lru_cache

from cdsed.model.families import Family, family_by_beginning
from cdsed.model.families.form import NameFields
from cdsed.model.families.other import (
    ANY_EXTENSION,
    ANY_NAME,
    AUXILIARY,
    EXTENSIONS_OF_ARCHIVES,
    EXTENSIONS_OF_AUXILIARY,
    UNIT,
)
from cdsed.model.quoting import NotAName

NAME_BYTES_MAX = 255  # NAME_MAX of Linux file systems

_EXTENSIONS = re.compile(r"(?:\.[A-Za-z][A-Za-z0-9]{1,4}){1,2}$")
_ALLOWED = re.compile(r"[A-Za-z0-9._+-]+")
_CANONICAL = re.compile(rf"(?={ANY_NAME.pattern})[A-Za-z0-9_]+\.(?![zZ][iI][pP]$)[A-Za-z0-9]+")
_SLASH = re.compile(r"[/\\]")
# The intake reads the same name several times for one batch of lines.
_PARSED_MAX = 1024


@dataclass(frozen=True, slots=True)
class Safename(NameFields):
    """A product's name and its fields.

    Attributes
    ----------
    name
        The canonical name with its extension: the product's basename in spools and archives.
    family
        ``OTHER`` if the form of the name is not known here; then all other fields but `unit` are empty.
    """

    name: str
    family: Family

    @property
    def stem(self) -> str:
        """The name without its extension."""
        return self.name.rpartition(".")[0] or self.name


@lru_cache(_PARSED_MAX)
def parse(name: str) -> Safename:
    """Read the fields of a canonical name.

    Parameters
    ----------
    name
        What `normalise` returns.

    Returns
    -------
    Safename
        With family ``OTHER`` if the form of the name is not known: such a name is still valid.
    """
    family = family_by_beginning(name)
    said = family.mission.form.read(name) if family.mission.form else None
    if said is None:
        return Safename(name, Family.OTHER, unit=name[:3] if UNIT.match(name) else "")
    return Safename(
        name,
        family,
        unit=said.unit,
        start=said.start,
        stop=said.stop,
        mode=said.mode,
        product_type=said.product_type,
        level=said.level,
        fields=said.fields,
    )


def misfit(name: str) -> str | None:
    """Return what is wrong with a name that begins like a known family but breaks its form.

    Returns
    -------
    str or None
        One clause, e.g. ``orbit '05417' should be six digits``; None for a good name, and for one whose form
        is not known here (auxiliary files, mosaics, other missions).
    """
    form = family_by_beginning(name).mission.form
    return None if form is None or AUXILIARY.match(name) else form.misfit(name)


def is_canonical(token: str) -> bool:
    """Tell whether a word is surely a name to which `normalise` has nothing to do; it may be too long."""
    return _CANONICAL.fullmatch(token) is not None


def normalise(token: str) -> str:
    """Turn one word of a listing into a canonical name.

    Spaces and quotes around it, a path in front, a slash at the end and ``.zip`` are dropped; a missing extension is
    added where the family has but one. Nothing else is repaired.

    Raises
    ------
    NotAName
        The word cannot be the name of a product on CDSE; a ValueError whose text says why.
    """
    if len(token) <= NAME_BYTES_MAX and is_canonical(token):
        return token  # in most listings: there is nothing to drop and nothing to add
    name = _SLASH.split(token.strip(" \t'\"").rstrip("/\\"))[-1]
    if name.lower().endswith(".zip"):
        name = name[:-4]
    shown = name if len(name) <= 80 else f"{name[:77]}..."
    if not name:
        raise NotAName("", "it has no product name")
    if not _ALLOWED.fullmatch(name):
        strange = next(character for character in name if not _ALLOWED.fullmatch(character))
        raise NotAName(shown, f"holds {strange!r}; names are made of letters, digits and . _ + -")
    if not ANY_NAME.match(name):
        raise NotAName(shown, "does not begin like the name of a Sentinel product, e.g. S1A_ or S2B_")
    if ".." in name:
        raise NotAName(shown, "holds '..', which no product name does")
    name = _with_extension(name)
    if len(name) > NAME_BYTES_MAX:
        raise NotAName(shown, f"has {len(name)} characters; a file name has at most {NAME_BYTES_MAX}")
    return name


def spellings(name: str) -> tuple[str, ...]:
    """Return the names that the catalogue may have for a product: this one first, then with or without an extension.

    Parameters
    ----------
    name
        As `normalise` returns it, or without its extension.
    """
    form, bare = family_by_beginning(name).mission.form, stem_of(name)
    known = () if form is None else (form.extension,)
    if name == bare:
        added = known if form is None or not ANY_EXTENSION.match(name) else (*EXTENSIONS_OF_AUXILIARY, *known)
    else:
        added = ("", *(known if name.endswith(EXTENSIONS_OF_ARCHIVES) else ()))
    return tuple(dict.fromkeys((name, *(bare + extension for extension in added))))


def stem_of(name: str) -> str:
    """Return a name without its extensions, of which the object of a product may have one more, as in ``.SAFE.zip``."""
    return _EXTENSIONS.sub("", name)


def _with_extension(name: str) -> str:
    """Add the family's extension to a name that has no extension."""
    form = family_by_beginning(name).mission.form
    return name if form is None or "." in name or ANY_EXTENSION.match(name) else name + form.extension
