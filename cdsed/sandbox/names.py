"""Safenames as CDSE writes them: reading them, where they are on eodata, and making realistic ones.

The forms are those of the Sentinel naming conventions (sentiwiki.copernicus.eu); the folders are those seen
in eodata: Sentinel-1 changed from ``GRD`` to ``IW_GRDH_1S`` for acquisitions from 2023-02-20 on, and the folders of
Sentinel-3 got their trailing underscores on that day of creation.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from random import Random

_PATTERNS = {
    "S1": re.compile(
        r"(?P<unit>S1[A-Z])_(?P<mode>IW|EW|WV|EN|S[1-6])_(?P<type>[A-Z]{3})[FHM_]_(?P<level>[0-3A])"
        r"(?P<product_class>[A-Z])(?P<polarisation>SH|SV|DH|DV|HH|HV|VV|VH)_(?P<start>\d{8}T\d{6})_(?P<stop>\d{8}T\d{6})_"
        r"(?P<orbit>\d{6})_(?P<datatake>[0-9A-F]{6})_[0-9A-F]{4}(?P<cog>_COG)?\.SAFE"
    ),
    "S2": re.compile(
        r"(?P<unit>S2[A-Z])_MSI(?P<level>L1C|L2A)_(?P<start>\d{8}T\d{6})_N(?P<baseline>\d{4})_"
        r"R(?P<track>\d{3})_T(?P<tile>\d{2}[A-Z]{3})_(?P<made>\d{8}T\d{6})\.SAFE"
    ),
    "S3": re.compile(
        r"(?P<unit>S3[A-Z_])_(?P<type>(?P<source>OL|SL|SR|SY)_[012]_.{6})_(?P<start>\d{8}T\d{6})_"
        r"(?P<stop>\d{8}T\d{6})_(?P<made>\d{8}T\d{6})_(?P<instance>.{17})_(?P<centre>.{3})_[OFDR_]_"
        r"(?P<timeliness>NR|ST|NT|SN|NN|AL|__)_(?P<baseline>.{3})\.SEN3"
    ),
    "S5P": re.compile(
        r"(?P<unit>S5P)_(?P<stream>NRTI|OFFL|RPRO)_(?P<type>.{10})_(?P<start>\d{8}T\d{6})_(?P<stop>\d{8}T\d{6})_"
        r"(?P<orbit>\d{5})_\d{2}_(?P<processor>\d{6})_(?P<made>\d{8}T\d{6})\.nc"
    ),
}
_NEW_S1_FOLDERS = datetime(2023, 2, 20, tzinfo=UTC)
_PADDED_S3_FOLDERS = "20230220"
_ALWAYS_PADDED = ("SL_2_FRP", "SL_2_AOD", "SY_2_")
_S3_INSTRUMENTS = {"OL": "OLCI", "SL": "SLSTR", "SR": "SRAL", "SY": "SYNERGY"}


@dataclass(frozen=True)
class ParsedName:
    """A safename of a mission of which the sandbox can make products; `fields` by the names in the form."""

    safename: str
    mission: str
    start: datetime
    fields: dict[str, str]


@lru_cache(maxsize=10_000)
def parse_name(safename: str) -> ParsedName:
    """Read `safename`.

    Raises
    ------
    ValueError
        It is not a name of Sentinel-1, -2, -3 or -5P.
    """
    for mission, pattern in _PATTERNS.items():
        match = pattern.fullmatch(safename)
        if match:
            fields = {name: text or "" for name, text in match.groupdict().items()}
            return ParsedName(safename, mission, timestamp_of(fields["start"]), fields)
    raise ValueError(f"the sandbox cannot make {safename!r}: not the name of a Sentinel-1, -2, -3 or -5P product")


def eodata_path(name: ParsedName) -> str:
    """Return the S3 path at which CDSE keeps the product, ``/eodata/Sentinel-2/MSI/L1C/2024/…``."""
    return f"/eodata/{_folder(name)}/{name.start:%Y/%m/%d}/{name.safename}"


def _folder(name: ParsedName) -> str:
    if name.mission == "S1":
        return _s1_folder(name)
    if name.mission == "S2":
        return f"Sentinel-2/MSI/{name.fields['level']}"
    product_type = name.fields["type"]
    if name.mission == "S5P":
        return f"Sentinel-5P/TROPOMI/{product_type}"
    if name.fields["made"] < _PADDED_S3_FOLDERS and not product_type.startswith(_ALWAYS_PADDED):
        product_type = product_type.rstrip("_")
    return f"Sentinel-3/{_S3_INSTRUMENTS[name.fields['source']]}/{product_type}"


def _s1_folder(name: ParsedName) -> str:
    if name.fields["level"] == "A":
        return f"Sentinel-1/AUX/{name.safename[4:14]}"
    if name.fields["cog"]:
        return f"Sentinel-1/SAR/{name.safename[4:14]}-COG"
    if name.start < _NEW_S1_FOLDERS:
        return f"Sentinel-1/SAR/{name.fields['type']}"
    return f"Sentinel-1/SAR/{name.safename[4:14]}"


def realistic_safenames(kind: str, count: int, seed: int = 1) -> list[str]:
    """Return `count` distinct safenames of one kind, the same for the same seed.

    Parameters
    ----------
    kind
        One of `KINDS`.
    count
        How many; acquisitions are from before and after the change of the Sentinel-1 folders.
    seed
        Another seed gives other names.

    Raises
    ------
    ValueError
        The kind is unknown.
    """
    random = Random(f"{kind} {seed}")
    names: dict[str, None] = {}
    while len(names) < count:
        base = datetime(2021, 6, 1, tzinfo=UTC) if len(names) % 2 else datetime(2023, 3, 1, tzinfo=UTC)
        start = base + timedelta(seconds=random.randrange(600 * 86400))
        names[make_name(kind, random, start)] = None
    return list(names)


def make_name(kind: str, random: Random, start: datetime) -> str:
    """Return the name of a product of one of `KINDS` that begins at `start`; ValueError for another kind."""
    if kind not in _MAKERS:
        raise ValueError(f"no kind {kind!r} of product; there are {', '.join(KINDS)}")
    return _MAKERS[kind](random, start)


def timestamp_of(text: str) -> datetime:
    """Return the UTC time that a name writes as ``20240604T110100``."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _compact(timestamp: datetime) -> str:
    return f"{timestamp:%Y%m%dT%H%M%S}"


def _s1(random: Random, start: datetime, head: str, duration_s: int) -> str:
    stop = start + timedelta(seconds=duration_s)
    orbit, datatake, crc = random.randrange(40_000, 60_000), random.getrandbits(20), random.getrandbits(16)
    return f"S1A_{head}_{_compact(start)}_{_compact(stop)}_{orbit:06d}_{datatake:06X}_{crc:04X}.SAFE"


def _s1_grd(random: Random, start: datetime) -> str:
    head = random.choice(("IW_GRDH_1SDV", "IW_GRDH_1SDV", "IW_GRDH_1SDH", "EW_GRDM_1SDH", "IW_GRDH_1SSV"))
    return _s1(random, start, head, 25)


def _s1_slc(random: Random, start: datetime) -> str:
    return _s1(random, start, random.choice(("IW_SLC__1SDV", "IW_SLC__1SSV", "IW_SLC__1SDH")), 27)


def _s1_ocn(random: Random, start: datetime) -> str:
    return _s1(random, start, random.choice(("IW_OCN__2SDV", "IW_OCN__2SSV")), 25)


def _s1_wv(random: Random, start: datetime) -> str:
    return _s1(random, start, "WV_SLC__1SSV", random.randrange(400, 1500))


def _s2(random: Random, start: datetime, level: str) -> str:
    baseline = "0400" if start.year < 2023 else "0511"
    tile = f"{random.randrange(1, 61):02d}" + "".join(
        random.choice(letters)
        for letters in ("CDEFGHJKLMNPQRSTUVWX", "ABCDEFGHJKLMNPQRSTUVWXYZ", "ABCDEFGHJKLMNPQRSTUV")
    )
    made = _compact(start + timedelta(seconds=random.randrange(7200, 30_000)))
    unit, track = random.choice("AB"), random.randrange(1, 144)
    return f"S2{unit}_MSI{level}_{_compact(start)}_N{baseline}_R{track:03d}_T{tile}_{made}.SAFE"


def _s3(random: Random, start: datetime) -> str:
    product_type = random.choice(("OL_1_EFR___", "OL_2_WFR___", "OL_2_LFR___", "SL_2_LST___", "SY_2_SYN___"))
    stop, made = start + timedelta(seconds=180), start + timedelta(seconds=random.randrange(90_000, 130_000))
    cycle, track, frame = random.randrange(1, 130), random.randrange(1, 386), random.randrange(360, 5760)
    return (
        f"S3{random.choice('AB')}_{product_type}_{_compact(start)}_{_compact(stop)}_{_compact(made)}_"
        f"0179_{cycle:03d}_{track:03d}_{frame:04d}_PS{random.choice('12')}_O_NT_003.SEN3"
    )


def _s5p(random: Random, start: datetime) -> str:
    product_type = random.choice(("L2__NO2___", "L2__SO2___", "L2__CO____", "L2__CH4___", "L2__O3____"))
    stop, made = start + timedelta(seconds=6090), start + timedelta(seconds=random.randrange(90_000, 130_000))
    span = f"{_compact(start)}_{_compact(stop)}_{random.randrange(18_000, 32_000):05d}"
    return f"S5P_OFFL_{product_type}_{span}_03_020500_{_compact(made)}.nc"


_MAKERS: dict[str, Callable[[Random, datetime], str]] = {
    "S1_GRD": _s1_grd,
    "S1_SLC": _s1_slc,
    "S1_OCN": _s1_ocn,
    "S1_WV": _s1_wv,
    "S2_L1C": lambda random, start: _s2(random, start, "L1C"),
    "S2_L2A": lambda random, start: _s2(random, start, "L2A"),
    "S3": _s3,
    "S5P": _s5p,
}
KINDS = tuple(_MAKERS)
