"""``cdsed status --check``: one line for Icinga, Nagios and their like, with performance data.

The form is that of the Monitoring Plugins: https://www.monitoring-plugins.org/doc/guidelines.html
"""

from enum import IntEnum

from cdsed.frozen import frozen
from cdsed.model.alarm import Alarm, Severity, alarms, products_to_do
from cdsed.model.product_state import SUCCEEDED, TERMINAL, State
from cdsed.model.quota import Limit
from cdsed.model.status_report import DaemonState, SessionMark, StatusReport
from cdsed.view.overview import eta_of
from cdsed.view.status_view import StatusView
from cdsed.view.terminal import printable
from cdsed.view.wording import plural, rate


class CheckStatus(IntEnum):
    """The exit codes of a plugin."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


@frozen
class CheckResult:
    """What a plugin prints, and its exit code."""

    status: CheckStatus
    text: str


def check(view: StatusView) -> CheckResult:
    """Return OK, or WARNING or CRITICAL if an alarm needs a person, with the reasons and performance data."""
    report = view.report
    if report.daemon.state is DaemonState.NEVER:
        if view.ran_before:
            return CheckResult(CheckStatus.CRITICAL, f"CRITICAL - the state at {one_line(str(view.state_dir))} is gone")
        return unknown(f"no state at {view.state_dir}")
    found = alarms(report)
    status = CheckStatus.OK
    if found:
        urgent = any(alarm.severity is Severity.CRITICAL for alarm in found)
        status = CheckStatus.CRITICAL if urgent else CheckStatus.WARNING
    first, *rest = [*map(_reason, found), _work(report)] if found else [_work(report)]
    lines = [f"{status.name} - {one_line(first)} | {' '.join(_performance(report))}", *map(one_line, rest)]
    return CheckResult(status, "\n".join(lines))


def unknown(reason: str) -> CheckResult:
    """Return that the status cannot be read, and why."""
    return CheckResult(CheckStatus.UNKNOWN, f"UNKNOWN - {one_line(reason)}")


def _reason(alarm: Alarm) -> str:
    return f"{alarm.name}: {alarm.text}; {alarm.remedy}"


def _work(report: StatusReport) -> str:
    """Return how far the open listings are, and the rate."""
    listings = [each for each in report.listings if each.state == "open"]
    if not products_to_do(report):
        return "nothing to do"
    if not listings:
        return f"{plural(products_to_do(report), 'product')} to go, {_rate_text(report)}"
    finished, total = sum(each.finished for each in listings), sum(each.products for each in listings)
    return f"{finished}/{total}, {_rate_text(report)}"


def _rate_text(report: StatusReport) -> str:
    wait = report.quota_wait
    if wait is not None and not report.moving:
        return f"waits for a quota, {wait.end(report.at)}"
    return rate(report.rate_bytes_per_s)


def _performance(report: StatusReport) -> list[str]:
    """Return ``label=value[unit];warn;crit;min;max`` for each value; empty fields at the end are left out."""
    counts = {state: tally.products for state, tally in report.products.items()}
    failed = sum(count for state, count in counts.items() if state in TERMINAL - SUCCEEDED - {State.CANCELLED})
    marks = [mark for account in report.accounts for mark in account.sessions]
    busy = sum(1 for each in marks if each is SessionMark.BUSY) if report.daemon.state is DaemonState.RUNNING else 0
    data = [
        _datum("rate", f"{report.rate_bytes_per_s:.0f}B/s"),
        _datum("products_waiting", str(products_to_do(report))),
        _datum("products_finished", str(sum(counts.get(state, 0) for state in SUCCEEDED))),
        _datum("products_failed", str(failed)),
        _datum("sessions_busy", str(busy), "0", str(len(marks))),
        _datum("transfers", str(len(report.transfers))),
    ]
    if report.to_go_bytes is not None:
        data.append(_datum("to_go", f"{report.to_go_bytes:.0f}B"))
    if eta := eta_of(report):
        data.append(_datum("eta", f"{eta.seconds:.0f}s"))
    for each in report.accounts:
        if Limit.VOLUME not in each.shares:
            volume = f"{each.volume_used_bytes}B"
            data.append(_datum(f"volume {each.name}", volume, "0", str(each.volume_bytes)))
    data += [
        _datum(f"volume {pool.group}", f"{pool.volume_used_bytes or 0}B", "0", str(pool.volume_bytes))
        for pool in report.pools
        if pool.volume_bytes is not None
    ]
    data += [
        _datum(f"free {each.place}", f"{each.free_bytes}B", "0") for each in report.disks if each.free_bytes is not None
    ]
    return data


def _datum(label: str, value: str, least: str = "", most: str = "") -> str:
    """Return one value; a label may have no ``=``, and a quote in it is doubled."""
    label = printable(label).replace("=", "_").replace("|", "_")
    if not label.replace("_", "").isalnum() or not label.isascii():
        label = "'" + label.replace("'", "''") + "'"
    return f"{label}={value};;;{least};{most}".rstrip(";")


def one_line(text: str) -> str:
    """Return a line without what would begin the performance data or another line."""
    return printable(text).replace("|", "/")
