"""Sentinel-1: radar.

Names and packages: Sentinel-1 Product Specification, S1-RS-MDA-52-7441; ``_COG`` and the ETAD type ``ETA_`` as on CDSE.
Manifests: XFDU (CCSDS 661.0-B-1) with MD5. Folders in eodata: as of real products.
"""

from datetime import UTC, datetime
from typing import Any

from cdsed.model.families.form import START, STOP, NameFields, NameForm, Part, beginning
from cdsed.model.families.mission import BY_DATE, Mission

# The switch date of cdsodatacli, by sensing start. It is the only source, so a path derived from it must be confirmed.
_LONG_FOLDERS_SINCE = datetime(2023, 2, 20, tzinfo=UTC)

_UNIT = "S1[A-Z]"  # any letter, so that S1E needs no new release
_MODE = "IW|EW|WV|EN|IM|S[1-6]|N[1-6]|Z[1-6EIW]|RF|GP|HK|AI"
_TYPE = "[A-Z]{3}[FHM_]"
_CLASS = "[A-Z_]"
_POLARISATION = "SH|SV|DH|DV|HH|HV|VV|VH|__"


def _folder(name: NameFields, start: datetime) -> str:
    if name.fields["type"] == "ETA_":
        return f"Sentinel-1/AUX/{name.product_type}"
    if "cog" in name.fields:
        return f"Sentinel-1/SAR/{name.product_type}-COG"
    if start < _LONG_FOLDERS_SINCE:
        return f"Sentinel-1/SAR/{name.fields['type'][:3]}"
    return f"Sentinel-1/SAR/{name.product_type}"


def _explode(name: NameFields) -> dict[str, Any]:
    fields = name.fields
    return {
        "mode": fields["mode"],
        "product": fields["type"],
        "level": fields["level"],
        "kind": fields["product_class"],
        "polarisation": fields["polarisation"],
        "absolute_orbit_number": fields["orbit"],
        "duration": name.duration_s,
        "sensor": MISSION.sensor,
        "mission_data_take": fields["datatake"],
        "product_id": fields["checksum"],
        "production_status": "operational",
        "cycle_number": None,
        "relative_orbit_number": None,
    }


MISSION = Mission(
    form=NameForm(
        extension=".SAFE",
        mode=slice(4, 6),
        product_type=slice(4, 14),
        parts=(
            Part("unit", _UNIT, "a unit such as S1A"),
            Part("mode", _MODE, "IW, EW, WV, EN or S1 to S6, or one of level 0, such as N1, RF, GP, HK"),
            Part("type", _TYPE, "four characters, padded with '_': GRDH, SLC_, OCN_, RAW_"),
            Part(
                "level and polarisation",
                f"(?P<level>[0-3A])(?P<product_class>{_CLASS})(?P<polarisation>{_POLARISATION})",
                "level, class and polarisation such as 1SDV",
            ),
            START,
            STOP,
            Part("orbit", "[0-9]{6}", "six digits"),
            Part("datatake", "[0-9A-F]{6}|_{6}", "six hexadecimal digits"),
            Part("checksum", "[0-9A-F]{4}", "four hexadecimal digits"),
        ),
        tail="(?P<cog>_COG)?",
    ),
    beginning=beginning(_UNIT, _MODE, _TYPE, f"[0-3A]{_CLASS}(?:{_POLARISATION})"),
    is_directory=True,
    manifest="manifest.safe",
    eodata_folder=_folder,
    archive_layout=BY_DATE,
    archive_modes={f"S{beam}": "SM" for beam in range(1, 7)},
    collection="SENTINEL-1",
    versions=("{unit}_{mode}_{type}_{level}{product_class}{polarisation}_", "_{orbit}_{datatake}_"),
    datatake="_{orbit}_{datatake}",
    # The class keeps the annotation and calibration products of level 0 (RAW__0ADV, RAW__0CDV) apart from the
    # measurement RAW__0SDV.
    observation=("orbit", "datatake", "product_class"),
    types=("SLC", "GRD", "GRDH", "GRDM", "GRDF", "OCN", "RAW"),
    polarisations={"SV": "VV", "SH": "HH", "DV": "VV&VH", "DH": "HH&HV"},
    daily_modes=frozenset({"WV", "IW", "EW", *(f"S{beam}" for beam in range(1, 7))}),
    sensor="CbandRadar",
    explode=_explode,
)
