"""The progress of a run: counts, speed, and one mark per session of each account, as values and as a line."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from cdsed.model.product_state import SUCCEEDED, TERMINAL, State
from cdsed.model.status_report import DaemonState, StatusReport
from cdsed.view.marks import bar, session_marks
from cdsed.view.terminal import Canvas
from cdsed.view.wording import number, rate, span

_SPEED_OVER_S = 10.0
_SPEED_AFTER_S = 2.0


@dataclass(frozen=True, slots=True)
class DownloadProgress:
    """How far a download is.

    Attributes
    ----------
    succeeded, failed, to_do
        Products that are on disk, that ended otherwise, and the others.
    rate_bytes_per_s
        Mean of the last ten seconds; 0 in the first two.
    eta_s
        Seconds until it is finished; None if not known.
    sessions
        For each account one mark per session: ``●`` is in use. Empty without a running daemon.
    """

    succeeded: int
    failed: int
    to_do: int
    rate_bytes_per_s: float
    eta_s: float | None
    sessions: Mapping[str, str]

    @property
    def finished(self) -> int:
        """The products that need nothing more."""
        return self.succeeded + self.failed

    @property
    def total(self) -> int:
        """All products."""
        return self.finished + self.to_do


class ProgressMeter:
    """Turns each report into values; the speed is the mean of the last ten seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def read(self, report: StatusReport) -> DownloadProgress:
        """Return the progress of all products of a report."""
        counts = {state: tally.products for state, tally in report.products.items()}
        good, finished, total = _sum(counts, SUCCEEDED), _sum(counts, TERMINAL), sum(counts.values())
        speed = self._speed(report)
        eta_s = report.to_go_bytes / speed if speed and report.to_go_bytes is not None else None
        accounts = report.accounts if report.daemon.state is DaemonState.RUNNING else ()
        sessions = {each.name: session_marks(each, running=True) for each in accounts}
        return DownloadProgress(good, finished - good, total - finished, speed, eta_s, sessions)

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


class ProgressLine:
    """Turns each report into progress lines."""

    def __init__(self) -> None:
        self._meter = ProgressMeter()

    def lines(self, report: StatusReport, canvas: Canvas) -> list[str]:
        """Return the progress of all products: two lines on a terminal, one elsewhere.

        Without a running daemon the sessions are left out.
        """
        seen = self._meter.read(report)
        items = [
            f"OK {number(seen.succeeded)}",
            f"ERR {number(seen.failed)}",
            f"to go {number(seen.to_do)}",
            rate(seen.rate_bytes_per_s),
            f"ETA {'-' if seen.eta_s is None else span(seen.eta_s)}",
        ]
        sessions = [f"{name}:[{marks}]" for name, marks in seen.sessions.items()]
        if canvas.width is None:
            return [canvas.marks("  ".join([*items, *sessions]))]
        lines = canvas.flow(bar(seen.finished, seen.total) if seen.total else "", items)
        lines += canvas.flow("sessions", sessions) if sessions else []
        return [canvas.marks(line) for line in lines]


def _sum(counts: dict[State, int], states: frozenset[State]) -> int:
    return sum(count for state, count in counts.items() if state in states)
