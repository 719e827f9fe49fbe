"""``cdsed status`` for people: one screen with what the daemon does and its progress."""

from cdsed.clock import iso
from cdsed.model.product_state import SUCCEEDED, TERMINAL, State
from cdsed.model.quota import Limit, ThrottleReason, spent_by_us
from cdsed.model.status_report import (
    AccountStatus,
    CrashingWorker,
    DaemonState,
    ListingStatus,
    SessionMark,
    StatusReport,
)
from cdsed.view.status_view import StatusView
from cdsed.view.table import Column, table
from cdsed.view.terminal import Canvas, Colour
from cdsed.view.wording import ago, number, plural, rate, size, span

_BAR_COLUMNS = 20
_MARKS = {SessionMark.BUSY: "●", SessionMark.FREE: "○"}
_NOT_NOW = "·"
_OUT_OF_USE = "✕"
_START = "start it with `cdsed run` or `systemctl start cdsed`"


def overview(view: StatusView, canvas: Canvas) -> list[str]:
    """Return the lines of the screen."""
    report = view.report
    lines = service(view, canvas)
    if report.quota_wait and not report.needs_account:
        lines += canvas.wrap(f"Waiting: {report.why_idle}")  # it ends without a person, so it is not painted
    elif report.why_idle:
        lines += [canvas.paint(line, Colour.CAREFUL) for line in canvas.wrap(f"Nothing moves: {report.why_idle}")]
    for notice in report.notices:
        message = canvas.wrap(f"{ago(notice.since_at, report.at)}: {notice.text}")
        lines += [canvas.paint(line, Colour.CAREFUL) for line in message]
    for section in (_listings, _products, _accounts, _speed, _open_breakers, _errors):
        lines += section(report, canvas)
    return [canvas.marks(line) for line in lines]


def service(view: StatusView, canvas: Canvas) -> list[str]:
    """Return the lines about the daemon itself."""
    daemon, now = view.report.daemon, view.report.at
    match daemon.state:
        case DaemonState.RUNNING if daemon.started_at is None:
            text, colour = "● The daemon has only just started", Colour.SUCCEEDED
        case DaemonState.RUNNING:
            text = f"● The daemon runs since {_when(daemon.started_at, now)}, pid {daemon.pid}, cdsed {daemon.version}"
            colour = Colour.SUCCEEDED
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
    lines = [canvas.paint(line, colour) for line in canvas.wrap(text)]
    for worker in view.report.crashing:
        lines += [canvas.paint(line, Colour.BAD) for line in canvas.wrap(_crashing(worker))]
    return lines


def _crashing(worker: CrashingWorker) -> str:
    runs = "it runs again now, perhaps not for long"
    then = runs if worker.next_start_in_s is None else f"next start in {span(worker.next_start_in_s)}"
    return (
        f"✕ {worker.name} crashes in a loop: {worker.crashes} times, it {worker.ending} last; {then}. The log says why"
    )


def _when(then: float | None, now: float) -> str:
    return "an unknown time" if then is None else ago(then, now)


def bar(finished: int, total: int) -> str:
    """Return a bar of how much of `total` is finished; it is full only when all is finished."""
    filled = _BAR_COLUMNS * finished // total if total else _BAR_COLUMNS
    return "█" * filled + "░" * (_BAR_COLUMNS - filled)


def by_state(counts: dict[State, int]) -> list[str]:
    """Return ``3 downloading``, ``40 done`` and so on, in the order in which a product passes its states."""
    return [f"{number(counts[state])} {state}" for state in State if counts.get(state)]


def session_marks(account: AccountStatus, *, running: bool) -> str:
    """Return one mark per session; without a running daemon all are out of use."""
    if not running:
        return _OUT_OF_USE * len(account.sessions)
    return "".join(
        _OUT_OF_USE if account.error and mark is not SessionMark.BUSY else _MARKS.get(mark, _NOT_NOW)
        for mark in account.sessions
    )


def _listings(report: StatusReport, canvas: Canvas) -> list[str]:
    heads = [
        Column(shrinks_to=16),
        Column(rank=3),
        Column(right=True),
        Column(rank=1),
        Column(rank=4),
        Column(rank=2),
    ]
    rows = [_listing(each) for each in report.listings]
    return [canvas.paint("Listings", Colour.TITLE), *table(canvas, heads, rows)] if rows else []


def _listing(listing: ListingStatus) -> list[str]:
    if listing.state == "taking":
        return [listing.name, "", "", "", listing.group, f"being taken, {plural(listing.lines, 'line')} so far"]
    return [
        listing.name,
        bar(listing.finished, listing.products) if listing.products else "",
        f"{number(listing.finished)}/{number(listing.products)}" if listing.products else "",
        plural(listing.failed_products, "failed product") if listing.failed_products else "",
        listing.group,
        listing.state,
    ]


def _products(report: StatusReport, canvas: Canvas) -> list[str]:
    items = [
        f"{number(tally.products)} {state}" + (f" ({size(tally.size_bytes)})" if tally.size_bytes else "")
        for state in State
        if (tally := report.products.get(state))
    ]
    return _titled(canvas, canvas.flow("Products", items)) if items else []


def _accounts(report: StatusReport, canvas: Canvas) -> list[str]:
    if not report.accounts:
        return []
    running = report.daemon.state is DaemonState.RUNNING
    heads = [Column(shrinks_to=12), Column(), Column(rank=1), Column(rank=2), Column(rank=3)]
    rows = [
        [
            f"{account.group}/{account.name}",
            session_marks(account, running=running),
            f"{size(account.volume_left_bytes)} of {size(account.volume_bytes)} {_left(account)}",
            f"{plural(account.requests_last_minute, 'request')} in a minute",
            f"key until {iso(account.key_expires_at)[:10]}" if account.key_expires_at else "",
        ]
        for account in report.accounts
    ]
    lines = [canvas.paint("Accounts", Colour.TITLE)]
    for account, line in zip(report.accounts, table(canvas, heads, rows), strict=True):
        lines.append(_coloured_marks(canvas, line))
        if account.error:
            message = _once(account.error, _again(account, running=running), report.why_idle)
            lines += [canvas.paint(each, Colour.BAD) for each in canvas.wrap(message, "      ")]
        elif account.wait and _is_news(account, report):
            lines += canvas.wrap(_once(account.wait.reason, _end(account, report.at), report.why_idle), "      ")
        if account.throttle_reason:
            lines += [canvas.paint(each, Colour.CAREFUL) for each in canvas.wrap(_throttle(account), "      ")]
    return lines


def _once(reason: str, then: str, shown: str | None) -> str:
    """Return the reason and what follows; leave out a long reason that is shown further up."""
    return "; ".join(part for part in ("" if reason in (shown or "") else reason, then) if part)


def _again(account: AccountStatus, *, running: bool) -> str:
    """Return when an account with an error can be used again, if that is known."""
    if running and account.probe_in_s is not None:
        return f"tried again {f'in {span(account.probe_in_s)}' if account.probe_in_s else 'with the next product'}"
    return ""


def _is_news(account: AccountStatus, report: StatusReport) -> bool:
    """Tell whether the wait of an account says more than its marks and the line about its throttled sessions."""
    assert account.wait is not None, f"{account.name} does not wait"
    if account.wait.limit is Limit.PENALTY:
        return account.probe_in_s is not None
    return account.wait.limit is not Limit.CONNECTIONS or not report.moving


def _end(account: AccountStatus, now: float) -> str:
    """Return when an account that waits for a quota continues."""
    assert account.wait is not None, f"{account.name} does not wait"
    if account.wait.limit is Limit.VOLUME and account.quota_free_at:
        free = account.quota_free_at
        return f"free again from {iso(free.at)}, {size(free.size_bytes)} within a day of that"
    return account.wait.end(now)


def _left(account: AccountStatus) -> str:
    return "left in its group" if Limit.VOLUME in account.shares else "left"


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


def _coloured_marks(canvas: Canvas, line: str) -> str:
    for mark, colour in (("●", Colour.SUCCEEDED), (_OUT_OF_USE, Colour.BAD)):
        line = line.replace(mark, canvas.paint(mark, colour))
    return line


def _speed(report: StatusReport, canvas: Canvas) -> list[str]:
    rates = report.rates
    items = [
        f"{rate(rates.over_1_min)} over 1 min",
        f"{rate(rates.over_10_min)} over 10 min",
        f"{rate(rates.over_60_min)} over 60 min",
    ]
    if any(tally.products for state, tally in report.products.items() if state not in TERMINAL):
        items.append(f"{size(report.to_go_bytes)} to go" if report.to_go_bytes is not None else "sizes not yet known")
        if report.eta_s is not None and report.daemon.state is DaemonState.RUNNING:
            why = ", by the 30-day volumes" if report.eta_by_volume else ""
            items.append(f"ready in {span(report.eta_s)}{why}")
    return _titled(canvas, canvas.flow("Speed", items)) if report.products else []


def _open_breakers(report: StatusReport, canvas: Canvas) -> list[str]:
    lines = []
    for each in report.open_breakers:
        message = _once(each.reason, f"tried again in {span(each.probe_in_s)}", report.why_idle)
        lines += canvas.wrap(f"{each.title}: {message}", "  ")
    return [canvas.paint("Backing off", Colour.TITLE), *lines] if lines else []


def _errors(report: StatusReport, canvas: Canvas) -> list[str]:
    if not report.errors:
        return []
    heads = [Column(right=True), Column(), Column(), Column(rank=1, shrinks_to=30)]
    rows = [[number(each.products), each.state, each.code, f"e.g. {each.example}"] for each in report.errors]
    lines = [canvas.paint("Last errors", Colour.TITLE)]
    shown = "\n".join([report.why_idle or "", *(each.reason for each in report.open_breakers)])
    for error, line in zip(report.errors, table(canvas, heads, rows), strict=True):
        bad = error.state in TERMINAL - SUCCEEDED
        lines.append(canvas.paint(line, Colour.BAD) if bad else line)
        due = "" if error.next_in_s is None else f"next in {span(error.next_in_s)}"
        lines += canvas.wrap(_once(error.cause, due, shown), "      ")
        shown += error.cause
    return lines


def _titled(canvas: Canvas, lines: list[str]) -> list[str]:
    title, rest = lines[0].split("  ", 1)
    return [f"{canvas.paint(title, Colour.TITLE)}  {rest}", *lines[1:]]
