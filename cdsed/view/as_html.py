"""``cdsed.status()`` in a notebook: the same screen as HTML, without anything from elsewhere.

Colours are those of the text around it, with transparency, so that a dark notebook stays dark.
"""

from collections.abc import Iterable, Sequence
from html import escape

from cdsed.clock import iso
from cdsed.model.alarm import Severity, alarms, products_to_do
from cdsed.model.product_state import State
from cdsed.model.status_report import DaemonState, StatusReport
from cdsed.view.machine_rows import delay, state
from cdsed.view.marks import session_marks, sparkline
from cdsed.view.overview import eta_of, head
from cdsed.view.status_view import StatusView
from cdsed.view.terminal import Canvas
from cdsed.view.wording import number, rate, share, size, span
from cdsed.view.work_rows import ready

_ROWS = 20
_STYLE = (
    "<style>.cdsed{font-size:13px}.cdsed table{border-collapse:collapse;margin:.4em 0}"
    ".cdsed th{text-align:left;font-weight:600}.cdsed th,.cdsed td{padding:.15em .8em .15em 0;vertical-align:top}"
    ".cdsed .n{text-align:right;font-variant-numeric:tabular-nums}.cdsed p{margin:.2em 0}"
    ".cdsed .critical,.cdsed .warning{border-left:4px solid #c33;padding-left:.5em}"
    ".cdsed .warning{border-color:#c80}.cdsed .of{display:inline-block;width:8em;height:.7em;"
    "background:rgba(128,128,128,.3)}.cdsed .of>span{display:block;height:100%;background:#3a3}</style>"
)


def render(view: StatusView) -> str:
    """Return the status as HTML; all text is escaped."""
    report = view.report
    parts = [_STYLE, *(f"<p>{escape(line.strip())}</p>" for line in head(view, Canvas()))]
    for alarm in alarms(report):
        kind = "critical" if alarm.severity is Severity.CRITICAL else "warning"
        parts.append(f'<p class="{kind}">{escape(alarm.text)}<br><small>{escape(alarm.remedy)}</small></p>')
    parts += [_listings(report), _transfers(report), _accounts(report), _machines(report), _totals(report)]
    return f'<div class="cdsed">{"".join(parts)}</div>'


def _listings(report: StatusReport) -> str:
    rows = [
        [
            escape(each.name),
            _bar(each.finished, each.products),
            f"{number(each.finished)}/{number(each.products)}",
            escape("" if each.eta is None else ready(each.eta, report.at)),
            escape(each.group),
            f"{number(each.failed_products)} failed" if each.failed_products else escape(each.state),
        ]
        for each in report.listings
    ]
    return _table(["Listing", "", "Done", "Ready", "Group", ""], rows, right={2})


def _transfers(report: StatusReport) -> str:
    if report.daemon.state is not DaemonState.RUNNING:
        return ""
    rows = [
        [
            escape(each.safename),
            _bar(each.done_bytes, each.size_bytes),
            "" if each.rate_bytes_per_s is None else rate(each.rate_bytes_per_s),
            escape(f"{', '.join(each.accounts)} ×{each.sessions}"),
            span(max(0.0, report.at - each.since_at)),
        ]
        for each in report.transfers
    ]
    return _table(["In transfer", "", "Rate", "Sessions", "Since"], rows, right={2, 4})


def _accounts(report: StatusReport) -> str:
    running = report.daemon.state is DaemonState.RUNNING
    rows = [
        [
            escape(f"{each.group}/{each.name}"),
            session_marks(each, running=running),
            f"{number(each.requests_last_minute)}/{number(each.requests_per_minute)}",
            _bar(each.volume_used_bytes, each.volume_bytes),
            share(each.volume_used_bytes, each.volume_bytes),
            escape(each.error_code or "") if each.error else escape(each.wait.end(report.at)) if each.wait else "ok",
        ]
        for each in report.accounts
    ]
    return _table(["Account", "Sessions", "Minute", "30 days", "", "State"], rows, right={2, 4})


def _machines(report: StatusReport) -> str:
    rows = [
        [
            escape(each.now.name),
            number(each.now.workers),
            f"{each.now.at_work} of {each.now.at_work + each.now.idle}",
            rate(each.rate_bytes_per_s),
            delay(each),
            number(sum(lost.grants for lost in each.lost)),
            escape(state(each, report.at)),
        ]
        for each in report.machines
    ]
    heads = ["Machine", "Workers", "Connections", "Rate", "File delay", "Lost", "State"]
    return _table(heads, rows, right={1, 3, 4, 5})


def _totals(report: StatusReport) -> str:
    counts = ", ".join(
        f"{number(report.products[state].products)} {state}" for state in State if state in report.products
    )
    lines = [f"Products: {counts}"] if counts else []
    if report.rate_steps:
        lines.append(f"Rate of the last hour: {sparkline(report.rate_steps)} {rate(report.rate_bytes_per_s)}")
    if products_to_do(report) and report.to_go_bytes is not None and (eta := eta_of(report)):
        lines.append(f"{size(report.to_go_bytes)} to go, until {iso(report.at + eta.seconds)}")
    return "".join(f"<p>{escape(line)}</p>" for line in lines)


def _bar(finished: float, total: float) -> str:
    percent = min(100, int(100 * finished // total)) if total else 100
    return f'<span class="of" title="{percent} %"><span style="width:{percent}%"></span></span>'


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], right: Iterable[int]) -> str:
    """Return a table of cells that are HTML; nothing without rows."""
    if not rows:
        return ""

    def cells(tag: str, row: Sequence[str]) -> str:
        return "".join(f"<{tag}{' class=n' if index in right else ''}>{cell}</{tag}>" for index, cell in enumerate(row))

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows[:_ROWS])
    more = f"<tr><td>and {number(len(rows) - _ROWS)} more</td></tr>" if len(rows) > _ROWS else ""
    return f"<table><thead><tr>{cells('th', heads)}</tr></thead><tbody>{body}{more}</tbody></table>"
