"""``cdsed status`` for people: one screen with what the daemon does and its progress, the worst first."""

from cdsed.model.alarm import Alarm, Severity, alarms, products_to_do
from cdsed.model.operation import Eta, EtaLimit
from cdsed.model.product_state import State
from cdsed.model.status_report import DaemonState, SessionMark, StatusReport
from cdsed.view.account_rows import accounts
from cdsed.view.fit import Block, fit
from cdsed.view.machine_rows import machines
from cdsed.view.marks import BUSY, OUT_OF_USE, WAITS, WARNS, sparkline
from cdsed.view.status_view import StatusView
from cdsed.view.terminal import Canvas, Colour, columns
from cdsed.view.wording import ago, clock_time, number, plural, rate, size, span
from cdsed.view.work_rows import WIDE_COLUMNS, disks, errors, held_back, listings, transfers

_START = "start it with `cdsed run` or `systemctl start cdsed`"
_SHELL_LINES = 1  # for the prompt below the screen
_FEW_ALARMS = 4
_GOOD = Colour.SUCCEEDED
_BY = {
    EtaLimit.BANDWIDTH: "",
    EtaLimit.REQUESTS: ", by the requests of the minute",
    EtaLimit.VOLUME: ", by the 30-day volumes",
    EtaLimit.PAUSE: ", by a pause",
}
#: Alarms that another line of the screen shows.
_SHOWN_ELSEWHERE = frozenset({"daemon_died", "daemon_stopped", "quota_spent", "failed_products", "penalised"})


def overview(view: StatusView, canvas: Canvas, reserved_lines: int = _SHELL_LINES) -> list[str]:
    """Return the lines of the screen; on a terminal they fit its height without the reserved lines."""
    report = view.report
    found = alarms(report)
    shown = "\n".join([report.why_idle or "", *(alarm.text for alarm in found)])
    blocks = [
        _unit(head(view, canvas), urgent=True),
        _alarms(report, found, canvas),
        listings(report, canvas),
        transfers(report, canvas),
        accounts(report, canvas),
        machines(report, canvas),
        held_back(report, canvas),
        disks(report, canvas),
        errors(report, canvas, shown),
        _totals(report, canvas),
    ]
    blocks = [each for each in blocks if each.rows or each.title]
    height = None if canvas.height is None else max(4, canvas.height - reserved_lines)
    return [canvas.marks(line) for line in fit(blocks, height)]


def head(view: StatusView, canvas: Canvas) -> list[str]:
    """Return the lines about the daemon, when the work is ready, and why nothing moves if nothing moves."""
    report = view.report
    lines = service(view, canvas)
    if report.daemon.state is DaemonState.RUNNING:
        lines += _prospect(report, canvas)
    why = report.why_idle and _without_details(report)
    if not why:
        return lines
    if not products_to_do(report):
        return [*lines, *_hanging(canvas, f"  Nothing to do: {why}")]
    if report.quota_wait and not report.needs_account:
        return [*lines, *_hanging(canvas, f"{WAITS} Waiting: {why}")]  # it ends without a person: not painted
    if _held_back(report) and not any(alarm.severity is Severity.CRITICAL for alarm in alarms(report)):
        return [*lines, *_hanging(canvas, f"{WAITS} Nothing moves: {why}")]
    return [*lines, *(canvas.paint(line, Colour.CAREFUL) for line in _hanging(canvas, f"{WARNS} Nothing moves: {why}"))]


def _held_back(report: StatusReport) -> bool:
    return bool(report.pauses or report.drains) or any(each.drain_at is not None for each in report.machines)


def _hanging(canvas: Canvas, text: str) -> list[str]:
    return canvas.wrap(text, hanging="  ")


def service(view: StatusView, canvas: Canvas) -> list[str]:
    """Return the lines about the daemon itself."""
    daemon, now = view.report.daemon, view.report.at
    match daemon.state:
        case DaemonState.RUNNING if daemon.started_at is None:
            text, colour = f"{BUSY} The daemon has only just started", _GOOD
        case DaemonState.RUNNING:
            return _running(view.report, canvas)
        case DaemonState.STOPPED:
            text = f"○ The daemon is stopped since {_when(daemon.stopped_at, now)}; {_START}"
            colour = Colour.CAREFUL
        case DaemonState.DIED:
            heard = _when(view.last_heard_at, now)
            text = f"✕ The daemon died; pid {daemon.pid} was last heard of {heard}. Look into its log, then {_START}"
            colour = Colour.BAD
        case DaemonState.NEVER if view.ran_before:
            text = f"✕ The state at {view.state_dir} is gone. To have it made again from what is left of it, {_START}"
            colour = Colour.BAD
        case DaemonState.NEVER:
            text = f"✕ No state at {view.state_dir}: has the daemon ever run? To begin, {_START}"
            colour = Colour.BAD
    return [canvas.paint(line, colour) for line in _hanging(canvas, text)]


def _running(report: StatusReport, canvas: Canvas) -> list[str]:
    daemon = report.daemon
    text, mark, colour = f"running for {span(max(0.0, report.at - (daemon.started_at or report.at)))}", BUSY, _GOOD
    if report.stalled_for_s is not None:
        text, mark, colour = f"stalled for {span(report.stalled_for_s)}", OUT_OF_USE, Colour.BAD
    elif any(each.kind == "all" for each in report.pauses):
        text, mark, colour = f"paused, {text}", WAITS, Colour.FAINT
    left = f"{mark} cdsed {daemon.version} {text}, pid {daemon.pid}"
    sessions = [mark for account in report.accounts for mark in account.sessions]
    busy = sum(1 for each in sessions if each is SessionMark.BUSY)
    right = f"{rate(report.rate_bytes_per_s)}  {busy} of {plural(len(sessions), 'session')}"
    gap = 2 if canvas.width is None else canvas.width - columns(left) - columns(right)
    if gap < 2:
        return [*(canvas.paint(line, colour) for line in _hanging(canvas, left)), canvas.clip(f"  {right}")]
    return [f"{canvas.paint(left, colour)}{' ' * gap}{right}"]


def eta_of(report: StatusReport) -> Eta | None:
    """Return when the known work is ready; None if that is unknown, or no daemon runs."""
    return report.eta if report.daemon.state is DaemonState.RUNNING and products_to_do(report) else None


def _prospect(report: StatusReport, canvas: Canvas) -> list[str]:
    """Return when the work is ready, how much is left, what was published last, and what has waited longest."""
    items = []
    if eta := eta_of(report):
        when, by = clock_time(report.at + eta.seconds, report.at), _BY[eta.limit]
        bound = f"not ready before {when} (in {span(eta.seconds)}){by}"
        items.append(bound if eta.lower_bound else f"ready in {span(eta.seconds)} ({when}){by}")
    if products_to_do(report):
        items.append(f"{size(report.to_go_bytes)} to go" if report.to_go_bytes is not None else "sizes not yet known")
    named = canvas.width is None or canvas.width >= WIDE_COLUMNS
    if last := report.last_published:
        items.append(f"last published {span(max(0.0, report.at - last.at))} ago{f': {last.safename}' if named else ''}")
    if oldest := report.oldest_waiting:
        items.append(f"oldest waits {span(max(0.0, report.at - oldest.at))}{f': {oldest.safename}' if named else ''}")
    return [canvas.clip(line) for line in canvas.flow("", items) if line] if items else []


def _without_details(report: StatusReport) -> str:
    """Return why nothing moves, without the reasons that alarms below it give in full."""
    why = report.why_idle or ""
    for reason in [each.error for each in report.accounts] + [each.reason for each in report.open_breakers]:
        why = why.replace(f": {reason}", "") if reason else why
    return why


def _alarms(report: StatusReport, found: tuple[Alarm, ...], canvas: Canvas) -> Block:
    """Return what needs you, each with what you do, and below it what else is tried again later."""
    shown = [alarm for alarm in found if alarm.name not in _SHOWN_ELSEWHERE]
    lines_max = _FEW_ALARMS - len(shown) if len(shown) < _FEW_ALARMS - 1 else 1
    rows, brief_rows = [], []
    for alarm in shown:
        critical = alarm.severity is Severity.CRITICAL
        mark, colour = (OUT_OF_USE, Colour.BAD) if critical else (WARNS, Colour.CAREFUL)
        text = _hanging(canvas, f"{mark} {alarm.text}")
        rows.append([canvas.paint(line, colour) for line in text] + canvas.wrap(alarm.remedy, "    "))
        if canvas.width is not None and len(text) > lines_max:
            rest = " ".join(line.strip() for line in text[lines_max - 1 :])
            text = [*text[: lines_max - 1], canvas.clip(f"{'  ' if lines_max > 1 else ''}{rest}")]
        brief_rows.append([canvas.paint(line, colour) for line in text])
    texts = "\n".join(alarm.text for alarm in found)
    for each in report.open_breakers:
        if each.reason not in texts:
            rows.append(
                _hanging(canvas, f"{WAITS} {each.title}: {each.reason}; tried again in {span(each.probe_in_s)}")
            )
            brief_rows.append(rows[-1][:1])
    return Block("", rows, brief_rows, urgent=True)


def _totals(report: StatusReport, canvas: Canvas) -> Block:
    """Return the products by state and the rates."""
    items = [
        f"{number(tally.products)} {state}" + (f" ({size(tally.size_bytes)})" if tally.size_bytes else "")
        for state in State
        if (tally := report.products.get(state))
    ]
    if not items:
        return Block("")
    line = sparkline(report.rate_steps)
    rates = {1: report.rates.over_1_min, 10: report.rates.over_10_min, 60: report.rates.over_60_min}
    means = [f"{minutes} min {rate(mean)}" for minutes, mean in rates.items()]
    return _unit([*_titled(canvas, "PRODUCTS", items), *_titled(canvas, "RATE", [line, *means] if line else means)])


def _titled(canvas: Canvas, title: str, items: list[str]) -> list[str]:
    first, *rest = map(canvas.clip, canvas.flow(title, items))
    return [f"{canvas.paint(title, Colour.TITLE)}{first[len(title) :]}", *rest]


def _unit(lines: list[str], *, urgent: bool = False) -> Block:
    """Return lines that are shown all or not at all."""
    return Block("", [lines] if lines else [], [lines], urgent=urgent)


def _when(then: float | None, now: float) -> str:
    return "an unknown time" if then is None else ago(then, now)
