"""The machines as the head hears of them: their pilots, what these see, what came from each, and which may be used."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from cdsed.config.engine_settings import EngineSettings
from cdsed.engine.known_pilots import KnownPilots
from cdsed.engine.lease_tally import LeaseTally
from cdsed.engine.link import Link
from cdsed.engine.probes import Probes, Visibility
from cdsed.engine.seat import Seat
from cdsed.engine.wire import DownMessage, Leave, PilotHere, Probed, Welcome, encode
from cdsed.errors import MachineError
from cdsed.frozen import frozen
from cdsed.model.machine_status import GrantLoss, MachineNow


@frozen
class HeadNews:
    """What the head hears of all machines.

    Attributes
    ----------
    problem
        What a user should know of all of them; None: nothing.
    machines
        Each machine of which a worker is heard, or is refused.
    received_bytes
        What has come from each machine, since the head began.
    lost
        How many grants of each machine were lost, by reason, since the head began.
    """

    problem: str | None
    machines: tuple[MachineNow, ...]
    received_bytes: Mapping[str, int]
    lost: Mapping[tuple[str, GrantLoss], int]


class KnownMachines:
    """All machines.

    Parameters
    ----------
    link
        Carries messages to pilots.
    pilots
        Those that are heard.
    tell
        Called every second or so with what is known; returns the machines that get no new connection.
    places
        The directories that holders write to.
    """

    def __init__(
        self,
        link: Link,
        settings: EngineSettings,
        pilots: KnownPilots,
        tell: Callable[[HeadNews], frozenset[str]],
        places: Sequence[Path],
    ) -> None:
        self._pilots = pilots
        self._link = link
        self._probes = Probes(places, self._send)
        self._tally = LeaseTally()
        self._fresh_for_s = settings.grant_s / 2
        self._tell = tell
        self._drained: frozenset[str] = frozenset()

    @property
    def nodes(self) -> dict[str, str]:
        """The machine of each pilot."""
        return self._pilots.nodes

    def hear(self, here: PilotHere, now_s: float) -> Welcome | Leave:
        """Take the word of a pilot; return what to answer."""
        return self._pilots.hear(here, now_s)

    def hear_probed(self, probed: Probed) -> None:
        """Take what a pilot has seen."""
        self._probes.hear(probed)

    def may_use(self, seat: Seat) -> bool:
        """Tell whether a holder may have a connection: its machine is not drained, and sees the same files."""
        is_held_back = self.is_drained(seat.node) or self._pilots.is_leaving(seat.pilot)
        return not is_held_back and self.sees_files(seat.pilot)

    def is_drained(self, node: str) -> bool:
        """Tell whether a person has drained a machine."""
        return node in self._drained

    def sees_files(self, pilot: str) -> bool:
        """Tell whether the machine of a pilot is known to see the same files."""
        return self._probes.is_passed(pilot)

    def why_unused(self, pilot: str) -> str | None:
        """Return why holders of a pilot get no connection; None: they do, or it is not measured yet."""
        node, sight = self.nodes[pilot], self._probes.sight(pilot)
        if self.is_drained(node):
            return f"{node} is drained; tell the batch system, too, or run `cdsed resume machine {node}`"
        return None if sight is None else sight.refused

    def may_grant(self, seat: Seat, now_s: float) -> bool:
        """Tell whether an idle holder may be given a session: it was also heard lately."""
        return self._is_fresh(seat, now_s) and self.may_use(seat)

    def count(self, seat: Seat, *, closed: bool) -> None:
        """Count the lease of a holder that ends now; `closed`: its connection is known to be closed."""
        lost = GrantLoss.HOLDER_DIED if seat.dead and not seat.gave_up else None
        if not closed or seat.killed:
            lost = GrantLoss.NO_ANSWER if closed else GrantLoss.SILENT
        self._tally.add(seat, lost)

    def look(self, seats: Iterable[Seat], now_s: float) -> None:
        """Forget pilots that are silent, begin the probes that are due, and tell what is known."""
        seats = list(seats)
        self._pilots.forget_silent(now_s)
        self._probes.look(self._pilots.nodes, [seat.pilot for seat in seats if seat.lease is not None], now_s)
        self._drained = self._tell(self.news(seats, now_s))

    def end(self) -> list[str]:
        """End all probes; return a line for each pilot, with what came over its connections."""
        self._probes.end()
        return self._tally.lines()

    def news(self, seats: Iterable[Seat], now_s: float) -> HeadNews:
        """Return what is known now."""
        nodes, refused, received = self._pilots.nodes, self._pilots.refused(), self._tally.received()
        workers, at_work, idle = Counter(nodes.values()), Counter[str](), Counter[str]()
        for seat in seats:
            if seat.lease is not None:
                at_work[seat.node] += 1
                received[seat.node] += seat.sent.delivered_bytes
            elif seat.is_idle and self._is_fresh(seat, now_s):
                idle[seat.node] += 1
        sights: dict[str, list[Visibility]] = {}
        for pilot, node in nodes.items():
            if (sight := self._probes.sight(pilot)) is not None:
                sights.setdefault(node, []).append(sight)
        machines = [
            _machine(
                MachineNow(node, workers[node], idle[node], at_work[node], refused=refused.get(node)),
                sights.get(node, []),
            )
            for node in sorted({*workers, *refused, *at_work})
        ]
        return HeadNews(self._pilots.problem(now_s), tuple(machines), received, self._tally.lost())

    def _send(self, pilot: str, message: DownMessage) -> None:
        with suppress(MachineError):  # it is lost, as any other may be
            self._link.send(pilot, [encode(message)])

    def _is_fresh(self, seat: Seat, now_s: float) -> bool:
        return seat.state.heard_s >= now_s - self._fresh_for_s


def _machine(now: MachineNow, sights: list[Visibility]) -> MachineNow:
    """Add what the probes of its pilots have measured; if one of them has failed, that is what to know."""
    refused = [each.refused for each in sights if each.refused is not None]
    return replace(
        now,
        worker_sees_s=max((each.pilot_sees_s for each in sights if each.pilot_sees_s is not None), default=None),
        daemon_sees_s=max((each.head_sees_s for each in sights if each.head_sees_s is not None), default=None),
        refused=now.refused or (refused[0] if refused else None),
    )
