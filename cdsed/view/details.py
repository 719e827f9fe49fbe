"""``cdsed status LISTING`` and ``cdsed status PRODUCT`` for people."""

from cdsed.clock import iso
from cdsed.model.choice import Choice
from cdsed.model.listing import LineVerdict
from cdsed.model.product_state import TERMINAL, Product, State
from cdsed.model.status_report import DaemonState, Event, ObjectProgress
from cdsed.view.marks import bar, by_state
from cdsed.view.overview import service
from cdsed.view.status_view import ListingDetails, ProductDetails, StatusView
from cdsed.view.table import Column, table
from cdsed.view.terminal import Canvas, Colour
from cdsed.view.wording import ago, number, plural, size, span

_TITLE_COLUMNS = 10
_STATE_COLUMNS = max(map(len, State))
_LASTED_COLUMNS = 14
_TIMELINE_COLUMNS = 12
_VERDICTS = {
    LineVerdict.ACCEPTED: "accepted",
    LineVerdict.DUPLICATE: "named twice",
    LineVerdict.KNOWN: "already known",
    LineVerdict.ALREADY_PRESENT: "already on disk",
    LineVerdict.REJECTED: "rejected",
    LineVerdict.IGNORED: "blank, comment or header",
}


def details(view: StatusView, about: ListingDetails | ProductDetails, canvas: Canvas) -> list[str]:
    """Return the lines about one listing or product; if the daemon does not run, they begin with that."""
    lines = (
        _listing(view, about, canvas) if isinstance(about, ListingDetails) else _product(about, view.report.at, canvas)
    )
    if view.report.daemon.state is not DaemonState.RUNNING:
        lines = service(view, canvas) + lines
    return [canvas.marks(line) for line in lines]


def _listing(view: StatusView, about: ListingDetails, canvas: Canvas) -> list[str]:
    head, counts, progress = about.listing.head, about.listing.counts, about.progress
    sums = [
        f"{number(count)} {_VERDICTS[verdict]}" for verdict in LineVerdict if (count := getattr(counts, verdict.value))
    ]
    lines = [canvas.paint(line, Colour.TITLE) for line in canvas.wrap(f"Listing {head.name}: {about.listing.state}")]
    lines += _entry(canvas, "taken", [ago(head.taken_at, view.report.at), f"dropped by {head.user or 'unknown user'}"])
    lines += _entry(
        canvas, "request", [f"group {head.group}", f"priority {head.priority}", f"into {_into(head.outputdir)}"]
    )
    if head.layout or head.choice:
        lines += _entry(canvas, "files", [f"layout {head.layout}" if head.layout else "", _only(head.choice)])
    lines += _entry(canvas, "lines", [f"{number(counts.lines)}:", *sums])
    finished = f"{number(progress.finished)}/{number(progress.products)} finished"
    shown = [bar(progress.finished, progress.products), finished, *by_state(progress.by_state)]
    if not progress.products and counts.lines > counts.rejected + counts.ignored and about.listing.state == "reported":
        shown = ["counted in a later listing, which has the same content"]
    lines += _entry(canvas, "products", shown)
    for kind, path in about.report_files.items():
        lines += _entry(canvas, kind, [str(path)])
    return lines + _failed_products(about, canvas)


def _failed_products(about: ListingDetails, canvas: Canvas) -> list[str]:
    if not about.failed_products:
        return []
    heads = [Column(rank=1, right=True), Column(), Column(shrinks_to=30), Column(rank=2)]
    rows = [
        [
            f"line {number(abs(row.line))}",
            row.state,
            row.safename,
            plural(row.attempts, "attempt") if row.attempts else "",
        ]
        for row in about.failed_products
    ]
    lines = [canvas.paint("Not on disk", Colour.TITLE)]
    for row, line in zip(about.failed_products, table(canvas, heads, rows), strict=True):
        lines += [canvas.paint(line, Colour.BAD), *canvas.wrap(row.cause or "", "      ")]
    more = about.progress.failed_products - len(about.failed_products)
    return [*lines, f"  and {number(more)} more; the report has them all"] if more > 0 else lines


def _product(about: ProductDetails, now: float, canvas: Canvas) -> list[str]:
    product = about.product
    lines = [canvas.paint(line, Colour.TITLE) for line in canvas.wrap(product.safename)]
    entries = {
        "state": [product.state.value, *_progress(product, about.progress)],
        "path": [product.path or ""],
        "goes to": ["" if product.state in TERMINAL else _into(product.destination or product.outputdir)],
        "files": [_only(Choice.from_json(product.choice)), "in part: files were left out" if product.partial else ""],
        "layout": [product.layout or ""],
        "on CDSE": [product.s3_path or "", f"known from the {product.path_source}" if product.path_source else ""],
        "size": [size(product.size_bytes) if product.size_bytes is not None else ""],
        "request": [f"group {product.account_group}", f"priority {product.priority}"],
        "attempts": _attempts(product),
        "next try": [f"in {span(about.next_try_in_s)}" if about.next_try_in_s is not None else ""],
        "waits": [f"every account: {about.quota_wait.reason}; {about.quota_wait.end(now)}" if about.quota_wait else ""],
        "cause": [product.cause or ""],
    }
    for title, items in entries.items():
        if filled := [item for item in items if item]:
            lines += _entry(canvas, title, filled)
    return [*lines, canvas.paint("History", Colour.TITLE), *_history(about.history, now, canvas)]


def _progress(product: Product, progress: ObjectProgress) -> list[str]:
    if (
        product.state not in (State.DOWNLOADING, State.VERIFYING, State.RETRY_WAIT, State.READY)
        or not progress.size_bytes
    ):
        return []
    percent = 100 * progress.done_bytes // progress.size_bytes
    fetched = f"{size(progress.done_bytes)} of {size(progress.size_bytes)} on disk ({percent} %)"
    return [fetched, plural(progress.objects, "file")]


def _attempts(product: Product) -> list[str]:
    transient_failures = (
        f"{plural(product.transient_failures, 'transient failure')}, not charged" if product.transient_failures else ""
    )
    return [f"{product.attempts} charged", transient_failures] if product.attempts or transient_failures else []


def _history(events: list[Event], now: float, canvas: Canvas) -> list[str]:
    """Return a timeline: when each state began, how long it lasted, and a bar of that; the last one lasts until now."""
    ends = [*(event.at for event in events[1:]), now]
    lasted = [max(0.0, end - event.at) for event, end in zip(events, ends, strict=True)]
    if events and events[-1].target in TERMINAL:
        lasted[-1] = 0.0
    longest = max(lasted, default=0.0)
    lines = ["  earlier ones are not kept"] if events and events[0].origin else []
    for event, seconds in zip(events, lasted, strict=True):
        last = event is events[-1]
        words = "" if last and event.target in TERMINAL else f"{span(seconds)}{' so far' if last else ''}"
        share = bar(seconds, longest, _TIMELINE_COLUMNS) if words and longest else ""
        line = f"  {iso(event.at)}  {event.target:<{_STATE_COLUMNS}}  {words:<{_LASTED_COLUMNS}}  {share}"
        lines.append(line.rstrip())
        if event.cause:
            lines += canvas.wrap(event.cause, "      ")
    return lines


def _entry(canvas: Canvas, title: str, items: list[str]) -> list[str]:
    return canvas.flow(f"  {title:<{_TITLE_COLUMNS - 2}}", [item for item in items if item])


def _only(choice: Choice | None) -> str:
    return f"only {choice}" if choice else ""


def _into(outputdir: str | None) -> str:
    return outputdir or "the spool"
