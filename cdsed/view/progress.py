"""The progress line of a run: progress, speed, and one mark per session of each account."""

from collections import deque

from cdsed.model.product_state import SUCCEEDED, TERMINAL, State
from cdsed.model.status_report import DaemonState, StatusReport
from cdsed.view.marks import bar, session_marks
from cdsed.view.terminal import Canvas
from cdsed.view.wording import number, rate, span

_SPEED_OVER_S = 10.0
_SPEED_AFTER_S = 2.0


class ProgressLine:
    """Turns each report into progress lines; the speed is the mean of the last ten seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def lines(self, report: StatusReport, canvas: Canvas) -> list[str]:
        """Return the progress of all products: two lines on a terminal, one elsewhere.

        Without a running daemon the sessions are left out.
        """
        counts = {state: tally.products for state, tally in report.products.items()}
        good, finished, total = _sum(counts, SUCCEEDED), _sum(counts, TERMINAL), sum(counts.values())
        speed = self._speed(report)
        eta = span(report.to_go_bytes / speed) if speed and report.to_go_bytes is not None else "-"
        items = [
            f"OK {number(good)}",
            f"ERR {number(finished - good)}",
            f"to go {number(total - finished)}",
            rate(speed),
            f"ETA {eta}",
        ]
        accounts = report.accounts if report.daemon.state is DaemonState.RUNNING else ()
        sessions = [f"{each.name}:[{session_marks(each, running=True)}]" for each in accounts]
        if canvas.width is None:
            return [canvas.marks("  ".join([*items, *sessions]))]
        lines = canvas.flow(bar(finished, total) if total else "", items)
        lines += canvas.flow("sessions", sessions) if sessions else []
        return [canvas.marks(line) for line in lines]

    def _speed(self, report: StatusReport) -> float:
        """Return bytes per second; 0 in the first seconds, which are too few for a mean."""
        fetched_bytes = report.used_bytes
        self._seen.append((report.at, fetched_bytes))
        while self._seen[-1][0] - self._seen[0][0] > _SPEED_OVER_S:
            self._seen.popleft()
        since, before_bytes = self._seen[0]
        if report.at - since < _SPEED_AFTER_S:
            return 0.0
        return max(0.0, (fetched_bytes - before_bytes) / (report.at - since))


def _sum(counts: dict[State, int], states: frozenset[State]) -> int:
    return sum(count for state, count in counts.items() if state in states)
