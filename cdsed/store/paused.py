"""Which work is paused now, until when, and by whom: what decides times to go, and why nothing moves."""

from collections.abc import Iterable

from cdsed.clock import Clock
from cdsed.model.operation import Pause
from cdsed.model.status_report import AccountStatus
from cdsed.store import pauses
from cdsed.store.backlog import ListingLoad
from cdsed.store.database import Database
from cdsed.store.pauses import ANY_SPOOL, Target

#: The remaining time of a pause that lasts until a person ends it.
WITHOUT_END = float("inf")
_NAMED = 3


class Paused:
    """The pauses in force; times in seconds from now.

    Attributes
    ----------
    windows
        Whether the settings pause something now: then they will again, at times that are not known here.
    """

    def __init__(self, db: Database, clock: Clock) -> None:
        self._now = clock.utc_s()
        self._pauses: dict[Target, Pause] = {}
        for place, pause in pauses.in_force(db, clock):
            if self._left_s(pause) >= self.of(place):
                self._pauses[place] = pause
        if ANY_SPOOL in self._pauses:  # every spool is paused: the first that is resumed takes the work
            spools = [pause for place, pause in self._pauses.items() if place[0] == "disk" and place != ANY_SPOOL]
            self._pauses[ANY_SPOOL] = min(spools, key=self._left_s, default=self._pauses[ANY_SPOOL])
        self.windows = any(pause.source == "window" for pause in self._pauses.values())

    def of(self, *places: Target) -> float:
        """Return for how many more seconds one of these is paused; 0: none is."""
        return max(self._left_s(self._pauses[place]) if place in self._pauses else 0.0 for place in places)

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
        accounts, found = list(accounts), dict[Target, None]()
        for listing in listings:
            of_group = [("account", each.name) for each in accounts if each.group == listing.group]
            places = [place for place in _places(listing) if place in self._pauses]
            if not places and of_group and all(place in self._pauses for place in of_group):
                places = of_group
            if not places:
                return None
            found |= dict.fromkeys(places)
        return self._words(found) if found else None

    def _words(self, places: Iterable[Target]) -> str:
        said = [pauses.reason(self._pauses[place]) for place in places]
        more = f", and {len(said) - _NAMED} more" if len(said) > _NAMED else ""
        return "; ".join(said[:_NAMED]) + more

    def _left_s(self, pause: Pause) -> float:
        return WITHOUT_END if pause.until_at is None else pause.until_at - self._now


def _places(listing: ListingLoad) -> tuple[Target, ...]:
    return (
        ("all", ""),
        ("group", listing.group),
        ("listing", str(listing.id)),
        ("disk", listing.outputdir or ANY_SPOOL[1]),
    )
