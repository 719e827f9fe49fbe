"""Match products of different types (of Sentinel-1: SLC, GRD, OCN, RAW) that were made of the same observation."""

from collections.abc import Sequence
from datetime import timedelta

from cdsed.model.safename import Safename


def match(
    wanted: Safename, candidates: Sequence[Safename], tolerance_s: float, *, cog: bool = False
) -> Safename | None:
    """Choose the product of the same observation as another one.

    Parameters
    ----------
    wanted
        A product of Sentinel-1, the only mission whose names show the observation.
    candidates
        Products of the type that is looked for, of any observation.
    tolerance_s
        By how many seconds the sensing starts may differ: the slices of one datatake are cut a little differently
        for each type.
    cog
        Whether cloud-optimised copies (``…_COG.SAFE``) are looked for; otherwise they never match.

    Returns
    -------
    Safename or None
        The one of the same unit, absolute orbit, datatake and class whose start is closest, within the tolerance.
        If several are equally close, that with the closest stop, then the first by name. None without a match, and
        for a product of another mission.
    """
    if not wanted.family.mission.observation:
        return None
    tolerance = timedelta(seconds=tolerance_s)
    near = [
        candidate
        for candidate in candidates
        if candidate.name != wanted.name
        and _same_observation(wanted, candidate)
        and ("cog" in candidate.fields) == cog
        and _apart(wanted, candidate)[0] <= tolerance
    ]
    return min(near, key=lambda candidate: (*_apart(wanted, candidate), candidate.name), default=None)


def _same_observation(one: Safename, other: Safename) -> bool:
    shared = one.family.mission.observation
    return other.unit == one.unit and all(other.fields.get(name) == one.fields[name] for name in shared)


def _apart(one: Safename, other: Safename) -> tuple[timedelta, timedelta]:
    """Return by how much the starts and the stops differ; every Sentinel-1 name has both."""
    assert one.start
    assert one.stop
    assert other.start
    assert other.stop
    return abs(one.start - other.start), abs(one.stop - other.stop)
