"""Sentinel-3: ocean and land.

Names: Sentinel-3 PDGS File Naming Convention, GMES-S3GS-EOPG-TN-09-0009. Manifests: XFDU with MD5, as measured on real
products. Folders in eodata: as of real products; the padding of a type with ``_`` depends on the day of creation.
"""

import re
from datetime import UTC, datetime
from typing import Any

from cdsed.model.families.form import CREATION, START, STOP, NameFields, NameForm, Part, beginning, read_time
from cdsed.model.families.mission import Mission

_UNIT = "S3[A-Z_]"
_SOURCE = "OL|SL|SR|SY|DO|MW|GN|TM|AX"
_LEVEL = "[012_]"
_TYPE = "[A-Z0-9_]{6}"
_INSTRUMENTS = {"OL": "OLCI", "SL": "SLSTR", "SR": "SRAL", "SY": "SYNERGY"}
# Folders of what was made before this day end without the padding, except for these types.
_PADDED_SINCE = datetime(2023, 2, 20, tzinfo=UTC)
_PADDED = re.compile("SL_2_(FRP|AOD)|SY_2_")
_STATUS = {"O": "operational", "F": "reference", "D": "development", "R": "reprocessing"}


def _folder(name: NameFields, _start: datetime) -> str | None:
    instrument = _INSTRUMENTS.get(name.fields["source"])
    if instrument is None or name.fields["level"] not in {"1", "2"} or name.fields["type"].endswith("AX"):
        return None
    padded = read_time(name.fields["creation"]) >= _PADDED_SINCE or _PADDED.match(name.product_type)
    return f"Sentinel-3/{instrument}/{name.product_type if padded else name.product_type.rstrip('_')}"


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
            Part("source", _SOURCE, "OL, SL, SR, SY, DO, MW, GN, TM or AX"),
            Part("level", _LEVEL, "0, 1 or 2"),
            Part("type", _TYPE, "six characters, padded with '_'"),
            START,
            STOP,
            CREATION,
            Part("instance", "[A-Z0-9_]{4}(?P<frame>[A-Z0-9_]{13})", "17 characters, such as 0179_083_158_1080"),
            Part("centre", "[A-Z0-9_]{3}", "three characters, such as PS1"),
            Part("class", "[OFDR_]", "O, F, D or R"),
            Part("timeliness", "NR|ST|NT|SN|NN|AL|__", "NR, ST or NT"),
            Part("baseline", "[A-Z0-9_]{3}", "three characters, such as 004"),
        ),
    ),
    beginning=beginning(_UNIT, _SOURCE, _LEVEL, _TYPE),
    collection="SENTINEL-3",
    is_directory=True,
    manifest="xfdumanifest.xml",
    eodata_folder=_folder,
    versions=("{unit}_{source}_{level}_{type}_", "{frame}_"),
    explode=_explode,
)
