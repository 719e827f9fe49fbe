"""``ExplodeSAFE``: the parts of a safename as attributes, under cdsodatacli's names."""

from datetime import datetime
from typing import Any

from cdsed.model.safename import Family, Safename, misfit, normalise, parse

_SENSORS = {Family.S1: "CbandRadar", Family.S2: "MultiSpectralImager", Family.S5P: "TROPOMI"}
_STATUS = {"O": "operational", "F": "reference", "D": "development", "R": "reprocessing"}


class ExplodeSAFE:
    """The parts of a safename.

    Parameters
    ----------
    basename_safe
        The name without any directory, e.g. ``S1A_IW_SLC__1SDV_…_08A8.SAFE``.

    Attributes
    ----------
    satellite, mode, product, level, kind, polarisation, sensor, mission_data_take, product_id
        Text, or None where the mission has no such thing.
    startdate, enddate
        Sensing time. Naive, and meaning UTC, as scripts of cdsodatacli expect; equal for Sentinel-2, whose
        names hold one time only.
    duration
        Seconds; text for Sentinel-3, as its names have it.
    absolute_orbit_number, cycle_number
        Text, or None.
    relative_orbit_number
        A number for Sentinel-2, text for Sentinel-3, else None.
    production_status
        ``operational``, ``reference``, ``development`` or ``reprocessing``.

    Raises
    ------
    ValueError
        It is a path, or no name of a form that is known; the text says which part is wrong.
    """

    def __init__(self, basename_safe: str) -> None:
        if "/" in basename_safe:
            raise ValueError(f"{basename_safe!r} is a path; give the basename alone")
        parsed = parse(normalise(basename_safe))
        if parsed.start is None:
            raise ValueError(f"{basename_safe!r}: {misfit(parsed.name) or 'names of this form are not known'}")
        self.safename = basename_safe
        self.satellite = parsed.unit
        self.startdate = _naive(parsed.start)
        self.enddate = _naive(parsed.stop or parsed.start)
        for name, value in _PARTS.get(parsed.family, _other)(parsed).items():
            setattr(self, name, value)

    def props(self) -> list[str]:
        """Return the names of the attributes."""
        return list(self.__dict__)

    def get(self, info: str) -> Any:
        """Return one attribute by its name."""
        return getattr(self, info)


def _naive(moment: datetime) -> datetime:
    return moment.replace(tzinfo=None)


def _seconds(parsed: Safename) -> float:
    return (parsed.stop - parsed.start).total_seconds() if parsed.start and parsed.stop else 0


def _s1(parsed: Safename) -> dict[str, Any]:
    fields = parsed.fields
    return {
        "mode": fields["mode"],
        "product": fields["type"],
        "level": fields["level"],
        "kind": fields["product_class"],
        "polarisation": fields["polarisation"],
        "absolute_orbit_number": fields["orbit"],
        "duration": _seconds(parsed),
        "sensor": _SENSORS[Family.S1],
        "mission_data_take": fields["datatake"],
        "product_id": fields["checksum"],
        "production_status": "operational",
        "cycle_number": None,
        "relative_orbit_number": None,
    }


def _s2(parsed: Safename) -> dict[str, Any]:
    fields = parsed.fields
    return {
        "sensor": _SENSORS[Family.S2],
        "mode": None,
        "kind": None,
        "polarisation": None,
        "product": fields["type"],
        "level": parsed.level,
        "processing_baseline": fields["baseline"],
        "relative_orbit_number": int(fields["relative_orbit"][1:]),
        "tile": fields["tile"],
        "production_date": _naive(datetime.fromisoformat(fields["discriminator"])),
        "duration": 0,
        "absolute_orbit_number": None,
        "mission_data_take": None,
        "product_id": fields["discriminator"],
        "cycle_number": None,
        "production_status": "operational",
    }


def _s3(parsed: Safename) -> dict[str, Any]:
    fields = parsed.fields
    instance = fields["instance"]  # duration, cycle, relative orbit and frame, each padded with '_'
    return {
        "mode": None,
        "sensor": fields["source"],
        "product": fields["type"].strip("_"),
        "duration": instance[0:4],
        "level": fields["level"],
        "kind": None,
        "polarisation": None,
        "absolute_orbit_number": None,
        "cycle_number": instance[5:8],
        "relative_orbit_number": instance[9:12],
        "mission_data_take": fields["creation"],
        "product_generating_center": fields["centre"],
        "product_id": instance[0:4],
        "production_status": _STATUS.get(fields["class"]),
    }


def _other(parsed: Safename) -> dict[str, Any]:
    """Return what cdsodatacli never knew of: Sentinel-5P and -6, in the same attributes."""
    return {
        "mode": parsed.mode,
        "product": parsed.product_type,
        "level": parsed.level,
        "kind": None,
        "polarisation": None,
        "absolute_orbit_number": parsed.fields.get("orbit"),
        "duration": _seconds(parsed),
        "sensor": _SENSORS.get(parsed.family, parsed.fields.get("instrument")),
        "mission_data_take": None,
        "product_id": parsed.fields.get("creation"),
        "production_status": "operational",
        "cycle_number": parsed.fields.get("cycle"),
        "relative_orbit_number": None,
    }


_PARTS = {Family.S1: _s1, Family.S2: _s2, Family.S3: _s3}
