"""Sentinel-2: optical images.

Names and packages: Sentinel-2 Products Specification Document, S2-PDGS-TAS-DI-PSD, as of its compact form of December
2016. Manifests: XFDU with SHA3-256 since baseline 03.01, as measured on real products, and MD5 before. Those of L2A
N0208 (2018) name files by their path in the factory, those of Sen2Cor (N0207, N9999) state sizes that are not theirs.
"""

import re
from datetime import datetime, timedelta
from typing import Any

from cdsed.model.families.form import A_TIME, START, TIME, NameFields, NameForm, Part, beginning, read_time
from cdsed.model.families.mission import BY_DATE, Mission

# Collection-1 is in L1C_N0500 and L2A_N0500 whatever baseline its names say. The longest delay of a product in a folder
# without it is 158 days, the shortest of one in it 361.
_REPROCESSED_AFTER = timedelta(days=250)
_REPROCESSED_SINCE = "N0500"
_MADE_BY_SEN2COR = "N9999"
_BARE_MONTHS = frozenset({f"2022{month:02}" for month in range(1, 12)})

_UNIT = "S2[A-Z]"
_FACTORY = re.compile(
    rf"\.?(?P<unit>{_UNIT})_OPER_MSI_(?P<level>L1C|L2A)_TL_[A-Z0-9_]{{4}}_{TIME}_A[0-9]{{6}}_"
    r"(?P<tile>T[0-9]{2}[A-Z]{3})_(?P<baseline>N[0-9]{2}\.[0-9]{2})"
)


def _is_late(name: NameFields) -> bool:
    assert name.start
    return read_time(name.fields["discriminator"]) - name.start > _REPROCESSED_AFTER


def _folder(name: NameFields, _start: datetime) -> str:
    reprocessed = _REPROCESSED_SINCE <= name.fields["baseline"] < _MADE_BY_SEN2COR and _is_late(name)
    return f"Sentinel-2/MSI/{name.level}{'_N0500' if reprocessed else ''}"


def _is_bare(name: NameFields) -> bool:
    """Tell whether a product is one of the L2A that were made of older L1C in 2022: their names have no extension."""
    again = name.fields["baseline"] == _MADE_BY_SEN2COR or (
        name.fields["baseline"] < _REPROCESSED_SINCE and _is_late(name)
    )
    return name.level == "L2A" and again and name.fields["discriminator"][:6] in _BARE_MONTHS


def _explode(name: NameFields) -> dict[str, Any]:
    fields = name.fields
    return {
        "sensor": MISSION.sensor,
        "mode": None,
        "kind": None,
        "polarisation": None,
        "product": fields["type"],
        "level": name.level,
        "processing_baseline": fields["baseline"],
        "relative_orbit_number": int(fields["relative_orbit"][1:]),
        "tile": fields["tile"],
        "production_date": read_time(fields["discriminator"]).replace(tzinfo=None),
        "duration": 0,
        "absolute_orbit_number": None,
        "mission_data_take": None,
        "product_id": fields["discriminator"],
        "cycle_number": None,
        "production_status": "operational",
    }


MISSION = Mission(
    form=NameForm(
        extension=".SAFE",
        mode=slice(4, 7),
        product_type=slice(4, 10),
        parts=(
            Part("unit", _UNIT, "a unit such as S2A"),
            Part("type", "MSI(?P<level>L1C|L2A)", "MSIL1C or MSIL2A"),
            START,
            Part("baseline", "N[0-9]{4}", "N and four digits"),
            Part("relative orbit", "R[0-9]{3}", "R and three digits"),
            Part("tile", "T[0-9]{2}[A-Z]{3}", "T, two digits and three letters"),
            Part("discriminator", TIME, A_TIME),
        ),
    ),
    beginning=beginning(_UNIT, "MSIL(?:1C|2A)", "20[0-9]{3}"),
    collection="SENTINEL-2",
    is_directory=True,
    manifest="manifest.safe",
    factory=_FACTORY,
    digests=frozenset({"md5", "sha3_256"}),
    eodata_folder=_folder,
    eodata_bare=_is_bare,
    archive_layout=BY_DATE,
    versions=("{unit}_{type}_", "_{relative_orbit}_{tile}_"),
    sensor="MultiSpectralImager",
    explode=_explode,
)
