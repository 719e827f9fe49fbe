"""The pilots that the head hears of: on which machine each is, and whether it may be used."""

import logging

from cdsed._version import __version__
from cdsed.engine.wire import Leave, PilotHere, Welcome

_log = logging.getLogger(__name__)

#: A new scheduler, its workers and their pilots may take so long.
_STARTS_WITHIN_S = 60.0
NO_PILOT = "no worker of Dask runs a pilot, so nothing is fetched; see its scheduler and workers"


class KnownPilots:
    """What pilots have said of themselves.

    Parameters
    ----------
    silent_s
        After so long without a word a pilot is forgotten.
    begun_s
        When the head began, in seconds since boot.
    """

    def __init__(self, silent_s: float, begun_s: float) -> None:
        self._silent_s = silent_s
        self._begun_s = begun_s
        self._heard_s: dict[str, float] = {}
        self._refused: dict[str, tuple[str, float]] = {}  # why, and when, by machine
        self._leaving: set[str] = set()
        self.nodes: dict[str, str] = {}

    def hear(self, here: PilotHere, now_s: float) -> Welcome | Leave:
        """Take the word of a pilot; return what to answer."""
        if here.version != __version__:
            why = f"{here.node} has cdsed {here.version}, and the daemon {__version__}: its workers are not used"
            if here.node not in self._refused:
                _log.error("%s", why)
            self._refused[here.node] = why, now_s
            return Leave(here.pilot, why)
        if here.pilot not in self.nodes:
            _log.info("a pilot runs on %s", here.node)
            self.nodes[here.pilot] = here.node
        self._heard_s[here.pilot] = now_s
        return Welcome(here.pilot)

    def let_leave(self, pilot: str) -> None:
        """Give no further lease to holders of a pilot."""
        self._leaving.add(pilot)

    def is_leaving(self, pilot: str) -> bool:
        """Tell whether holders of a pilot get no further lease."""
        return pilot in self._leaving

    def forget_silent(self, now_s: float) -> None:
        """Forget pilots that have said nothing for too long."""
        for pilot, heard_s in list(self._heard_s.items()):
            if now_s - heard_s > self._silent_s:
                if not self.is_leaving(pilot):
                    _log.warning("the pilot on %s is silent", self.nodes[pilot])
                del self.nodes[pilot], self._heard_s[pilot]
                self._leaving.discard(pilot)
        self._refused = {node: said for node, said in self._refused.items() if now_s - said[1] <= self._silent_s}

    def refused(self) -> dict[str, str]:
        """Return why the workers of a machine are not used, for machines of which that is so."""
        return {node: why for node, (why, _) in self._refused.items()}

    def problem(self, now_s: float) -> str | None:
        """Return what a user should know of all of them; None: all is well."""
        if not self.nodes and now_s - self._begun_s > _STARTS_WITHIN_S:
            return NO_PILOT
        return None
