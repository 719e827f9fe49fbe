"""The head and a pilot see each other's files in time, or the pilot gets no connection, and the user reads why."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cdsed.engine.probes import Probes, answer
from cdsed.engine.visibility import answer_of, marked, seen_after_s, write_marker
from cdsed.engine.wire import DownMessage, LookFor, MarkerSeen, Probed
from tests.support.daemon import wait_until

_NODES = {"p1": "node7"}


class _Pilot:
    """Answers probes in a thread, as a pilot does; `sees` changes what it answers."""

    def __init__(self, places: list[Path], within_s: float, sees: Callable[[LookFor], Probed | None] = answer) -> None:
        self.sees = sees
        self.asked: list[LookFor] = []
        self._others = set(threading.enumerate())  # a probe of another test may still wait
        self.probes = Probes(places, self._send, within_s)

    def _send(self, pilot: str, message: DownMessage) -> None:
        assert pilot == "p1"
        assert isinstance(message, LookFor)
        self.asked.append(message)
        threading.Thread(target=self._answer, args=(message,), daemon=True).start()

    def _answer(self, probe: LookFor) -> None:
        if (probed := self.sees(probe)) is not None:
            self.probes.hear(probed)

    def look(self, now_s: float, *, busy: bool = False) -> None:
        self.probes.look(_NODES, ["p1"] if busy else [], now_s)

    def measured(self, count: int = 1) -> None:
        wait_until(f"{count} probes have ended", lambda: len(self.asked) >= count and self._ended())

    def _ended(self) -> bool:
        ours = set(threading.enumerate()) - self._others
        return self.probes.sight("p1") is not None and not any(each.name == "probe of node7" for each in ours)


def _unseen(probe: LookFor) -> Probed:
    return Probed(probe.pilot, probe.name, tuple(MarkerSeen(None, "") for _ in probe.markers))


def _silent_writer(probe: LookFor) -> Probed:
    return Probed(probe.pilot, probe.name, tuple(MarkerSeen(0.1, "") for _ in probe.markers))


def _unable_to_write(probe: LookFor) -> Probed:
    return Probed(probe.pilot, probe.name, tuple(MarkerSeen(0.1, "Read-only file system") for _ in probe.markers))


def test_a_pilot_that_sees_the_files_of_the_head_may_be_used_and_the_delays_are_known(tmp_path: Path) -> None:
    places = [tmp_path / "a" / ".cdsed", tmp_path / "b" / ".cdsed"]
    for place in places:
        place.parent.mkdir()
    pilot = _Pilot(places, 50.0)
    assert not pilot.probes.is_passed("p1")
    pilot.look(0.0)
    pilot.measured()
    assert pilot.probes.is_passed("p1")
    sight = pilot.probes.sight("p1")
    assert sight is not None
    assert sight.refused is None
    assert all(seen_s is not None and 0 <= seen_s < 50 for seen_s in (sight.pilot_sees_s, sight.head_sees_s))
    assert [list(place.iterdir()) for place in places] == [[], []]


def test_a_file_that_comes_late_is_waited_for(tmp_path: Path) -> None:
    def late(probe: LookFor) -> Probed:
        said = _silent_writer(probe)
        threading.Timer(0.4, lambda: [write_marker(answer_of(Path(each))) for each in probe.markers]).start()
        return said

    pilot = _Pilot([tmp_path], 30.0, late)
    pilot.look(0.0)
    pilot.measured()
    sight = pilot.probes.sight("p1")
    assert sight is not None
    assert sight.head_sees_s is not None
    assert sight.head_sees_s > 0.2
    assert pilot.probes.is_passed("p1")


@pytest.mark.parametrize(
    ("sees", "why"),
    [
        (_unseen, "node7 does not see what the daemon writes to {} within 0.2 s: mount the same file system"),
        (_silent_writer, "the daemon does not see what node7 writes to {} within 0.2 s: mount the same file system"),
        (_unable_to_write, "node7 cannot write to {}: Read-only file system; mount it there"),
    ],
    ids=["not seen there", "not seen here", "not written"],
)
def test_a_pilot_that_does_not_is_refused_with_the_directory_and_what_to_do(
    tmp_path: Path, sees: Callable[[LookFor], Probed], why: str
) -> None:
    pilot = _Pilot([tmp_path], 0.2, sees)
    pilot.look(0.0)
    pilot.measured()
    sight = pilot.probes.sight("p1")
    assert sight is not None
    assert str(sight.refused).startswith(why.format(tmp_path))
    assert not pilot.probes.is_passed("p1")
    assert list(tmp_path.iterdir()) == []


def test_a_refused_pilot_is_looked_at_again_and_one_that_works_now_and_then(tmp_path: Path) -> None:
    pilot = _Pilot([tmp_path], 0.2, _unseen)
    pilot.look(0.0)
    pilot.measured()
    pilot.look(59.0)
    assert len(pilot.asked) == 1
    pilot.sees = answer
    pilot.look(61.0)
    pilot.measured(2)
    assert pilot.probes.is_passed("p1")
    pilot.look(10_000.0)  # it is idle: nothing is written
    pilot.look(660.0, busy=True)
    assert len(pilot.asked) == 2
    pilot.look(662.0, busy=True)
    pilot.measured(3)


def test_a_pilot_that_is_gone_is_probed_again_when_it_comes_back(tmp_path: Path) -> None:
    pilot = _Pilot([tmp_path], 5.0)
    pilot.look(0.0)
    pilot.measured()
    pilot.probes.look({}, [], 1.0)
    assert not pilot.probes.is_passed("p1")


def test_a_directory_that_the_head_cannot_write_is_not_the_fault_of_the_pilot(tmp_path: Path) -> None:
    pilot = _Pilot([tmp_path / "missing" / ".cdsed"], 0.2, _unseen)
    pilot.look(0.0)
    wait_until("the probe has ended", lambda: pilot.probes.is_passed("p1"))
    assert pilot.asked == []


def test_the_end_leaves_no_marker(tmp_path: Path) -> None:
    pilot = _Pilot([tmp_path], 30.0, lambda _: None)
    pilot.look(0.0)
    wait_until("it is asked", lambda: pilot.asked)
    assert len(list(tmp_path.iterdir())) == 1
    pilot.probes.end()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_has_left_is_removed(tmp_path: Path) -> None:
    old, new, other = tmp_path / ".check-old", tmp_path / ".check-new", tmp_path / "S1A.SAFE"
    for path in (old, new, other):
        path.write_text("x", encoding="ascii")
    hours_ago = time.time() - 7200
    os.utime(old, (hours_ago, hours_ago))
    os.utime(other, (hours_ago, hours_ago))
    with marked([tmp_path]) as [marker]:
        assert seen_after_s([marker, new], 0.0)[1] is None  # its content is another one
    assert sorted(tmp_path.iterdir()) == [new, other]
