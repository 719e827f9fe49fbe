"""The rows of listings, transfers, pauses, disks and errors on the status screen."""

from collections.abc import Sequence

from cdsed.model.operation import DiskStatus, Eta, EtaLimit, Transfer
from cdsed.model.product_state import FAILURES
from cdsed.model.status_report import DaemonState, ErrorGroup, ListingStatus, StatusReport
from cdsed.view.fit import Block
from cdsed.view.marks import OUT_OF_USE, WARNS, bar
from cdsed.view.table import Column, table, titled_table
from cdsed.view.terminal import Canvas, Colour
from cdsed.view.wording import clock_time, number, plural, rate, size, span

#: From this width on a terminal shows more.
WIDE_COLUMNS = 120
_SHORT_BAR_COLUMNS = 10
_LIMITS = {
    EtaLimit.BANDWIDTH: "",
    EtaLimit.REQUESTS: "requests",
    EtaLimit.VOLUME: "volume",
    EtaLimit.PAUSE: "pause",
}
_LISTING_HEADS = [
    Column(title="LISTING", shrinks_to=14),
    Column(title="DONE", rank=4),
    Column(right=True, rank=1),
    Column(title="READY", rank=3),
    Column(title="GROUP", rank=5, shrinks_to=7),
    Column(title="PRIO", rank=6, right=True),
    Column(title="NOTE", rank=2, shrinks_to=8),
]
_TRANSFER_HEADS = [
    Column(title="IN TRANSFER", shrinks_to=30),
    Column(title="DONE", rank=1, right=True),
    Column(title="OF", rank=5, right=True),
    Column(title="RATE", rank=2, right=True),
    Column(title="SESSIONS", rank=3, shrinks_to=8),
    Column(title="SINCE", rank=4, right=True),
]
_PAUSE_HEADS = [
    Column(title="HELD BACK", shrinks_to=16),
    Column(title="HOW", rank=1),
    Column(title="UNTIL", rank=2),
    Column(title="BY", rank=3),
    Column(title="SINCE", rank=4, right=True),
]
_DISK_HEADS = [
    Column(title="DISK", shrinks_to=16),
    Column(title="FREE", rank=1, right=True),
    Column(title="STATE", rank=2, shrinks_to=12),
]
_ERROR_HEADS = [Column(right=True), Column(rank=2), Column(rank=1), Column(rank=3, shrinks_to=20)]


def marked(line: str, mark: str, canvas: Canvas, colour: Colour) -> str:
    """Return a line of a table with a mark before it, both in a colour."""
    return canvas.paint(f"{mark}{line[1:]}", colour)


def block(canvas: Canvas, heads: Sequence[Column], cells: Sequence[Sequence[str]]) -> Block:
    """Return a table as a block, its rows without what explains them."""
    if not cells:
        return Block("")
    title, lines = titled_table(canvas, heads, cells)
    return Block(canvas.paint(title, Colour.TITLE), [[line] for line in lines])


def bar_columns(canvas: Canvas) -> int:
    """Return the width of a bar on this terminal."""
    return 20 if canvas.width is None or canvas.width >= WIDE_COLUMNS else _SHORT_BAR_COLUMNS


def listings(report: StatusReport, canvas: Canvas) -> Block:
    """Return the listings: those with failed products first, those with a report last."""
    shown = sorted(report.listings, key=_urgency)
    cells = [_listing(each, report, canvas) for each in shown]
    made = block(canvas, _LISTING_HEADS, cells)
    rows = [
        [marked(line, WARNS, canvas, Colour.CAREFUL) if each.failed_products and each.state == "open" else line]
        for each, [line] in zip(shown, made.rows, strict=True)
    ]
    return Block(made.title, rows)


def _urgency(listing: ListingStatus) -> tuple[bool, bool]:
    return listing.state == "reported", not listing.failed_products


def _listing(listing: ListingStatus, report: StatusReport, canvas: Canvas) -> list[str]:
    name, group, priority = listing.name, listing.group, number(listing.priority)
    if listing.state == "taking":
        return [name, "", "", "", group, priority, f"being taken, {plural(listing.lines, 'line')} so far"]
    notes = [f"{number(listing.failed_products)} failed"] if listing.failed_products else []
    notes += [listing.state] if listing.state != "open" else []
    return [
        name,
        bar(listing.finished, listing.products, bar_columns(canvas)) if listing.products else "",
        f"{number(listing.finished)}/{number(listing.products)}" if listing.products else "",
        _ready(listing, report),
        group,
        priority,
        ", ".join(notes),
    ]


def _ready(listing: ListingStatus, report: StatusReport) -> str:
    paused = [each for each in report.pauses if (each.kind, each.name) == ("listing", listing.name)]
    if paused and listing.state == "open":
        return "paused"
    if listing.eta is None or report.daemon.state is not DaemonState.RUNNING:
        return ""
    return ready(listing.eta, report.at)


def ready(eta: Eta, now: float) -> str:
    """Return when something is ready, and what decides it, in a few words."""
    when = clock_time(now + eta.seconds, now)
    limit = _LIMITS[eta.limit]
    return f"{'not before ' if eta.lower_bound else ''}{when}{f' ({limit})' if limit else ''}"


def transfers(report: StatusReport, canvas: Canvas) -> Block:
    """Return the products in transfer; empty without a running daemon."""
    if report.daemon.state is not DaemonState.RUNNING:
        return Block("")
    cells = [
        [
            each.safename,
            f"{100 * each.done_bytes // each.size_bytes} %" if each.size_bytes else "",
            size(each.size_bytes) if each.size_bytes else "",
            "" if each.rate_bytes_per_s is None else rate(each.rate_bytes_per_s),
            _sessions(each),
            span(max(0.0, report.at - each.since_at)),
        ]
        for each in report.transfers
    ]
    return block(canvas, _TRANSFER_HEADS, cells)


def _sessions(transfer: Transfer) -> str:
    if not transfer.accounts:
        return ""
    others = len(transfer.accounts) - 1
    return f"{transfer.accounts[0]}{f' +{others}' if others else ''} ×{transfer.sessions}"


def held_back(report: StatusReport, canvas: Canvas) -> Block:
    """Return what is paused or drained, and the limits of bandwidth."""

    def until(at: float | None) -> str:
        return "" if at is None else clock_time(at, report.at)

    def what(kind: str, name: str) -> str:
        return f"{kind} {name}".strip() if kind != "all" else "all products"

    cells = [
        [
            what(each.kind, each.name),
            "paused",
            until(each.until_at) or "`cdsed resume`",
            "you" if each.source == "person" else each.source,
            span(max(0.0, report.at - each.since_at)),
        ]
        for each in report.pauses
    ]
    cells += [
        [
            f"account {each.account}" if each.account else "the daemon",
            "draining" if each.done_at is None else "drained",
            "`cdsed resume`",
            "you",
            span(max(0.0, report.at - each.since_at)),
        ]
        for each in report.drains
    ]
    cells += [
        [
            f"machine {each.now.name}",
            "draining" if each.drained_at is None else "drained",
            f"`cdsed resume machine {each.now.name}`",
            "you",
            span(max(0.0, report.at - each.drain_at)),
        ]
        for each in report.machines
        if each.drain_at is not None
    ]
    cells += [
        [what(each.kind, each.name), rate(each.bytes_per_s), until(each.until_at), "settings", ""]
        for each in report.bandwidth_limits
    ]
    return block(canvas, _PAUSE_HEADS, cells)


def disks(report: StatusReport, canvas: Canvas) -> Block:
    """Return the disks, those that cannot be used first."""
    shown = sorted(report.disks, key=lambda each: each.error is None)
    made = block(canvas, _DISK_HEADS, [_disk(each) for each in shown])
    rows = [
        [marked(line, OUT_OF_USE, canvas, Colour.BAD) if each.error else line]
        for each, [line] in zip(shown, made.rows, strict=True)
    ]
    return Block(made.title, rows)


def _disk(disk: DiskStatus) -> list[str]:
    free = "" if disk.free_bytes is None else size(disk.free_bytes)
    return [disk.place, free, disk.error or "ok"]


def errors(report: StatusReport, canvas: Canvas, shown: str) -> Block:
    """Return the last errors by class; a cause that is in the text shown further up is left out."""
    if not report.errors:
        return Block("")
    cells = [[number(each.products), each.state, each.code, f"e.g. {each.example}"] for each in report.errors]
    lines = table(canvas, _ERROR_HEADS, cells)
    bad = [each for each in report.errors if each.state in FAILURES]
    hint = "  what to do: `cdsed status --failed`" if bad else ""
    rows = []
    for error, line in zip(report.errors, lines, strict=True):
        painted = marked(line, OUT_OF_USE, canvas, Colour.BAD) if error in bad else line
        rows.append([painted, *canvas.wrap(_cause(error, shown), "      ")])
        shown += error.cause
    return Block(canvas.paint(canvas.clip(f"LAST ERRORS{hint}"), Colour.TITLE), rows)


def _cause(error: ErrorGroup, shown: str) -> str:
    due = "" if error.next_in_s is None else f"next in {span(error.next_in_s)}"
    return "; ".join(part for part in ("" if error.cause in shown else error.cause, due) if part)
