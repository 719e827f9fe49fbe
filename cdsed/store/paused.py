"""Which work is paused now, until when, and by whom: what decides times to go, and why nothing moves."""

from collections.abc import Iterable

from cdsed.clock import Clock, iso
from cdsed.model.status_report import AccountStatus
from cdsed.store.backlog import ListingLoad
from cdsed.store.database import Database, Row
from cdsed.store.queries import Queries

_SQL = Queries("paused")

#: The remaining time of a pause that lasts until a person ends it.
WITHOUT_END = float("inf")
_NAMED = 3

_Place = tuple[str, str]
_ANY_SPOOL: _Place = ("disk", "unknown")  # see `pauses.follow_spools`


class Paused:
    """The pauses in force; times in seconds from now.

    Attributes
    ----------
    windows
        Whether the settings pause something now: then they will again, at times that are not known here.
    """

    def __init__(self, db: Database, clock: Clock) -> None:
        self._now = clock.utc_s()
        self._rows: dict[_Place, Row] = {}
        for row in db.rows(_SQL.in_force, now=self._now):
            place = (row["kind"], row["name"])
            if self._left_s(row) >= self.of(place):
                self._rows[place] = row
        if _ANY_SPOOL in self._rows:  # every spool is paused: the first that is resumed takes the work
            spools = [row for row in self._rows.values() if row["kind"] == "disk" and row["name"] != _ANY_SPOOL[1]]
            self._rows[_ANY_SPOOL] = min(spools, key=self._left_s, default=self._rows[_ANY_SPOOL])
        self.windows = any(row["source"] == "window" for row in self._rows.values())

    def of(self, *places: _Place) -> float:
        """Return for how many more seconds one of these is paused; 0: none is."""
        return max(self._left_s(self._rows[place]) if place in self._rows else 0.0 for place in places)

    def of_listing(self, listing: ListingLoad) -> float:
        """Return for how many more seconds a listing, its group or its directory is paused, or everything."""
        return self.of(*_places(listing))

    def account(self, name: str) -> float:
        """Return for how many more seconds an account is paused."""
        return self.of(("account", name))

    def reason(self, listings: Iterable[ListingLoad], accounts: Iterable[AccountStatus]) -> str | None:
        """Return in one clause what pauses all of these listings; None if one of them is not paused.

        A listing is also paused if every account of its group is.
        """
        accounts, found = list(accounts), dict[_Place, None]()
        for listing in listings:
            of_group = [("account", each.name) for each in accounts if each.group == listing.group]
            places = [place for place in _places(listing) if place in self._rows]
            if not places and of_group and all(place in self._rows for place in of_group):
                places = of_group
            if not places:
                return None
            found |= dict.fromkeys(places)
        return self._words(found) if found else None

    def _words(self, places: Iterable[_Place]) -> str:
        said = [self._one(place) for place in places]
        more = f", and {len(said) - _NAMED} more" if len(said) > _NAMED else ""
        return "; ".join(said[:_NAMED]) + more

    def _one(self, place: _Place) -> str:
        row = self._rows[place]
        what = "everything" if row["kind"] == "all" else f"{row['kind']} {row['listing'] or row['name']}"
        who = "the time windows of the settings" if row["source"] == "window" else "a person"
        until = "until it is resumed" if row["until_at"] is None else f"until {iso(row['until_at'])}"
        return f"{what} is paused by {who} {until}"

    def _left_s(self, row: Row) -> float:
        return WITHOUT_END if row["until_at"] is None else float(row["until_at"] - self._now)


def _places(listing: ListingLoad) -> tuple[_Place, ...]:
    return (
        ("all", ""),
        ("group", listing.group),
        ("listing", str(listing.id)),
        ("disk", listing.outputdir or _ANY_SPOOL[1]),
    )
