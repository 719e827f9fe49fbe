"""Sentinel-3: ocean and land.

Names: Sentinel-3 PDGS File Naming Convention, GMES-S3GS-EOPG-TN-09-0009. Manifests: XFDU with MD5, as measured on real
products. Folders in eodata cannot be derived: the padding of a type with ``_`` differs from one year to the next.
"""

from typing import Any

from cdsed.model.families.form import CREATION, START, STOP, NameFields, NameForm, Part, beginning
from cdsed.model.families.mission import Mission

_UNIT = "S3[A-Z_]"
_SOURCE = "OL|SL|SR|SY|DO|MW|GN|AX"
_LEVEL = "[012_]"
_TYPE = "[A-Z0-9_]{6}"
_STATUS = {"O": "operational", "F": "reference", "D": "development", "R": "reprocessing"}


def _explode(name: NameFields) -> dict[str, Any]:
    fields = name.fields
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


MISSION = Mission(
    form=NameForm(
        extension=".SEN3",
        mode=slice(4, 6),
        product_type=slice(4, 15),
        parts=(
            Part("unit", _UNIT, "a unit such as S3A"),
            Part("source", _SOURCE, "OL, SL, SR, SY, DO, MW, GN or AX"),
            Part("level", _LEVEL, "0, 1 or 2"),
            Part("type", _TYPE, "six characters, padded with '_'"),
            START,
            STOP,
            CREATION,
            Part("instance", "[A-Z0-9_]{17}", "17 characters, such as 0179_083_158_1080"),
            Part("centre", "[A-Z0-9_]{3}", "three characters, such as PS1"),
            Part("class", "[OFDR_]", "O, F, D or R"),
            Part("timeliness", "NR|ST|NT|AL|__", "NR, ST or NT"),
            Part("baseline", "[A-Z0-9_]{3}", "three characters, such as 004"),
        ),
    ),
    beginning=beginning(_UNIT, _SOURCE, _LEVEL, _TYPE),
    collection="SENTINEL-3",
    is_directory=True,
    manifest="xfdumanifest.xml",
    explode=_explode,
)
