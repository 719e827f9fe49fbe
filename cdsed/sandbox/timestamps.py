"""Times of the catalogue: read with any number of fractional digits, written with six."""

import re
from datetime import UTC, datetime

_TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d)?)?)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)?", re.IGNORECASE)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def timestamp_ns(text: str) -> int:
    """Return an ISO 8601 time as nanoseconds since the epoch; without a zone it is UTC, as in CDSE since May 2024.

    Raises
    ------
    ValueError
        It is not an ISO 8601 time.
    """
    match = _TIMESTAMP.fullmatch(text)
    if match is None:
        raise ValueError(f"not a time: {text!r}")
    whole, fraction, zone = match.groups()
    timestamp = datetime.fromisoformat(whole).replace(tzinfo=UTC)
    if zone and zone.upper() != "Z":
        timestamp = datetime.fromisoformat(timestamp.strftime("%Y-%m-%dT%H:%M:%S") + zone)
    return nanoseconds(timestamp) + int((fraction or "0").ljust(9, "0")[:9])


def nanoseconds(timestamp: datetime) -> int:
    """Return nanoseconds since the epoch."""
    since = timestamp - _EPOCH
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1000


def stamp(timestamp: datetime) -> str:
    """Return a UTC time as the catalogue writes it since September 2024, ``2024-06-04T11:01:00.494767Z``."""
    return timestamp.isoformat(timespec="microseconds").replace("+00:00", "Z")
