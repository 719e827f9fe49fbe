"""A link that outlives its carriers: what is wrong with them is said, and never raised."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from cdsed.engine.lasting_link import LastingLink
from cdsed.errors import MachineError


@dataclass
class _Carrier:
    """A carrier that can break."""

    broken: bool = False
    sent: list[str] = field(default_factory=list)
    closed: bool = False

    def tend(self) -> None:
        if self.broken:
            raise MachineError("it is gone", code="Engine")

    def receive(self, timeout_s: float) -> Sequence[str]:  # noqa: ARG002
        self.tend()
        return ["line"]

    def send(self, pilot: str, lines: Sequence[str]) -> None:  # noqa: ARG002
        self.tend()
        self.sent += lines

    def close(self) -> None:
        self.closed = True


@dataclass
class _Maker:
    """Makes carriers, unless there are none to be had."""

    down: bool = False
    made: list[_Carrier] = field(default_factory=list)

    def __call__(self) -> _Carrier:
        if self.down:
            raise MachineError("no scheduler", code="Engine")
        self.made.append(_Carrier())
        return self.made[-1]


def test_a_carrier_that_is_not_there_is_no_error_and_has_a_reason() -> None:
    maker = _Maker(down=True)
    link = LastingLink(maker, again_every_s=0)
    link.tend()
    assert link.problem == "no scheduler; it is tried again, and nothing is fetched meanwhile"
    link.send("pilot", ["lost"])
    assert link.receive(0) == ()
    maker.down = False
    link.tend()
    assert link.problem is None
    link.send("pilot", ["carried"])
    assert [each.sent for each in maker.made] == [["carried"]]


def test_a_carrier_that_breaks_is_closed_and_replaced_by_the_next() -> None:
    maker = _Maker()
    link = LastingLink(maker, again_every_s=0)
    link.tend()
    assert link.receive(0) == ["line"]
    maker.made[0].broken = True
    link.send("pilot", ["lost"])
    assert link.problem is not None
    assert link.receive(0) == ()
    link.tend()
    assert link.problem is None
    assert link.receive(0) == ["line"]
    link.close()
    assert [len(maker.made), maker.made[1].closed] == [2, True]


def test_it_waits_between_two_tries() -> None:
    maker = _Maker(down=True)
    link = LastingLink(maker, again_every_s=1000)
    link.tend()
    maker.down = False
    link.tend()
    assert maker.made == []
