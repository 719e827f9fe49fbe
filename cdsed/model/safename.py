"""Safenames: what a name may be, and what its fields say.

Forms of the families (field positions measured on real CDSE products): Sentinel-1, -2, -3, -5P and -6.
Unit letters stay open, so that S1E or S2D need no new release.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from cdsed.model.quoting import NotAName

NAME_BYTES_MAX = 255  # NAME_MAX of Linux file systems

_ALLOWED = re.compile(r"[A-Za-z0-9._+-]+")
_SENTINEL = re.compile(r"S[1-9][A-Z_][A-Za-z0-9]*_.|Sentinel-.")
_AUXILIARY = re.compile(r"S[1-9][A-Z_]_(AUX|OPER)_")
_TIME = r"[0-9]{8}T[0-9]{6}"
_A_TIME = "a date and time such as 20240604T110100"


class Family(StrEnum):
    """A family of missions whose names share one form."""

    S1 = "S1"
    S2 = "S2"
    S3 = "S3"
    S5P = "S5P"
    S6 = "S6"
    OTHER = "OTHER"


@dataclass(frozen=True, slots=True)
class Safename:
    """A product's name and what it says.

    Attributes
    ----------
    name
        The canonical name with its extension: the product's basename in spools and archives.
    family
        ``OTHER`` when the name follows no form known here; then all below but `unit` is empty.
    unit
        ``S1A``, ``S5P``, ``S3_`` (a product of both units), or empty.
    start, stop
        Sensing time, UTC. Sentinel-2 names have no stop.
    mode
        ``IW`` … ``S6`` (S1), ``MSI`` (S2), ``OL`` … (S3), ``OFFL`` … (S5P), ``P4`` … (S6).
    product_type
        As in eodata: ``IW_GRDH_1S``, ``MSIL1C``, ``SL_2_LST___``, ``L2__NO2___``, ``P4_2__LR_____``.
    level
        ``L0`` to ``L3``, ``LA`` (ETAD), ``L1C``, ``L2A``; or empty.
    fields
        The fields of the form by name: ``orbit``, ``polarisation``, ``tile``, ``baseline``, ``cog`` …
    """

    name: str
    family: Family
    unit: str
    start: datetime | None = None
    stop: datetime | None = None
    mode: str = ""
    product_type: str = ""
    level: str = ""
    fields: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def stem(self) -> str:
        """The name without its extension."""
        return self.name.rpartition(".")[0] or self.name


@dataclass(frozen=True)
class _Part:
    """One part of a name, between underscores: what people call it, and what it should be."""

    called: str
    pattern: str
    should_be: str

    @property
    def group(self) -> str:
        return f"(?P<{self.called.replace(' ', '_')}>{self.pattern})"


class _Form:
    """The form of one family's names: parts joined by ``_``, then an optional tail and the extension."""

    def __init__(
        self, family: Family, extension: str, mode: slice, product_type: slice, parts: tuple[_Part, ...]
    ) -> None:
        self.family = family
        self.extension = extension
        self.mode = mode
        self.product_type = product_type
        self.parts = parts
        self.tail = "(?P<cog>_COG)?" if family is Family.S1 else ""
        body = "_".join(part.group for part in parts)
        self.pattern = re.compile(f"{body}{self.tail}{re.escape(extension)}")

    def misfit(self, name: str) -> str | None:
        """Say which part breaks the form; None when none does."""
        stem, dot, extension = name.rpartition(".")
        if dot + extension != self.extension:
            return f"extension {dot + extension!r} should be {self.extension!r}"
        at = 0
        for part in self.parts[:-1]:
            found = re.compile(f"{part.pattern}(?=_)").match(stem, at)
            if not found:
                return _complaint(part, stem[at:])
            at = found.end() + 1
        if not re.fullmatch(self.parts[-1].pattern + self.tail, stem[at:]):
            return _complaint(self.parts[-1], stem[at:])
        return None


def _complaint(part: _Part, rest: str) -> str:
    found = rest.partition("_")[0]
    return f"{part.called} {found!r} should be {part.should_be}" if rest else f"{part.called} is missing"


_ORBIT = _Part("orbit", "[0-9]{6}", "six digits")
_START = _Part("start", _TIME, _A_TIME)
_STOP = _Part("stop", _TIME, _A_TIME)
_CREATION = _Part("creation", _TIME, _A_TIME)

_FORMS = {
    "S1": _Form(
        Family.S1,
        ".SAFE",
        slice(4, 6),
        slice(4, 14),
        (
            _Part("unit", "S1[A-Z]", "a unit such as S1A"),
            _Part("mode", "IW|EW|WV|EN|S[1-6]", "IW, EW, WV, EN or S1 to S6"),
            _Part("type", "[A-Z]{3}[FHM_]", "four characters, padded with '_': GRDH, SLC_, OCN_, RAW_"),
            _Part(
                "level and polarisation",
                "(?P<level>[0-3A])(?P<product_class>[A-Z])(?P<polarisation>SH|SV|DH|DV|HH|HV|VV|VH)",
                "level, class and polarisation such as 1SDV",
            ),
            _START,
            _STOP,
            _ORBIT,
            _Part("datatake", "[0-9A-F]{6}", "six hexadecimal digits"),
            _Part("checksum", "[0-9A-F]{4}", "four hexadecimal digits"),
        ),
    ),
    "S2": _Form(
        Family.S2,
        ".SAFE",
        slice(4, 7),
        slice(4, 10),
        (
            _Part("unit", "S2[A-Z]", "a unit such as S2A"),
            _Part("type", "MSI(?P<level>L1C|L2A)", "MSIL1C or MSIL2A"),
            _START,
            _Part("baseline", "N[0-9]{4}", "N and four digits"),
            _Part("relative orbit", "R[0-9]{3}", "R and three digits"),
            _Part("tile", "T[0-9]{2}[A-Z]{3}", "T, two digits and three letters"),
            _Part("discriminator", _TIME, _A_TIME),
        ),
    ),
    "S3": _Form(
        Family.S3,
        ".SEN3",
        slice(4, 6),
        slice(4, 15),
        (
            _Part("unit", "S3[A-Z_]", "a unit such as S3A"),
            _Part("source", "OL|SL|SR|SY|DO|MW|GN|AX", "OL, SL, SR, SY, DO, MW, GN or AX"),
            _Part("level", "[012_]", "0, 1 or 2"),
            _Part("type", "[A-Z0-9_]{6}", "six characters, padded with '_'"),
            _START,
            _STOP,
            _CREATION,
            _Part("instance", "[A-Z0-9_]{17}", "17 characters, such as 0179_083_158_1080"),
            _Part("centre", "[A-Z0-9_]{3}", "three characters, such as PS1"),
            _Part("class", "[OFDR_]", "O, F, D or R"),
            _Part("timeliness", "NR|ST|NT|AL|__", "NR, ST or NT"),
            _Part("baseline", "[A-Z0-9_]{3}", "three characters, such as 004"),
        ),
    ),
    "S5": _Form(
        Family.S5P,
        ".nc",
        slice(4, 8),
        slice(9, 19),
        (
            _Part("unit", "S5P", "S5P"),
            _Part("class", "NRTI|OFFL|RPRO|TEST|OGCA|GSOV|OPER", "NRTI, OFFL or RPRO"),
            _Part("type", "(?:L(?P<level>[0-9])|[A-Z]{2})[A-Z0-9_]{8}", "ten characters, such as L2__NO2___"),
            _START,
            _STOP,
            _Part("orbit", "[0-9]{5}", "five digits"),
            _Part("collection", "[0-9]{2}", "two digits"),
            _Part("processor", "[0-9]{6}", "six digits"),
            _CREATION,
        ),
    ),
    "S6": _Form(
        Family.S6,
        ".SEN6",
        slice(4, 6),
        slice(4, 17),
        (
            _Part("unit", "S6[A-Z_]", "a unit such as S6A"),
            _Part("instrument", "P4|MW|GN|PO|RO|AX", "P4, MW, GN, PO, RO or AX"),
            _Part("processing", "(?P<level>[0-9_])[A-Z_]", "two characters, such as 2_"),
            _Part("type", "[A-Z0-9_]{7}", "seven characters, padded with '_'"),
            _START,
            _STOP,
            _CREATION,
            _Part("duration", "[0-9_]{4}", "four digits"),
            _Part("cycle", "[0-9_]{3}", "three digits"),
            _Part("pass", "[0-9_]{3}", "three digits"),
            _Part("number", "[0-9_]{3}", "three digits"),
            _Part("centre", "[A-Z0-9_]{4}", "four characters, such as EUM_"),
            _Part("class", "[A-Z]{3}", "three letters, such as OPE"),
            _Part("timeliness", "NR|ST|NT", "NR, ST or NT"),
            _Part("baseline", "[A-Z0-9]{3}", "three characters, such as F09"),
        ),
    ),
}


def parse(name: str) -> Safename:
    """Read the fields of a canonical name.

    Parameters
    ----------
    name
        What `normalise` returns.

    Returns
    -------
    Safename
        With family ``OTHER`` when the name follows no known form: such a name is still a name.
    """
    form = _FORMS.get(name[:2])
    found = form.pattern.fullmatch(name) if form else None
    times = _times(found) if found else None
    if form is None or found is None or times is None:
        return Safename(name, Family.OTHER, name[:3] if re.match("S[1-9][A-Z_]", name) else "")
    fields = {key: value for key, value in found.groupdict().items() if value is not None}
    level = fields.get("level", "").strip("_")
    return Safename(
        name=name,
        family=form.family,
        unit=fields["unit"],
        start=times[0],
        stop=times[1] if "stop" in fields else None,
        mode=name[form.mode],
        product_type=name[form.product_type],
        level=level if level.startswith("L") or not level else f"L{level}",
        fields=fields,
    )


def _times(found: re.Match[str]) -> list[datetime] | None:
    """Return every time a name holds, in its order; None when one is no date."""
    try:
        return [
            datetime.fromisoformat(value).replace(tzinfo=UTC)
            for value in found.groups()
            if value and re.fullmatch(_TIME, value)
        ]
    except ValueError:
        return None


def misfit(name: str) -> str | None:
    """Say what is wrong with a name that begins like a known family but breaks its form.

    Returns
    -------
    str or None
        One clause, e.g. ``orbit '05417' should be six digits``; None for a good name, and for one whose form
        is not known here (auxiliary files, mosaics, other missions).
    """
    form = _FORMS.get(name[:2])
    if form is None or _AUXILIARY.match(name):
        return None
    complaint = form.misfit(name)
    if complaint is None and parse(name).family is Family.OTHER:
        return "one of its times is no date"
    return complaint


def normalise(token: str) -> str:
    """Turn one word of a listing into a canonical name.

    Around it, spaces, quotes, a path in front, a slash at the end and ``.zip`` are dropped; the extension is
    added where there is none. Nothing else is ever repaired.

    Raises
    ------
    NotAName
        The word cannot be the name of a Sentinel product; a ValueError whose text says why.
    """
    name = re.split(r"[/\\]", token.strip(" \t'\"").rstrip("/\\"))[-1]
    if name.lower().endswith(".zip"):
        name = name[:-4]
    shown = name if len(name) <= 80 else f"{name[:77]}..."
    if not name:
        raise NotAName("", "there is no product name")
    if not _ALLOWED.fullmatch(name):
        strange = next(character for character in name if not _ALLOWED.fullmatch(character))
        raise NotAName(shown, f"holds {strange!r}; names are made of letters, digits and . _ + -")
    if not _SENTINEL.match(name):
        raise NotAName(shown, "does not begin like the name of a Sentinel product, e.g. S1A_ or S2B_")
    if ".." in name:
        raise NotAName(shown, "holds '..', which no product name does")
    name = _with_extension(name)
    if len(name) > NAME_BYTES_MAX:
        raise NotAName(shown, f"has {len(name)} characters; a file name has at most {NAME_BYTES_MAX}")
    return name


def _with_extension(name: str) -> str:
    """Add the family's extension to a name without any; files of ``_OPER_`` have several, so they stay."""
    form = _FORMS.get(name[:2])
    if form is None or "." in name or "_OPER_AUX_" in name:
        return name
    return name + form.extension
