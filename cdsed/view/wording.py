"""Numbers, sizes and times as people read them."""

from cdsed.clock import iso

_PREFIXES = ("B", "kB", "MB", "GB", "TB", "PB")
_NEAR_S = 20 * 3600.0  # so that an hour is never that of the day after
_SPANS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def number(value: int) -> str:
    """Return ``1 234 567``."""
    return f"{value:,}".replace(",", " ")


def plural(count: int, word: str) -> str:
    """Return ``1 product`` or ``1 234 products``."""
    return f"{number(count)} {word}{'' if count == 1 else 's'}"


def size(size_bytes: float) -> str:
    """Return ``12.3 GB``: decimal units, as CDSE uses them."""
    value, prefixes = float(size_bytes), list(_PREFIXES)
    while value >= 999.95 and len(prefixes) > 1:
        value /= 1000
        del prefixes[0]
    return f"{value:.0f} B" if prefixes[0] == "B" else f"{value:.1f} {prefixes[0]}"


def rate(bytes_per_s: float) -> str:
    """Return ``34.1 MB/s``."""
    return f"{size(bytes_per_s)}/s"


def share(used_bytes: float, limit_bytes: float) -> str:
    """Return ``7.4/12 TB``: both in the unit of the limit."""
    shown, unit = size(limit_bytes).split()
    divisor = 1000.0 ** _PREFIXES.index(unit)
    digits = 0 if unit == "B" else 1
    return f"{used_bytes / divisor:.{digits}f}/{shown.removesuffix('.0')} {unit}"


def clock_time(at: float, now: float) -> str:
    """Return when something is, ``18:40Z`` within 20 hours and ``2026-12-03`` later; both in seconds UTC."""
    return f"{iso(at)[11:16]}Z" if at - now < _NEAR_S else iso(at)[:10]


def span(seconds: float) -> str:
    """Return a duration in its two largest units, ``2 d 3 h``."""
    left = round(seconds)
    words: list[tuple[int, str]] = []
    for unit, unit_s in _SPANS:
        count, left = divmod(left, unit_s)
        if count or words:
            words.append((count, unit))
    return " ".join(f"{count} {unit}" for count, unit in words[:2] if count) or "0 s"


def ago(then: float, now: float) -> str:
    """Return a time and how long ago it was, ``2026-11-22T14:32:05Z (5 min ago)``; both in seconds UTC."""
    return f"{iso(then)} ({span(max(0.0, now - then))} ago)"
