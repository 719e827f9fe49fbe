"""What must be true after a year, by the sandbox's truth, the reports, and the promises of docs/state.md."""

import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing

from cdsed.store.database import FILE_NAME
from tests.soak.year.installation import Figures, YearInstallation, report_of
from tests.support.invariants import leftovers, overbooked

_GOOD = {"done", "already_present"}
#: Of docs/state.md: a product, what one takes that waits again and again, and traffic of two accounts.
_PRODUCT_BYTES, _WAITING_BYTES, _LISTING_BYTES = 1025, 4000, 400
_TRAFFIC_BYTES = 2 * 50 * (30 * 24 + 2 * 720 + 2)
_PAGES_BYTES = 2_000_000  # free pages that are used again, at any moment
_SENT_MAX = 1.15  # what is fetched twice after a restore, a stop, and an outage
_BACKUPS_MAX = 7 + 2
_WAITING = 200  # products that waited again and again, in the outage and for the volume
_UNFINISHED = """
SELECT count(*) FROM product
WHERE state NOT IN ('done', 'already_present', 'unavailable', 'corrupt', 'failed', 'cancelled')
"""
_WAITED_DAYS_MAX = 45.0


def judge(
    place: YearInstallation, events: Mapping[str, int], log: Mapping[str, int], waited_days: Mapping[str, float]
) -> list[str]:
    """Return what is wrong with a stopped installation."""
    found = [f"{name} was never reported" for name in place.unreported()]
    found += _untrue_reports(place)
    found += [f"left behind: {name}" for name in leftovers(place.lab)]
    found += [f"overbooked: {each}" for each in overbooked(place.sandbox)]
    sent, there = place.sandbox.bytes_sent(), place.fetched_bytes()
    print(f"sent {sent / 1e6:.1f} MB for {there / 1e6:.1f} MB on disk: {sent / max(1, there):.2f}")
    if sent > there * _SENT_MAX:
        found.append(f"{sent} bytes were sent for {there} bytes of products")
    longest = max(waited_days, key=lambda name: waited_days[name])
    print(f"the longest wait: {longest}, {waited_days[longest]:.1f} days")
    if waited_days[longest] > _WAITED_DAYS_MAX:
        found.append(f"{longest} waited for {waited_days[longest]:.1f} days")
    if log["tracebacks"]:
        found.append(f"{log['tracebacks']} tracebacks are in the log")
    if log["renewed keys"] < 2 * 12:
        found.append(f"only {log['renewed keys']} temporary keys were made in a year of two accounts")
    if events["restores"] != 1 or events["upgrades"] != 1:
        found.append(f"the calendar was not kept: {dict(events)}")
    return [*found, *_broken_rows(place)]


def _untrue_reports(place: YearInstallation) -> Iterator[str]:
    """Yield each product whose report is not what the disk has, or that ended without a need."""
    ended: Counter[str] = Counter()
    names: set[str] = set()
    for listing, products in place.listings.items():
        if listing in place.unreported():
            continue
        states = report_of(place.lab, listing)
        ended.update(states.values())
        if states.keys() != set(products):
            yield f"{listing}: its report has {sorted(states.keys() ^ set(products))[:3]}"
        names |= {name for name in products if states.get(name) in _GOOD}
        for name, state in states.items():
            there = (place.lab.spool / name).exists()
            nowhere = "_0000.SAFE" in name
            if nowhere == (state in _GOOD) or there != (state in _GOOD):
                yield f"{listing}: {name} is {state}, and {'there' if there else 'not there'}"
    print(f"reported: {dict(ended)}")
    yield from place.lab.differences(sorted(names))


def _broken_rows(place: YearInstallation) -> Iterator[str]:
    """Yield what the state says twice, or what it is not sound in."""
    with closing(sqlite3.connect(place.lab.state / FILE_NAME)) as db:
        for [verdict] in db.execute("PRAGMA quick_check(5)"):
            if verdict != "ok":
                yield f"the state is damaged: {verdict}"
        for name, times in db.execute("SELECT name, count(*) FROM listing GROUP BY name HAVING count(*) > 1"):
            yield f"{name} was taken {times} times"
        [[waiting]] = db.execute(_UNFINISHED)
        if waiting:
            yield f"{waiting} products are not finished"
        [[oldest_h]] = db.execute("SELECT coalesce(max(hour) - min(hour), 0) FROM traffic_hour")
        print(f"traffic is kept for {oldest_h} hours")


def growth(months: Sequence[Figures]) -> list[str]:
    """Compare the first month with the last; return what has grown without a reason."""
    first, last, early = months[0], months[-1], months[:3]
    more = last.products - first.products
    allowed = more * (_PRODUCT_BYTES + _LISTING_BYTES) + _WAITING_BYTES * _WAITING + _TRAFFIC_BYTES + _PAGES_BYTES
    grown = last.state_bytes - first.state_bytes
    print(f"the state grew by {grown} bytes for {more} products; allowed {allowed}")
    bounds = {
        "bytes by which the state grew": (grown, allowed),
        "files beside products and papers": (last.files, first.files + 20),
        "bytes of log in a month": (last.log_bytes, 3 * max(month.log_bytes for month in early) + 100_000),
        "ms of CPU of a status": (last.status_ms, 2 * max(month.status_ms for month in early) + 200),
        "backups": (last.backups, _BACKUPS_MAX),
        **{f"KiB of {role}": (kib, first.rss_kib[role] * 1.3 + 8192) for role, kib in last.rss_kib.items()},
        **{f"descriptors of {role}": (most, first.descriptors[role] + 8) for role, most in last.descriptors.items()},
        **{f"threads of {role}": (most, first.threads[role] + 4) for role, most in last.threads.items()},
    }
    return [f"{what}: {value:.0f}, at most {most:.0f}" for what, (value, most) in bounds.items() if value > most]


def as_lines(month: int, day: float, listings: int, figures: Figures) -> str:
    """Return the line of a month."""
    roles = "; ".join(
        f"{role} {kib / 1024:.0f} MB {figures.descriptors[role]} fd {figures.threads[role]} th"
        for role, kib in figures.rss_kib.items()
    )
    return (
        f"month {month:2}, day {day:5.1f}: {listings} listings, state {figures.state_bytes / 1e6:.2f} MB of "
        f"{figures.products} products, status {figures.status_ms:.0f} ms of CPU, log {figures.log_bytes} bytes, "
        f"{figures.files} files, {figures.backups} backups; {roles}"
    )
