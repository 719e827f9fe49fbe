"""Whether the head and a pilot see each other's files in time: measured when a pilot is new, and now and then.

The head writes a marker with a name that was never used, and the pilot reads it. The pilot writes another one, which
the head reads and renames. Holders of a pilot get no connection before that has succeeded.
"""

import math
import queue
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from cdsed.engine.visibility import SEEN_WITHIN_S, answer_of, marked, seen_after_s, write_marker
from cdsed.engine.wire import DownMessage, LookFor, MarkerSeen, Probed
from cdsed.frozen import frozen

_AGAIN_S, _SOON_AGAIN_S = 600.0, 60.0
_ANSWER_WITHIN_S = 30.0  # beyond the time for which a pilot looks
_ASK_EVERY_S = 10.0
_END_WITHIN_S = 2.0


@frozen
class Visibility:
    """What a probe has measured: delays in seconds, the longest of all directories, or why it failed."""

    pilot_sees_s: float | None = None
    head_sees_s: float | None = None
    refused: str | None = None


@frozen
class _Known:
    sight: Visibility
    measured_s: float
    whole: bool  # whether all directories could be written


class Probes:
    """The probes of all pilots, each in a thread of its own, as a directory may hang.

    Parameters
    ----------
    places
        The directories that both must see; without any, no pilot is probed.
    send
        Sends a message to a pilot.
    within_s
        What is not seen within so many seconds is refused.
    """

    def __init__(
        self, places: Sequence[Path], send: Callable[[str, DownMessage], object], within_s: float = SEEN_WITHIN_S
    ) -> None:
        self._places = places
        self._send = send
        self._within_s = within_s
        self._stop = threading.Event()
        self._running: dict[str, tuple[threading.Thread, queue.SimpleQueue[Probed]]] = {}
        self._begun_s: dict[str, float] = {}
        self._known: dict[str, _Known] = {}

    def is_passed(self, pilot: str) -> bool:
        """Tell whether holders of a pilot may have connections."""
        known = self._known.get(pilot)
        return not self._places or (known is not None and known.sight.refused is None)

    def sight(self, pilot: str) -> Visibility | None:
        """Return what was measured last; None: nothing yet."""
        known = self._known.get(pilot)
        return None if known is None else known.sight

    def look(self, pilots: dict[str, str], at_work: Iterable[str], now_s: float) -> None:
        """Begin the probes that are due, and forget pilots that are gone; call it about every second.

        Parameters
        ----------
        pilots
            The machine of each pilot.
        at_work
            The pilots that have connections: the others are not measured again.
        now_s
            Seconds since boot.
        """
        busy = set(at_work)
        for gone in self._known.keys() - pilots.keys():
            del self._known[gone]
        for pilot, (thread, _) in list(self._running.items()):
            if not thread.is_alive():
                del self._running[pilot], self._begun_s[pilot]
            elif now_s - self._begun_s[pilot] > self._within_s + 2 * _ANSWER_WITHIN_S:
                hung = Visibility(refused="a directory of the daemon hangs: see its disks")
                self._known[pilot] = _Known(hung, self._begun_s[pilot], whole=True)
        for pilot, node in pilots.items() if self._places else ():
            known = self._known.get(pilot)
            if pilot in self._running or (known is not None and now_s < self._due_s(known, busy=pilot in busy)):
                continue
            answers: queue.SimpleQueue[Probed] = queue.SimpleQueue()
            thread = threading.Thread(
                target=self._measure, args=(pilot, node, answers, now_s), name=f"probe of {node}", daemon=True
            )
            self._running[pilot], self._begun_s[pilot] = (thread, answers), now_s
            thread.start()

    def hear(self, probed: Probed) -> None:
        """Take the answer of a pilot."""
        running = self._running.get(probed.pilot)
        if running is not None:
            running[1].put(probed)

    def end(self) -> None:
        """Let all probes end, and remove their markers."""
        self._stop.set()
        for thread, answers in list(self._running.values()):
            answers.put(Probed("", "", ()))
            thread.join(_END_WITHIN_S)

    def _due_s(self, known: _Known, *, busy: bool) -> float:
        if known.sight.refused is not None:
            return known.measured_s + _SOON_AGAIN_S
        again_s = _AGAIN_S if known.whole else _SOON_AGAIN_S
        return known.measured_s + again_s if busy else math.inf

    def _measure(self, pilot: str, node: str, answers: "queue.SimpleQueue[Probed]", begun_s: float) -> None:
        with marked(self._places) as markers:
            seen = self._ask(pilot, markers, answers) if markers else ()
            if self._stop.is_set():
                return
            sight = self._sight(node, markers, seen)
        self._known[pilot] = _Known(sight, begun_s, len(markers) == len(self._places))

    def _ask(self, pilot: str, markers: list[Path], answers: "queue.SimpleQueue[Probed]") -> tuple[MarkerSeen, ...]:
        """Ask until there is an answer; messages may be lost. Without one the answer is empty."""
        probe = LookFor(pilot, markers[0].name, tuple(map(str, markers)), self._within_s)
        left_s = self._within_s + _ANSWER_WITHIN_S
        while left_s > 0 and not self._stop.is_set():
            self._send(pilot, probe)
            left_s -= _ASK_EVERY_S
            try:
                while (probed := answers.get(timeout=_ASK_EVERY_S)).name not in (probe.name, ""):
                    pass
            except queue.Empty:
                continue
            return probed.seen
        return ()

    def _sight(self, node: str, markers: list[Path], seen: tuple[MarkerSeen, ...]) -> Visibility:
        if len(seen) != len(markers):
            return Visibility(refused=f"the worker on {node} does not answer whether it sees the files of the daemon")
        for marker, each in zip(markers, seen, strict=True):
            if each.after_s is None:
                return Visibility(refused=self._not_seen(marker.parent, f"{node} does not see", "the daemon"))
            if each.problem:
                why = f"{node} cannot write to {marker.parent}: {each.problem}"
                return Visibility(refused=f"{why}; mount it there so that the user of the daemon may write")
        backs = seen_after_s([answer_of(marker) for marker in markers], self._within_s)
        longest_s = 0.0
        for marker, after_s in zip(markers, backs, strict=True):
            if after_s is None:
                return Visibility(refused=self._not_seen(marker.parent, "the daemon does not see", node))
            longest_s = max(longest_s, after_s)
            try:
                answer_of(marker).replace(marker)
            except OSError as error:
                why = f"the daemon cannot rename in {marker.parent} what {node} writes: {error.strerror}"
                return Visibility(refused=f"{why}; let the worker run as the same user")
        return Visibility(max((each.after_s or 0.0 for each in seen), default=None), longest_s if markers else None)

    def _not_seen(self, place: Path, who: str, of: str) -> str:
        return (
            f"{who} what {of} writes to {place} within {self._within_s:g} s: mount the same file system at this path "
            "on both, and let it keep attributes for a shorter time (of NFS: actimeo)"
        )


def answer(probe: LookFor) -> Probed:
    """Look for the markers of the head, on the machine of a pilot, and write others beside them."""
    markers = [Path(each) for each in probe.markers]
    seen = []
    for marker, after_s in zip(markers, seen_after_s(markers, probe.within_s), strict=True):
        problem = ""
        if after_s is not None:
            try:
                write_marker(answer_of(marker))
            except OSError as error:
                problem = error.strerror or type(error).__name__
        seen.append(MarkerSeen(after_s, problem))
    return Probed(probe.pilot, probe.name, tuple(seen))
