"""The rows of machines on the status screen: workers of Dask, their connections, what was lost, and their state."""

from cdsed.model.machine_status import GrantLoss, MachineStatus
from cdsed.model.status_report import DaemonState, StatusReport
from cdsed.view.fit import Block
from cdsed.view.marks import OUT_OF_USE, WARNS
from cdsed.view.table import Column, titled_table
from cdsed.view.terminal import Canvas, Colour
from cdsed.view.wording import clock_time, number, plural, rate, span
from cdsed.view.work_rows import marked

_DAY_S = 86_400.0
_HEADS = [
    Column(title="MACHINE", shrinks_to=12),
    Column(title="WORKERS", rank=4, right=True),
    Column(title="CONNECTIONS", rank=1),
    Column(title="RATE", rank=2, right=True),
    Column(title="FILE DELAY", rank=5, right=True),
    Column(title="LOST", rank=6, right=True),
    Column(title="STATE", rank=3, shrinks_to=10),
]
_LOST = {
    GrantLoss.HOLDER_DIED: "because a process died",
    GrantLoss.NO_ANSWER: "because a process did not answer",
    GrantLoss.SILENT: "because nothing was heard",
    GrantLoss.HEAD_DIED: "because the daemon's download process died",
}


def machines(report: StatusReport, canvas: Canvas) -> Block:
    """Return the machines, those with trouble first; without a running daemon, those that are drained."""
    running = report.daemon.state is DaemonState.RUNNING
    shown = sorted((each for each in report.machines if running or each.drain_at is not None), key=_urgency)
    if not shown:
        return Block("")
    title, lines = titled_table(canvas, _HEADS, [_cells(each, report) for each in shown])
    rows = []
    for each, line in zip(shown, lines, strict=True):
        painted = line
        if each.now.refused is not None:
            painted = marked(line, OUT_OF_USE, canvas, Colour.BAD)
        elif running and not each.now.workers:
            painted = marked(line, WARNS, canvas, Colour.CAREFUL)
        rows.append([painted, *(more for text in _news(each, report.at) for more in canvas.wrap(text, "      "))])
    return Block(canvas.paint(title, Colour.TITLE), rows)


def state(machine: MachineStatus, now: float) -> str:
    """Return the state of a machine in a few words."""
    if machine.drain_at is not None:
        return "draining" if machine.drained_at is None else "drained"
    if machine.now.refused is not None:
        return "refused"
    if not machine.now.workers:
        return f"no worker for {span(max(0.0, now - machine.heard_at))}"
    return "being checked" if machine.now.worker_sees_s is None and not machine.now.at_work else "ok"


def delay(machine: MachineStatus) -> str:
    """Return after what time files are seen, by its worker or the daemon, whichever is later."""
    seen = [each for each in (machine.now.worker_sees_s, machine.now.daemon_sees_s) if each is not None]
    return f"{max(seen):.1f} s" if seen else ""


def _urgency(machine: MachineStatus) -> tuple[bool, bool, str]:
    return machine.now.refused is None, machine.now.workers > 0, machine.now.name


def _cells(machine: MachineStatus, report: StatusReport) -> list[str]:
    now = machine.now
    lost = sum(each.grants for each in machine.lost)
    return [
        now.name,
        number(now.workers) if now.workers else "",
        f"{now.at_work} of {now.at_work + now.idle}" if now.workers else "",
        rate(machine.rate_bytes_per_s) if now.workers else "",
        delay(machine),
        number(lost) if lost else "",
        state(machine, report.at),
    ]


def _news(machine: MachineStatus, now: float) -> list[str]:
    """Return the connections that were lost within a day, and what waits for them."""
    texts = []
    for each in machine.lost:
        if (ago_s := max(0.0, now - each.last_at)) < _DAY_S:
            count = plural(each.grants, "connection")
            texts.append(f"{count} lost {_LOST[each.why]}, the last {span(ago_s)} ago")
    if machine.kept_until_at is not None:
        until = clock_time(machine.kept_until_at, now)
        sessions = plural(machine.kept_sessions, "session")
        texts.append(f"{sessions} not used until {until}, because lost connections may still be open")
    return texts
