"""Sentinel-5P: the atmosphere. A product is one file.

Names: KNMI and SRON level 2 Input Output Data Definition, S5P-KNMI-L2-0009-SD. Products have no manifest; the
catalogue and the ETag state an MD5. Folders in eodata: as seen of real products since November 2024.
"""

from datetime import datetime

from cdsed.model.families.form import CREATION, START, STOP, NameFields, NameForm, Part, beginning
from cdsed.model.families.mission import Mission

_UNIT = "S5P"
_CLASS = "NRTI|OFFL|RPRO|TEST|OGCA|GSOV|OPER"


def _folder(name: NameFields, _start: datetime) -> str | None:
    if name.fields["orbit"] == "00000":
        return None  # of many orbits: its date in the bucket is not the one of its name
    folder = "L1B" if name.product_type.startswith("L1B_IR_") else name.product_type
    return f"Sentinel-5P/TROPOMI/{folder}"


MISSION = Mission(
    form=NameForm(
        extension=".nc",
        mode=slice(4, 8),
        product_type=slice(9, 19),
        parts=(
            Part("unit", _UNIT, "S5P"),
            Part("class", _CLASS, "NRTI, OFFL or RPRO"),
            Part("type", "(?:L(?P<level>[0-9])|[A-Z]{2})[A-Z0-9_]{8}", "ten characters, such as L2__NO2___"),
            START,
            STOP,
            Part("orbit", "[0-9]{5}", "five digits"),
            Part("collection", "[0-9]{2}", "two digits"),
            Part("processor", "[0-9]{6}", "six digits"),
            CREATION,
        ),
    ),
    beginning=beginning(_UNIT, _CLASS, "L[0-9]_[A-Z0-9_]{4}"),
    collection="SENTINEL-5P",
    is_directory=False,
    eodata_folder=_folder,
    versions=("{unit}_", "_{type}_"),
    sensor="TROPOMI",
)
