"""Read times and durations from the command line."""

import re
from datetime import datetime, timedelta

from cdsed.errors import UsageError

_UNITS_S = {"s": 1, "min": 60, "m": 60, "h": 3600, "d": 86_400}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(s|min|m|h|d)")
_LONGEST_S = 10 * 365 * 86_400.0


def seconds_of(text: str) -> float:
    """Return a duration such as ``90s``, ``30min``, ``2h``, ``1d12h`` in seconds.

    Raises
    ------
    UsageError
        It is not one, or it is 0, or longer than ten years.
    """
    parts = _DURATION.findall(text)
    seconds = sum(float(count) * _UNITS_S[unit] for count, unit in parts)
    if "".join(count + unit for count, unit in parts) != text or not 0 < seconds <= _LONGEST_S:
        raise UsageError(f"{text!r} is not a duration such as 90s, 30min, 2h or 1d12h")
    return seconds


def time_of(text: str, now_at: float) -> float:
    """Return a time as seconds UTC.

    Parameters
    ----------
    text
        ``2026-11-29T18:00Z``, a date, or ``18:00``, which is the next time at which a clock shows that. Without a zone
        it is a time of this machine's zone.
    now_at
        Seconds UTC now.

    Raises
    ------
    UsageError
        It is not a time, or it has passed.
    """
    try:
        if re.fullmatch(r"\d{1,2}:\d{2}", text):
            hour, minute = map(int, text.split(":"))
            now = datetime.fromtimestamp(now_at).astimezone()
            then = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
            if then <= now:
                then = (then + timedelta(days=1)).replace(tzinfo=None).astimezone()  # the zone may have changed
        else:
            then = datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError, OSError) as error:
        raise UsageError(f"{text!r} is not a time such as 18:00 or 2026-11-30T06:00Z") from error
    if then.timestamp() <= now_at:
        raise UsageError(f"{text} has passed")
    return then.timestamp()
