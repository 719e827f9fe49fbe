"""The head's seats without a state: every machine sees the files, and none is drained."""

from cdsed.clock import Clock
from cdsed.config.engine_settings import EngineSettings
from cdsed.engine.known_machines import KnownMachines
from cdsed.engine.known_pilots import KnownPilots
from cdsed.engine.lasting_link import LastingLink
from cdsed.engine.link import Link
from cdsed.engine.seats import Seats


def seats_over(link: Link, clock: Clock, settings: EngineSettings) -> Seats:
    """Return the seats of the holders behind a link; if it is lost, it is made again at once."""
    pilots = KnownPilots(2 * settings.grant_s, clock.boot_s())
    machines = KnownMachines(link, settings, pilots, lambda _: frozenset(), places=())
    lasting = LastingLink(lambda: link, again_every_s=0)
    lasting.tend()
    return Seats(lasting, settings, clock, lambda: None, machines)
