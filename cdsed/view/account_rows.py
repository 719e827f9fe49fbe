"""The rows of accounts on the status screen: sessions, requests of the minute, volume of 30 days, and their state."""

from cdsed.clock import iso
from cdsed.model.quota import Limit, ThrottleReason, spent_by_us
from cdsed.model.status_report import AccountStatus, DaemonState, StatusReport
from cdsed.view.fit import Block
from cdsed.view.marks import BUSY, OUT_OF_USE, WAITS, WARNS, bar, session_marks
from cdsed.view.table import Column, titled_table
from cdsed.view.terminal import Canvas, Colour, columns
from cdsed.view.wording import clock_time, number, plural, share, size, span
from cdsed.view.work_rows import bar_columns, marked

_NARROW_GAUGE_COLUMNS = 6
_WIDE_GAUGE_COLUMNS = 10
_HEADS = [
    Column(title="ACCOUNT", shrinks_to=14),
    Column(title="SESSIONS", rank=1),
    Column(title="MINUTE", rank=3, right=True),
    Column(title="30 DAYS", rank=5),
    Column(rank=4, right=True),
    Column(title="SHARED", rank=7),
    Column(title="KEY UNTIL", rank=6),
    Column(title="STATE", rank=2, shrinks_to=18),
]


def accounts(report: StatusReport, canvas: Canvas) -> Block:
    """Return the accounts, those that cannot be used first."""
    if not report.accounts:
        return Block("")
    running = report.daemon.state is DaemonState.RUNNING
    shown = sorted(report.accounts, key=_urgency)
    states = [_state(each, report) for each in shown]
    cells = [[*_cells(each, canvas, running=running), brief] for each, (brief, _) in zip(shown, states, strict=True)]
    title, lines = titled_table(canvas, _HEADS, cells)
    rows = []
    for account, line, (brief, full) in zip(shown, lines, states, strict=True):
        before = line.removesuffix(brief) if brief and line.endswith(brief) else f"{line}  "
        if not full or canvas.width is None or columns(before + full) <= canvas.width:
            rows.append([_painted(account, before + full if full else line, canvas, running=running)])
        else:
            rows.append([_painted(account, line, canvas, running=running), *canvas.wrap(full, "      ")])
    return Block(canvas.paint(title, Colour.TITLE), rows)


def _urgency(account: AccountStatus) -> tuple[bool, bool]:
    return account.error is None, account.throttle_reason is None and account.wait is None


def _cells(account: AccountStatus, canvas: Canvas, *, running: bool) -> list[str]:
    wide = bar_columns(canvas) > _WIDE_GAUGE_COLUMNS
    gauge_columns = _WIDE_GAUGE_COLUMNS if wide else _NARROW_GAUGE_COLUMNS
    requests = f"{number(account.requests_last_minute)}/{number(account.requests_per_minute)}"
    return [
        f"{account.group}/{account.name}",
        session_marks(account, running=running),
        requests if account.requests_per_minute else number(account.requests_last_minute),
        bar(min(account.volume_used_bytes, account.volume_bytes), account.volume_bytes, gauge_columns),
        share(account.volume_used_bytes, account.volume_bytes),
        ", ".join(account.shares),
        iso(account.key_expires_at)[:10] if account.key_expires_at else "",
    ]


def _state(account: AccountStatus, report: StatusReport) -> tuple[str, str]:
    """Return the state of an account in a few words, and the sentence that explains it if there is one."""
    if account.error:
        return account.error_code or "cannot be used", ""  # the alarm says why
    if account.throttle_reason:
        return f"{account.sessions_usable} of {len(account.sessions)} sessions", _throttle(account)
    if account.wait and _is_news(account, report):
        return _wait(account, report)
    if held := _held(account, report):
        return held, ""  # HELD BACK says by whom, and until when
    return "ok" if report.daemon.state is DaemonState.RUNNING else "", ""


def _wait(account: AccountStatus, report: StatusReport) -> tuple[str, str]:
    """Return until when an account waits, and for what; a reason that is shown further up is left out."""
    assert account.wait is not None, f"{account.name} does not wait"
    wait, now = account.wait, report.at
    reason = "" if wait.reason in (report.why_idle or "") else f"{wait.reason}; "
    if wait.limit is Limit.VOLUME and account.quota_free_at:
        free = account.quota_free_at
        then = f"free again from {iso(free.at)}, {size(free.size_bytes)} within a day of that"
        return f"frees {clock_time(free.at, now)}", f"{reason}{then}"
    brief = "waits" if wait.until_at is None else f"continues in {span(max(0.0, wait.until_at - now))}"
    return brief, f"{reason}{wait.end(now)}" if reason else ""


def _held(account: AccountStatus, report: StatusReport) -> str:
    """Return ``paused`` or ``draining`` if the account is; '' otherwise."""
    holds = {("all", ""), ("group", account.group), ("account", account.name)}
    if any((each.kind, each.name) in holds for each in report.pauses):
        return "paused"
    return "draining" if any(each.account in ("", account.name) for each in report.drains) else ""


def _is_news(account: AccountStatus, report: StatusReport) -> bool:
    """Tell whether the wait of an account says more than its marks and the text about its throttled sessions."""
    assert account.wait is not None, f"{account.name} does not wait"
    if account.wait.limit is Limit.PENALTY:
        return account.probe_in_s is not None
    return account.wait.limit is not Limit.CONNECTIONS or not report.moving


def _throttle(account: AccountStatus) -> str:
    """Return why an account is throttled, what you can do, and when its sessions grow again."""
    grows = "grows again with the next delivery"
    if account.grows_in_s is not None:
        grows = f"grows by one in {span(account.grows_in_s)}" if account.grows_in_s else "grows by one now"
    match account.throttle_reason:
        case ThrottleReason.PENALISED:
            ours = spent_by_us(account.volume_used_bytes, account.volume_bytes)
            advice = "" if ours else ": find out what else uses it"
            message = f"runs at about 1 MB/s, as if its volume were spent at CDSE{advice}"
            grows = f"looked at again in {span(account.grows_in_s or 0)}"
        case ThrottleReason.SHARED:
            message = "refused although it had fewer in use: something else seems to use it"
        case _:
            message = "throttled"
    return f"{account.sessions_usable} of {plural(len(account.sessions), 'session')}: {message}; {grows}"


def _painted(account: AccountStatus, line: str, canvas: Canvas, *, running: bool) -> str:
    """Return the line with the mark of its state before it; busy sessions are green."""
    if account.error:
        return marked(line, OUT_OF_USE, canvas, Colour.BAD)
    if account.throttle_reason:
        line = f"{WARNS}{line[1:]}"
    elif account.wait:
        line = f"{WAITS}{line[1:]}"
    marks = session_marks(account, running=running)
    coloured = "".join(canvas.paint(each, Colour.SUCCEEDED) if each == BUSY else each for each in marks)
    return line.replace(marks, coloured, 1)
