"""``ExplodeSAFE``: the parts of a safename as attributes, under cdsodatacli's names."""

from datetime import datetime
from typing import Any

from cdsed.compat.errors import NoSafename
from cdsed.model.safename import Safename, misfit, normalise, parse


class ExplodeSAFE:
    """The parts of a safename.

    Parameters
    ----------
    basename_safe
        The name without any directory, e.g. ``S1A_IW_SLC__1SDV_…_08A8.SAFE``.

    Attributes
    ----------
    satellite, mode, product, level, kind, polarisation, sensor, mission_data_take, product_id
        Text, or None where names of the mission do not have it.
    startdate, enddate
        Sensing time in UTC, without a zone, as scripts of cdsodatacli expect; equal for Sentinel-2, whose names have
        only one time.
    duration
        Seconds; text for Sentinel-3, as in its names.
    absolute_orbit_number, cycle_number
        Text, or None.
    relative_orbit_number
        A number for Sentinel-2, text for Sentinel-3, else None.
    production_status
        ``operational``, ``reference``, ``development`` or ``reprocessing``.

    Raises
    ------
    NoSafename
        It is a path, or not a name of a known form; the text says which part is wrong.
    """

    def __init__(self, basename_safe: str) -> None:
        if "/" in basename_safe:
            raise NoSafename(f"{basename_safe!r} is a path; give the basename alone")
        try:
            parsed = parse(normalise(basename_safe))
        except ValueError as error:
            raise NoSafename(str(error)) from error
        if parsed.start is None:
            raise NoSafename(f"{basename_safe!r}: {misfit(parsed.name) or 'names of this form are not known'}")
        self.safename = basename_safe
        self.satellite = parsed.unit
        self.startdate = _naive(parsed.start)
        self.enddate = _naive(parsed.stop or parsed.start)
        explode = parsed.family.mission.explode or _explode
        for name, value in explode(parsed).items():
            setattr(self, name, value)

    def props(self) -> list[str]:
        """Return the names of the attributes."""
        return list(self.__dict__)

    def get(self, info: str) -> Any:
        """Return one attribute by its name."""
        return getattr(self, info)


def _naive(timestamp: datetime) -> datetime:
    return timestamp.replace(tzinfo=None)


def _explode(parsed: Safename) -> dict[str, Any]:
    """Return the attributes for a name of a mission that cdsodatacli did not support."""
    return {
        "mode": parsed.mode,
        "product": parsed.product_type,
        "level": parsed.level,
        "kind": None,
        "polarisation": None,
        "absolute_orbit_number": parsed.fields.get("orbit"),
        "duration": parsed.duration_s,
        "sensor": parsed.family.mission.sensor or parsed.fields.get("instrument"),
        "mission_data_take": None,
        "product_id": parsed.fields.get("creation"),
        "production_status": "operational",
        "cycle_number": parsed.fields.get("cycle"),
        "relative_orbit_number": None,
    }
