"""Times as callers give them: text, dates, and the times of numpy and pandas."""

from datetime import UTC, date, datetime, time
from typing import Any

import numpy as np

from cdsed.catalogue.attributes import parse_timestamp


def timestamp_of(value: Any) -> datetime:
    """Return a time with time zone; without one it is UTC, as in the catalogue.

    Parameters
    ----------
    value
        ISO 8601 text, a date (its first moment), a datetime (also a ``pandas.Timestamp``) or a ``numpy.datetime64``.

    Raises
    ------
    ValueError
        It is something else, or a missing time such as ``NaT``.
    """
    match value:
        case str():
            return parse_timestamp(value)
        case datetime() if value == value:  # NaT is not equal to itself  # noqa: PLR0124
            return _in_zone(value.to_pydatetime(warn=False) if hasattr(value, "to_pydatetime") else value)
        case np.datetime64() if not np.isnat(value):
            whole = value.astype("datetime64[us]").item()
            if isinstance(whole, datetime):
                return _in_zone(whole)
        case date() if not isinstance(value, datetime):
            return datetime.combine(value, time.min, UTC)
    raise ValueError(f"{value!r:.100} is not a date or time: give text like 2024-06-04T11:01:00Z, a date or a datetime")


def _in_zone(timestamp: datetime) -> datetime:
    return timestamp if timestamp.tzinfo else timestamp.replace(tzinfo=UTC)
