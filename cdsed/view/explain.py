"""``cdsed explain``: one product in plain text, from the state alone."""

from dataclasses import asdict, dataclass
from typing import Any

from cdsed.clock import SYSTEM_CLOCK, iso
from cdsed.model.product_state import SUCCEEDED, TERMINAL, Product, State
from cdsed.model.status_report import DaemonState, Event, StatusReport
from cdsed.store import blockers, drains, machines, pauses
from cdsed.store.blockers import Blockers
from cdsed.store.database import Database
from cdsed.view.status_view import ProductDetails
from cdsed.view.terminal import Canvas, Colour
from cdsed.view.wording import number, plural, size, span

_SCHEMA = 1
_EVENTS_SHOWN = 10
_WHAT_IT_IS = {
    State.QUEUED: "it waits until its path at CDSE is known",
    State.RESOLVING: "its path at CDSE is being looked up",
    State.READY: "its path at CDSE is known, and it waits for a session",
    State.DOWNLOADING: "it is being transferred",
    State.VERIFYING: "it has arrived, and is being verified",
    State.RETRY_WAIT: "it waits for its next try",
    State.DONE: "it was downloaded and verified",
    State.ALREADY_PRESENT: "it was on disk already",
    State.UNAVAILABLE: "CDSE does not deliver it",
    State.CORRUPT: "it is corrupt at its source",
    State.FAILED: "it was given up",
    State.CANCELLED: "it was cancelled",
}


@dataclass(frozen=True, slots=True)
class Explanation:
    """A product in sentences; `remedies` are what you can do, each with its command."""

    safename: str
    state: str
    where: tuple[str, ...]
    history: tuple[str, ...]
    reasons: tuple[str, ...]
    following: tuple[str, ...]
    remedies: tuple[str, ...]


def explain(db: Database, report: StatusReport, details: ProductDetails) -> Explanation:
    """Return the explanation of one product.

    Parameters
    ----------
    report
        The status of the same state.
    """
    product = details.product
    known = blockers.of(db, SYSTEM_CLOCK, product)
    reasons = () if product.state in TERMINAL else tuple(_reasons(report, details, known))
    return Explanation(
        safename=product.safename,
        state=product.state.value,
        where=tuple(_where(details, known)),
        history=tuple(_history(details.history)),
        reasons=reasons,
        following=tuple(_following(report, details, known, waits=bool(reasons))),
        remedies=tuple(_remedies(report, details, known)),
    )


def render(explanation: Explanation, canvas: Canvas) -> list[str]:
    """Return the lines of the text."""
    lines = [canvas.paint(line, Colour.TITLE) for line in canvas.wrap(f"{explanation.safename}: {explanation.state}")]
    sections = {
        "Where it is": explanation.where,
        "What happened": explanation.history,
        "Why it does not move": explanation.reasons,
        "What happens next": explanation.following,
        "What you can do": explanation.remedies,
    }
    for title, sentences in sections.items():
        if sentences:
            lines.append(canvas.paint(title, Colour.TITLE))
            lines += [line for sentence in sentences for line in canvas.wrap(sentence, "  ")]
    return [canvas.marks(line) for line in lines]


def as_json(explanation: Explanation) -> dict[str, Any]:
    """Return the explanation for programs."""
    return {"schema": _SCHEMA, **asdict(explanation)}


def _where(details: ProductDetails, known: Blockers) -> list[str]:
    product, progress = details.product, details.progress
    lines = [_WHAT_IT_IS[product.state]]
    if product.path:
        lines.append(f"on disk: {product.path}")
    elif product.state not in TERMINAL:
        if progress.size_bytes:
            lines.append(f"{size(progress.done_bytes)} of {size(progress.size_bytes)} are in {product.staging}")
        lines.append(f"it goes to {product.destination or product.outputdir or 'a spool'}")
    if product.replaces:
        lines.append(f"{product.replaces} stays until it is verified")
    for listing in known.listings:
        remark = ", cancelled" if listing.cancelled else ", paused" if listing.paused else ""
        lines.append(f"named by listing {listing.name} ({listing.state}{remark})")
    lines.append(f"group {product.account_group}, priority {product.priority}, {plural(product.attempts, 'attempt')}")
    return lines


def _history(events: list[Event]) -> list[str]:
    lines = [f"{iso(each.at)}  {each.target}{f': {each.cause}' if each.cause else ''}" for each in events]
    left_out = len(lines) - _EVENTS_SHOWN
    return [f"{plural(left_out, 'earlier change')}", *lines[-_EVENTS_SHOWN:]] if left_out > 0 else lines


def _reasons(report: StatusReport, details: ProductDetails, known: Blockers) -> list[str]:
    """Return what holds it back, the strongest first; empty if it moves."""
    product = details.product
    if report.daemon.state is not DaemonState.RUNNING:
        return [f"the daemon does not run ({report.daemon.state})"]
    if known.cancels:
        return ["it was cancelled when its bytes had arrived: it is decided now whether it was published first"]
    found = [pauses.sentence(pause) for pause in known.pauses]
    found += [drains.sentence(drain) for drain in report.drains if not drain.account and product.state is State.READY]
    if product.state not in TERMINAL and (unusable := machines.why_unusable(report.machines)):
        found.append(unusable)
    if known.disk_reason:
        found.append(f"its disk is tried again in {span(known.disk_free_in_s)}: {known.disk_reason}")
    if product.state is State.RETRY_WAIT:
        found.append(product.cause or "its last try failed")
    if product.state is State.QUEUED and known.asks_catalogue:
        breaker = next((each for each in report.open_breakers if each.name == "service:catalogue"), None)
        found.append(f"the catalogue backs off: {breaker.reason}" if breaker else "the catalogue has not answered yet")
    if product.state in (State.READY, State.DOWNLOADING):
        found += _for_sessions(report, details, known)
    return found


def _for_sessions(report: StatusReport, details: ProductDetails, known: Blockers) -> list[str]:
    product, found = details.product, []
    accounts = [each for each in report.accounts if each.group == product.account_group]
    if not accounts:
        found.append(f"the accounts file has no account of group {product.account_group}")
    elif all(each.error for each in accounts):
        found += [f"account {each.name} cannot be used: {each.error}" for each in accounts]
    found += [
        f"the service backs off for {span(each.probe_in_s)}: {each.reason}"
        for each in report.open_breakers
        if each.name == "service:s3"
    ]
    if known.denied:
        found.append(f"it was refused to {', '.join(known.denied)}")
    if known.deaths:
        found.append(f"workers crashed over it ({known.deaths}): it is worked on alone")
    if details.quota_wait:
        wait = f"{details.quota_wait.reason}; {details.quota_wait.end(report.at)}"
        found.append(f"every account of group {product.account_group} waits: {wait}")
    if known.ahead and not found:
        found.append(f"{plural(known.ahead, 'product')} of its group come first")
    return found


def _following(report: StatusReport, details: ProductDetails, known: Blockers, *, waits: bool) -> list[str]:
    product = details.product
    if product.state in TERMINAL:
        return ["nothing: it is finished"]
    if report.daemon.state is not DaemonState.RUNNING:
        return ["it continues when the daemon runs"]
    ends = [pause.until_at for pause in known.pauses]
    if ends:
        last = None if None in ends else max(end for end in ends if end is not None)
        return [f"it continues at {iso(last)}" if last else "it continues when you resume it"]
    if details.next_try_in_s is not None:
        return [f"it is tried again in {span(details.next_try_in_s)}, at {iso(report.at + details.next_try_in_s)}"]
    if waits:
        return [f"it begins after {number(known.ahead)} others" if known.ahead else "it continues when that has ended"]
    order = (State.QUEUED, State.RESOLVING, State.READY, State.DOWNLOADING, State.VERIFYING)
    words = ("looked up", "looked up", "transferred", "verified", "published")
    return [f"it is {words[order.index(product.state)]}"] if product.state in order else []


def _remedies(report: StatusReport, details: ProductDetails, known: Blockers) -> list[str]:
    product = details.product
    name = product.safename
    if product.state in SUCCEEDED:
        return [f"fetch it again: cdsed refetch {name}"]
    if product.state in TERMINAL:
        return [f"start it again: cdsed retry {name}", *_about(known.code)]
    found = [] if report.daemon.state is DaemonState.RUNNING else ["start the daemon: systemctl start cdsed"]
    for pause in known.pauses:
        target = "" if pause.kind == "all" else f" {pause.kind} {pause.name}"
        found.append(f"resume it: cdsed resume{target}")
    found += ["begin new products again: cdsed resume"] * any(not drain.account for drain in report.drains)
    if product.state is State.RETRY_WAIT:
        found += [f"try it at once: cdsed retry {name}", *_about(known.code)]
    found += [
        f"mend the account: cdsed keys list --account {each.name}"
        for each in report.accounts
        if each.error and each.group == product.account_group
    ]
    if known.ahead:
        found.append(f"let it come first: cdsed priority {name} +{_more(product)}")
    return [*found, f"give it up: cdsed cancel {name}"]


def _about(code: str | None) -> list[str]:
    return [f"read about {code} in docs/errors.md"] if code else []


def _more(product: Product) -> int:
    return max(1, min(10, 1000 - product.priority))
