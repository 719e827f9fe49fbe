"""The head's seats without a state: every machine sees the files, and none is drained."""

import threading
from collections.abc import Callable
from contextlib import nullcontext

from cdsed.clock import Clock
from cdsed.config.engine_settings import EngineSettings
from cdsed.engine.known_machines import KnownMachines
from cdsed.engine.known_pilots import KnownPilots
from cdsed.engine.lasting_link import LastingLink
from cdsed.engine.link import Link
from cdsed.engine.remote_transport import RemoteTransport
from cdsed.engine.seat import Seat
from cdsed.engine.seats import Seats
from cdsed.transfer.bandwidth import BandwidthBudget
from cdsed.transfer.connection import Endpoint
from cdsed.transfer.lease_broker import Claimant, SessionTools


def seats_over(link: Link, clock: Clock, settings: EngineSettings) -> Seats:
    """Return the seats of the holders behind a link; if it is lost, it is made again at once."""
    pilots = KnownPilots(2 * settings.grant_s, clock.boot_s())
    machines = KnownMachines(link, settings, pilots, lambda _: frozenset(), places=())
    lasting = LastingLink(lambda: link, again_every_s=0)
    lasting.tend()
    return Seats(lasting, settings, clock, lambda: None, machines)


def transport_of(
    seats: Seats, seat: Seat, claim: Callable[[Claimant], None], stop: threading.Event | None = None
) -> RemoteTransport:
    """Return what a session thread has of a holder that has a lease."""
    endpoint = Endpoint("http://127.0.0.1:9", "default", 1, 1)
    stop = stop or threading.Event()
    tools = SessionTools(endpoint, claim, memoryview(b""), BandwidthBudget(), 2.0, stop, nullcontext)
    return RemoteTransport(seats, seat, tools, "state")
