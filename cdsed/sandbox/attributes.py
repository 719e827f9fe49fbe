"""Attributes of a product with the types of the catalogue, read from its name or made up from it.

Names and types are those of products seen in the catalogue of CDSE in 2024.
"""

import hashlib
import re
from datetime import datetime
from typing import Any

from cdsed.sandbox.names import ParsedName, timestamp_of
from cdsed.sandbox.timestamps import stamp

_S1_TYPE = re.compile(r"[A-Z0-9]{2}_(RAW|SLC|GRD|OCN)[FHM_]_[0-2][SA](?:_C)?(-COG)?")
_TYPES = {str: "String", int: "Integer", float: "Double", bool: "Boolean", datetime: "DateTimeOffset"}
_POLARISATIONS = {"SH": "HH", "SV": "VV", "DH": "HH&HV", "DV": "VV&VH"}
# Relative orbit = (absolute orbit - offset) mod 175 + 1; source: Sentinel-1 product specification and orbit files.
_RELATIVE_ORBIT_OFFSETS = {"S1A": 73, "S1B": 27, "S1C": 172}


def attributes(name: ParsedName, start: datetime, end: datetime) -> list[dict[str, Any]]:
    """Return the ``Attributes`` of a product that was sensed from `start` to `end`."""
    chance = hashlib.md5(name.safename.encode()).digest()
    values: dict[str, Any] = {
        "origin": "ESA",
        **_OF_MISSION[name.mission](name, chance),
        "platformSerialIdentifier": name.fields["unit"][2:],
        "beginningDateTime": start,
        "endingDateTime": end,
    }
    return [_attribute(key, value) for key, value in values.items()]


def class_of(value: object) -> str | None:
    """Return ``GRD`` of ``IW_GRDH_1S``: public clients (eodag among them) ask for the class of a Sentinel-1 type."""
    match = _S1_TYPE.fullmatch(value) if isinstance(value, str) else None
    return f"{match[1]}{match[2] or ''}" if match else None


def _attribute(name: str, value: Any) -> dict[str, Any]:
    type_name = _TYPES[type(value)]
    written = stamp(value) if isinstance(value, datetime) else value
    return {
        "@odata.type": f"#OData.CSC.{type_name}Attribute",
        "Name": name,
        "Value": written,
        "ValueType": type_name,
    }


def _direction(chance: bytes) -> str:
    return "ASCENDING" if chance[0] % 2 else "DESCENDING"


def _s1(name: ParsedName, chance: bytes) -> dict[str, Any]:
    fields, orbit = name.fields, int(name.fields["orbit"])
    pieces = 1 + chance[1] % 20
    return {
        "datatakeID": int(fields["datatake"], 16),
        "timeliness": "Fast-24h",
        "cycleNumber": orbit // 175,
        "orbitNumber": orbit,
        "sliceNumber": 1 + chance[2] % pieces,
        "totalSlices": pieces,
        "productClass": fields["product_class"],
        "processorName": "Sentinel-1 IPF",
        "orbitDirection": _direction(chance),
        "operationalMode": fields["mode"],
        "processingLevel": f"LEVEL{fields['level']}",
        "swathIdentifier": fields["mode"],
        "sliceProductFlag": bool(chance[3] % 2),
        "platformShortName": "SENTINEL-1",
        "instrumentShortName": "SAR",
        "relativeOrbitNumber": (orbit - _RELATIVE_ORBIT_OFFSETS.get(fields["unit"], 0)) % 175 + 1,
        "polarisationChannels": _POLARISATIONS.get(fields["polarisation"], fields["polarisation"]),
        "startTimeFromAscendingNode": round(int.from_bytes(chance[4:6], "big") * 90.0, 1),
        "productType": f"{name.safename[4:14]}{'-COG' if fields['cog'] else ''}",
    }


def _s2(name: ParsedName, chance: bytes) -> dict[str, Any]:
    fields = name.fields
    return {
        "tileId": fields["tile"],
        "cloudCover": round(int.from_bytes(chance[4:6], "big") / 655.35, 6),
        "orbitNumber": 30_000 + int.from_bytes(chance[6:8], "big") % 20_000,
        "orbitDirection": "DESCENDING",
        "operationalMode": "INS-NOBS",
        "processingDate": timestamp_of(fields["made"]),
        "processingLevel": f"S2MSI{fields['level'][1:]}",
        "processorVersion": f"{fields['baseline'][:2]}.{fields['baseline'][2:]}",
        "platformShortName": "SENTINEL-2",
        "instrumentShortName": "MSI",
        "relativeOrbitNumber": int(fields["track"]),
        "productType": f"S2MSI{fields['level'][1:]}",
    }


def _s3(name: ParsedName, chance: bytes) -> dict[str, Any]:
    fields = name.fields
    duration, cycle, track, _frame = [*fields["instance"].split("_"), "", "", ""][:4]
    values: dict[str, Any] = {
        "timeliness": fields["timeliness"],
        "orbitDirection": _direction(chance),
        "processingDate": timestamp_of(fields["made"]),
        "processingLevel": fields["type"][3],
        "baselineCollection": fields["baseline"],
        "platformShortName": "SENTINEL-3",
        "instrumentShortName": {"OL": "OLCI", "SL": "SLSTR", "SR": "SRAL", "SY": "SYNERGY"}[fields["source"]],
        "cloudCover": round(int.from_bytes(chance[4:6], "big") / 655.35, 6),
        "productType": fields["type"],
    }
    if duration.isdecimal() and cycle.isdecimal() and track.isdecimal():  # other products have a tile here
        values |= {"cycleNumber": int(cycle), "relativeOrbitNumber": int(track)}
    return values


def _s5p(name: ParsedName, _chance: bytes) -> dict[str, Any]:
    fields = name.fields
    version = fields["processor"]
    return {
        "orbitNumber": int(fields["orbit"]),
        "processingDate": timestamp_of(fields["made"]),
        "processingMode": fields["stream"],
        "processingLevel": fields["type"][:2],
        "processorVersion": f"{version[:2]}.{version[2:4]}.{version[4:]}",
        "platformShortName": "SENTINEL-5P",
        "instrumentShortName": "TROPOMI",
        "productType": fields["type"],
    }


_OF_MISSION = {"S1": _s1, "S2": _s2, "S3": _s3, "S5P": _s5p}
