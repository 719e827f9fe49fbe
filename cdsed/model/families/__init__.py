"""The missions, and everything that depends on them: one file each, and this registry.

A new mission is a new file with a `Mission`, its import, and a line in `Family`.
"""

from enum import StrEnum
from typing import Self

from cdsed.model.families import other, sentinel1, sentinel2, sentinel3, sentinel5p, sentinel6
from cdsed.model.families.mission import Mission


class Family(StrEnum):
    """A family of satellites, Sentinel-1 for example, whose names share one form; `mission` describes it."""

    mission: Mission

    S1 = "S1", sentinel1.MISSION
    S2 = "S2", sentinel2.MISSION
    S3 = "S3", sentinel3.MISSION
    S5P = "S5P", sentinel5p.MISSION
    S6 = "S6", sentinel6.MISSION
    OTHER = "OTHER", other.MISSION

    def __new__(cls, code: str, mission: Mission) -> Self:
        """Make a member whose value is the code alone."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.mission = mission
        return member


_FORMS = {family: family.mission.form for family in Family if family.mission.form}
_BY_BEGINNING = {family[:2]: family for family in _FORMS}

#: Extensions of products that are one file, and of those that are directories.
EXTENSIONS = tuple({form.extension: None for form in _FORMS.values()})
DIRECTORY_EXTENSIONS = tuple({form.extension: None for family, form in _FORMS.items() if family.mission.is_directory})


def family_by_beginning(name: str) -> Family:
    """Return the family whose names begin like this one, well-formed or not; ``OTHER`` if no family does."""
    return _BY_BEGINNING.get(name[:2], Family.OTHER) if other.UNIT.match(name) else Family.OTHER
