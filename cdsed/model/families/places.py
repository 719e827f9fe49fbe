"""Where auxiliary files, mosaics and other products without a mission's form are in eodata, as seen of real ones."""

import re
from dataclasses import dataclass
from datetime import timedelta

from cdsed.model.families.form import TIME, read_time

_DATE = "(?P<date>[0-9]{8})T[0-9]{6}"
_MADE_AND_VALID = f"{TIME}_V{_DATE}"
_IN_GPS_TIME = f"{TIME}_V(?P<time>{TIME})_{TIME}"
# A file of a day begins up to 18 s before it in UTC, because GPS has no leap seconds.
_GPS_MARGIN = timedelta(seconds=30)


@dataclass(frozen=True)
class _Rule:
    """The names of one kind, the folder above the date, and what stands after the stem of the object.

    ``date`` of the pattern is the day, or ``time`` the moment, of the folder; else `day` is its template.
    """

    pattern: str
    folder: str
    ending: str = ""
    day: str = ""

    def key(self, name: str) -> str | None:
        found = re.fullmatch(rf"(?P<stem>{self.pattern})(?:\.[A-Za-z0-9]+)?", name)
        if found is None:
            return None
        said = found.groupdict()
        day = self.day.format_map(said) or _day(said)
        return f"{self.folder.format_map(said)}/{day}/{said['stem']}{self.ending}" if day else None


_RULES = (
    _Rule(rf"S1[A-Z_]_(?P<type>AUX_[A-Z0-9]{{3}})_V{_DATE}_G{TIME}", "Sentinel-1/AUX/{type}", ".SAFE.zip"),
    _Rule(
        rf"S1[A-Z]_OPER_(?P<type>AUX_(?:POEORB|PREORB|RESORB|RESATT))_OPOD_{_MADE_AND_VALID}_{TIME}",
        "Sentinel-1/AUX/{type}",
        ".EOF",
    ),
    _Rule(
        rf"S(?P<mission>[13])[A-Z]_OPER_(?P<type>AUX_(?:GNSSRD|PROQUA))_POD__{_IN_GPS_TIME}",
        "Sentinel-{mission}/AUX/{type}",
    ),
    _Rule(
        rf"S3[A-Z]_(?:OPER|REP[0-9])_(?P<type>AUX_(?:[MP]OEORB|PRCPTF))_POD__{_MADE_AND_VALID}_{TIME}(?:_DGNS)?",
        "Sentinel-3/AUX/{type}",
        ".EOF",
    ),
    _Rule(
        rf"S2[A-Z_]_OPER_(?P<type>GIP_[A-Z0-9]{{6}})_MPC__{_MADE_AND_VALID}_{TIME}_B00",
        "Sentinel-2/AUX/{type}",
        ".TGZ",
    ),
    _Rule(
        rf"S2[A-Z_]_OPER_(?P<type>GIP_[A-Z0-9]{{6}})_MPC__{_MADE_AND_VALID}_{TIME}_(?P<band>B[0-9A-Z]{{2}})",
        "Sentinel-2/AUX/{type}_{band}",
        ".TGZ",
    ),
    _Rule(rf"S2[A-Z_]_OPER_(?P<type>AUX_UT1UTC)_[A-Z_]{{4}}_{_MADE_AND_VALID}_{TIME}", "Sentinel-2/AUX/{type}", ".TGZ"),
    _Rule(rf"S3[A-Z]_(?P<type>SR___(?:MDO|POE)_AX)_{_DATE}_[A-Z0-9_]+", "Sentinel-3/AUX/{type}", ".TGZ"),
    _Rule(rf"S3[A-Z]_(?P<type>SR___ROE_AX)_{_DATE}_[A-Z0-9_]+", "Sentinel-3/AUX/{type}", ".SEN3.zip"),
    _Rule(rf"S5P_OPER_(?P<type>AUX_CTMANA)_{_DATE}_[A-Z0-9_]+", "Sentinel-5P/AUX/{type}", ".nc"),
    _Rule(rf"S5P_OPER_(?P<type>AUX_CTMFCT)_{_DATE}_[A-Z0-9_]+", "Sentinel-5P/AUX/{type}", ".tar"),
    _Rule(rf"S6[A-Z]_(?P<type>AX_[A-Z0-9_]{{8}}AX)_{_DATE}_[A-Z0-9_]+", "Sentinel-6/AUX/{type}", ".SEN6.tar"),
    _Rule(rf"S1[A-Z]_{_DATE}_[A-Z0-9_]+_(?P<type>CARD-COH[0-9]+)", "Sentinel-1/SAR/{type}"),
    _Rule(rf"S1[A-Z]_[A-Z0-9]{{2}}_[A-Z0-9_]{{9}}_{_DATE}_[A-Z0-9_]+_CARD_BS", "Sentinel-1/SAR/CARD-BS"),
    _Rule(
        r"Sentinel-1_(?P<mode>[A-Z]{2})_mosaic_(?P<year>[0-9]{4})_M(?P<month>[0-9]{2})_\w+",
        "Global-Mosaics/Sentinel-1/S1SAR_L3_{mode}_MCM",
        day="{year}/{month}/01",
    ),
    *(
        _Rule(
            rf"Sentinel-2_mosaic_(?P<year>[0-9]{{4}})_Q{quarter}_\w+",
            "Global-Mosaics/Sentinel-2/S2MSI_L3__MCQ",
            day=f"{{year}}/{3 * quarter - 2:02}/01",
        )
        for quarter in range(1, 5)
    ),
    _Rule(r"S2GLC_T[0-9A-Z]{5}_(?P<year>[0-9]{4})", "auxdata/S2GLC", day="{year}"),
    _Rule(
        r"[NS][0-9]{2}[EW][0-9]{3}_(?P<year>[0-9]{4})_(?P<month>[0-9]{2})_(?P<day>[0-9]{2})_[0-9A-F]{6}",
        "Sentinel-1-RTC/SAR/RTC",
        day="{year}/{month}/{day}",
    ),
)


def key_of_auxiliary(name: str) -> str | None:
    """Return the object key of a product, or of its folder; None if no rule knows names of this kind.

    Parameters
    ----------
    name
        With or without its extension, which may differ from the one of the object.
    """
    return next((key for rule in _RULES if (key := rule.key(name))), None)


def _day(said: dict[str, str]) -> str | None:
    if "time" in said:
        try:
            return f"{read_time(said['time']) + _GPS_MARGIN:%Y/%m/%d}"
        except (ValueError, OverflowError):
            return None
    date = said["date"]
    return f"{date[:4]}/{date[4:6]}/{date[6:]}"
