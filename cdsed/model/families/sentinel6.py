"""Sentinel-6: the height of the sea.

Names and packages: Jason-CS/Sentinel-6 Generic Product Format Specification, EUM/LEO-JASCS/SPE/17/897975. Manifests:
XFDU with MD5, by what STAC items state of the files; no manifest has been seen. Folders in eodata: as of real products.
"""

from datetime import datetime

from cdsed.model.families.form import CREATION, START, STOP, NameFields, NameForm, Part, beginning
from cdsed.model.families.mission import Mission

_UNIT = "S6[A-Z_]"
_INSTRUMENT = "P4|MW|GN|PO|RO|AX"
_FOLDERS = {"P4": "P4", "MW": "AMR-C"}


def _folder(name: NameFields, _start: datetime) -> str | None:
    folder = _FOLDERS.get(name.fields["instrument"])
    return folder and f"Sentinel-6/{folder}/{name.product_type}"


MISSION = Mission(
    form=NameForm(
        extension=".SEN6",
        mode=slice(4, 6),
        product_type=slice(4, 17),
        parts=(
            Part("unit", _UNIT, "a unit such as S6A"),
            Part("instrument", _INSTRUMENT, "P4, MW, GN, PO, RO or AX"),
            Part("processing", "(?P<level>[0-9_])[A-Z_]", "two characters, such as 2_"),
            Part("type", "[A-Z0-9_]{7}", "seven characters, padded with '_'"),
            START,
            STOP,
            CREATION,
            Part("duration", "[0-9_]{4}", "four digits"),
            Part("cycle", "[0-9_]{3}", "three digits"),
            Part("pass", "[0-9_]{3}", "three digits"),
            Part("number", "[0-9_]{3}", "three digits"),
            Part("centre", "[A-Z0-9_]{4}", "four characters, such as EUM_"),
            Part("class", "[A-Z]{3}", "three letters, such as OPE"),
            Part("timeliness", "NR|ST|NT|SN|NN|AL|__", "NR, ST or NT"),
            Part("baseline", "[A-Z0-9_]{3}", "three characters, such as F09"),
        ),
    ),
    beginning=beginning(_UNIT, _INSTRUMENT, "[0-9_][A-Z_]", "[A-Z0-9_]{6}"),
    collection="SENTINEL-6",
    is_directory=True,
    manifest="xfdumanifest.xml",
    eodata_folder=_folder,
    versions=("{unit}_{instrument}_{processing}_{type}_", ""),
)
