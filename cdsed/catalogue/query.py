"""The conditions of a search as a value, which are validated when it is made."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from numbers import Integral, Real
from typing import Any

import numpy as np
from shapely.geometry.base import BaseGeometry

from cdsed.catalogue.area import parts
from cdsed.catalogue.attributes import INTEGER_MAX, AttributeFilter, check_name
from cdsed.catalogue.frame import COLUMNS
from cdsed.catalogue.timestamps import timestamp_of
from cdsed.model.families import Family
from cdsed.model.safename import spellings

# The code in the name of a product, and the catalogue's value for it.
_POLARISATIONS = {code: words for family in Family for code, words in family.mission.polarisations.items()}
_CHANNELS = frozenset({"VV", "VH", "HH", "HV", "VV&VH", "HH&HV"})
_EARLIEST, _LATEST = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)  # in any zone
_DIRECTIONS = frozenset({"ASCENDING", "DESCENDING"})
_BOOLEAN = (bool, np.bool_)
_TYPES: Mapping[str, tuple[Any, Callable[[Any], object], str]] = {
    **dict.fromkeys(
        ("collection", "name", "sensor_mode", "product_type", "polarisation", "orbit_direction"), (str, str, "text")
    ),
    **dict.fromkeys(("orbit", "relative_orbit"), (Integral, int, "a whole number")),
    "cloud_max_percent": (Real, float, "a number"),
    "online": (_BOOLEAN, bool, "True or False"),
    "area": (BaseGeometry, lambda area: area, "a geometry of shapely"),
}


@dataclass(frozen=True)
class Query:
    """Conditions, all of which a product has to meet; None or empty: no such condition.

    Parameters
    ----------
    start, end
        Window of the sensing start, ``start <= sensing start < end``: what `cdsed.catalogue.timestamps.timestamp_of`
        takes; UTC without a zone.
    area
        An area that the footprint has to intersect, longitude and latitude on WGS 84: Point, LineString, Polygon
        (with holes) or a Multi… of them. It may cross the antimeridian, either by longitudes beyond 180 or by an edge
        of more than 180 degrees, which means the short way round, as in the catalogue's ``geography``.
    collection
        E.g. ``SENTINEL-1``. The catalogue is slow without one.
    name
        Pattern of the name, ``*`` for any characters, e.g. ``S1A_IW_SLC_*``; without one, the whole name, whose
        extension may be absent here or in the catalogue.
    sensor_mode
        Attribute ``operationalMode``, e.g. ``IW``.
    product_type
        Attribute ``productType``, whole, e.g. ``IW_GRDH_1S`` or ``S2MSI2A``.
    polarisation
        ``VV``, ``VH``, ``HH``, ``HV``, ``VV&VH``, ``HH&HV`` (``+`` or ``,`` will do for ``&``), or the code in names:
        ``SV``, ``SH``, ``DV``, ``DH``.
    orbit, relative_orbit
        Attributes ``orbitNumber`` and ``relativeOrbitNumber``.
    orbit_direction
        ``ASCENDING`` or ``DESCENDING``.
    cloud_max_percent
        Attribute ``cloudCover`` at most; products without one are left out.
    online
        Whether it can be fetched at once.
    attributes
        Further conditions.
    columns
        Attributes to add as columns of the result.
    changed_since, changed_until
        Window of the later one of publication and modification, ``since <= … < until``.

    Raises
    ------
    ValueError
        One of them is not valid; the text says which and why.
    """

    start: datetime | None = None
    end: datetime | None = None
    area: BaseGeometry | None = None
    collection: str | None = None
    name: str | None = None
    sensor_mode: str | None = None
    product_type: str | None = None
    polarisation: str | None = None
    orbit: int | None = None
    relative_orbit: int | None = None
    orbit_direction: str | None = None
    cloud_max_percent: float | None = None
    online: bool | None = None
    attributes: tuple[AttributeFilter, ...] = ()
    columns: tuple[str, ...] = ()
    changed_since: datetime | None = None
    changed_until: datetime | None = None

    def __post_init__(self) -> None:
        self._check_types()
        self._check_window()
        if self.area is not None:
            parts(self.area)
        self._check_words()
        for name in self.columns:
            check_name(name)
            if name in COLUMNS:
                raise ValueError(f"no column can be named {name!r} after an attribute: the result has one of that name")
        for orbit in (self.orbit, self.relative_orbit):
            if orbit is not None and not 0 <= orbit <= INTEGER_MAX:
                raise ValueError(f"{orbit} is not an orbit number")
        if self.cloud_max_percent is not None and not 0 <= self.cloud_max_percent <= 100:
            raise ValueError(f"a cloud cover of {self.cloud_max_percent} is not between 0 and 100 %")

    def _check_types(self) -> None:
        """Convert numbers of numpy; refuse what has another type, before it fails somewhere else."""
        for name, (kind, convert, words) in _TYPES.items():
            value = getattr(self, name)
            if value is not None:
                if not isinstance(value, kind) or (isinstance(value, bool) and kind is not _BOOLEAN):
                    raise ValueError(f"{name.replace('_', ' ')} {value!r:.100} is not {words}")
                object.__setattr__(self, name, convert(value))
        for name, kind in (("attributes", AttributeFilter), ("columns", str)):
            values = getattr(self, name)
            if not isinstance(values, tuple) or not all(isinstance(each, kind) for each in values):
                raise ValueError(f"{name} {values!r:.100} is not a tuple of {kind.__name__}")

    def _check_window(self) -> None:
        for name in ("start", "end", "changed_since", "changed_until"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, timestamp_of(getattr(self, name)))
        for timestamp in filter(None, (self.start, self.end, self.changed_since, self.changed_until)):
            if not _EARLIEST < timestamp < _LATEST:
                raise ValueError(f"{timestamp} is not a time that the catalogue knows")
        if self.start and self.end and self.start >= self.end:
            raise ValueError(f"the window ends at {self.end}, not after its start at {self.start}")

    def _check_words(self) -> None:
        for field in ("collection", "name", "sensor_mode", "product_type"):
            text = getattr(self, field)
            if text is not None and not text:
                raise ValueError(f"{field.replace('_', ' ')} is empty; leave it out instead")
            if text and "*" in text and field != "name":
                raise ValueError(f"{field.replace('_', ' ')} {text!r}: only names can be patterns")
        if self.polarisation is not None and self.channels not in _CHANNELS:
            known = ", ".join(sorted(_CHANNELS | _POLARISATIONS.keys()))
            raise ValueError(f"polarisation {self.polarisation!r} is not one of {known}")
        if self.orbit_direction is not None and self.orbit_direction not in _DIRECTIONS:
            raise ValueError(f"orbit direction {self.orbit_direction!r} is neither ASCENDING nor DESCENDING")

    @property
    def channels(self) -> str | None:
        """The polarisation as the catalogue writes it."""
        if self.polarisation is None:
            return None
        words = re.sub(r"[+,]", "&", self.polarisation.upper())
        return _POLARISATIONS.get(words, words)

    def fits(self, name: str) -> bool:
        """Return whether a name fits the pattern; the catalogue checks only its pieces, not their order."""
        if self.name is None:
            return True
        if "*" not in self.name:
            return name in spellings(self.name)
        pattern = ".*".join(re.escape(piece) for piece in self.name.split("*"))
        return re.fullmatch(pattern, name, re.DOTALL) is not None
