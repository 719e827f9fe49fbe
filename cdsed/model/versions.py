"""Whether two names are versions of one observation, made by different processing baselines."""

from datetime import timedelta

from cdsed.model.safename import Safename

MARGIN = timedelta(seconds=2)  # another baseline may cut an observation a little differently


def shared_parts(name: Safename) -> tuple[str, str]:
    """Return the beginning of the names of all versions, and a later part that they share; empty if unknown."""
    first, later = name.family.mission.versions or ("", "")
    return first.format_map(name.fields), later.format_map(name.fields)


def shows_the_same(one: Safename, other: Safename) -> bool:
    """Tell whether two different names are versions of one observation."""
    if other.family is not one.family or other.name == one.name or not (one.start and other.start):
        return False
    if not one.family.mission.versions:
        return False
    alike = shared_parts(other) == shared_parts(one) and ("cog" in other.fields) == ("cog" in one.fields)
    return alike and abs(other.start - one.start) <= MARGIN
