"""What needs a person: one list for the status, monitoring, the page, metrics and hooks.

docs/alarms.md has one section for each name in `NAMES`; a test compares them.
"""

from collections.abc import Iterator
from enum import StrEnum

from cdsed.clock import iso
from cdsed.frozen import frozen
from cdsed.model.product_state import FAILURES, TERMINAL
from cdsed.model.quota import Limit, ThrottleReason, spent_by_us
from cdsed.model.status_report import AccountStatus, DaemonState, Notice, OpenBreaker, StatusReport

#: Every kind of alarm.
NAMES = (
    "daemon_died",
    "daemon_stopped",
    "damaged",
    "stalled",
    "crash_loop",
    "accounts",
    "account",
    "key_expires",
    "penalised",
    "disk",
    "inbox",
    "service",
    "catalogue",
    "quota_spent",
    "failed_products",
    "reload",
    "shared_account",
    "other_state",
    "replaced",
    "recovered",
    "machine",
)

_DAY_S = 86_400.0
_KEY_WARNING_DAYS = 14
_KEY_CRITICAL_DAYS = 1
_DISK = "disk:"
_ADD = "add one, then restart the daemon"  # systemd passes the accounts file only at the start
_BREAKERS = {
    "service:s3": (
        "service",
        "s3",
        "wait: cdsed tries again; if it stays, look at the network and at CDSE's status page",
    ),
    "service:zip": ("service", "zip", "wait: cdsed tries again; if it stays, look at CDSE's status page"),
    "service:catalogue": ("catalogue", "", "wait: cdsed tries again; if it stays, check services.catalogue_url"),
    "inbox": ("inbox", "", "mount its disk, or let the user of the daemon write to it"),
}
#: By the first word of a notice's name. Its rest, after the colon, is the subject.
_NOTICES = {
    "damaged": ("damaged", "start the daemon again: it recovers the state"),
    "reload": ("reload", "correct the settings and reload, or the accounts and restart"),
    "inbox": ("inbox", "raise fs.inotify.max_user_instances and fs.inotify.max_user_watches"),
    "unreadable": ("inbox", "let the user of the daemon read it, and put it into the inbox again"),
    "unwritten": ("inbox", "look at its disk, or let the user of the daemon write to it"),
    "spool": ("disk", "do what it says: the directory cannot be made"),
    "replaced": ("replaced", "look at what is there, and delete it"),
    "others": ("other_state", "give one of them another spool, or leave it: each product has one owner"),
    "shared": ("shared_account", "give each installation accounts of its own"),
    "engine": ("machine", "run `cdsed engine check`, and look at the scheduler and the workers of Dask"),
    "recovered": ("recovered", "run `cdsed check --state`; the alarm ends after 14 days"),
}


class Severity(StrEnum):
    """How urgent an alarm is: a warning lets transfers continue."""

    WARNING = "warning"
    CRITICAL = "critical"


@frozen
class Alarm:
    """One condition that needs a person, and exists as long as its cause.

    Attributes
    ----------
    name
        The kind, e.g. ``disk`` or ``key_expires``: the section of docs/alarms.md with this title says what to do.
    subject
        What it is about, e.g. an account or a directory; empty for the daemon.
    text, remedy
        What is wrong, and what you do, each in one sentence.
    """

    name: str
    subject: str
    severity: Severity
    text: str
    remedy: str


def alarms(report: StatusReport) -> tuple[Alarm, ...]:
    """Return what needs a person, the most urgent first; a wait for a quota of the minute is not among it."""
    sources = (
        _daemon,
        _stalled,
        _crash_loops,
        _groups,
        _accounts,
        _disks,
        _breakers,
        _volumes,
        _failed,
        _notices,
        _machines,
    )
    found = {(each.name, each.subject): each for source in reversed(sources) for each in source(report)}
    rank = {name: number for number, name in enumerate(NAMES)}
    return tuple(
        sorted(found.values(), key=lambda each: (each.severity is Severity.WARNING, rank[each.name], each.subject))
    )


def products_to_do(report: StatusReport) -> int:
    """Return how many products are not finished."""
    return sum(tally.products for state, tally in report.products.items() if state not in TERMINAL)


def _daemon(report: StatusReport) -> Iterator[Alarm]:
    to_do = products_to_do(report)
    start = "start it with `cdsed run` or `systemctl start cdsed`"
    if report.daemon.state is DaemonState.DIED:
        yield Alarm("daemon_died", "", Severity.CRITICAL, "the daemon died", f"look into its log, then {start}")
    elif report.daemon.state is DaemonState.STOPPED:
        severity = Severity.CRITICAL if to_do else Severity.WARNING
        text = f"the daemon is stopped{f', and {to_do} products wait for it' if to_do else ''}"
        yield Alarm("daemon_stopped", "", severity, text, start)


def _stalled(report: StatusReport) -> Iterator[Alarm]:
    if report.stalled_for_s is not None:
        last = f"; the last failure: {report.stalled_because}" if report.stalled_because else ""
        text = f"sessions are at work, and no byte has arrived for {_span(report.stalled_for_s)}{last}"
        yield Alarm("stalled", "", Severity.CRITICAL, text, "look at the network of this machine, then at the log")


def _crash_loops(report: StatusReport) -> Iterator[Alarm]:
    for worker in report.crashing:
        then = "it runs again now, perhaps not for long"
        if worker.next_start_in_s is not None:
            then = f"next start in {_span(worker.next_start_in_s)}"
        text = f"{worker.name} crashes in a loop: {worker.crashes} times, it {worker.ending} last; {then}"
        yield Alarm("crash_loop", worker.name, Severity.CRITICAL, text, "the log says why")


def _groups(report: StatusReport) -> Iterator[Alarm]:
    remedy = "mend one of its accounts: each has an alarm of its own"
    groups: dict[str, list[AccountStatus]] = {}
    for account in report.accounts:
        groups.setdefault(account.group, []).append(account)
    dead = [group for group, members in groups.items() if all(each.error for each in members)]
    for group in dead:
        yield Alarm("accounts", group, Severity.CRITICAL, f"no account of group {group} can be used", remedy)
    if report.needs_account and not dead:
        text = "the accounts that have volume left cannot be used"
        yield Alarm("accounts", "", Severity.CRITICAL, text, "mend one of them: each has an alarm of its own")
    if report.daemon.state is not DaemonState.RUNNING:
        return
    if not groups and products_to_do(report):
        text = "the accounts file has no account"
        yield Alarm("accounts", "", Severity.CRITICAL, text, _ADD)
    waiting = {each.group for each in report.listings if each.state == "open"} - set(groups)
    for group in sorted(waiting) if groups else ():
        text = f"products wait for an account of group {group}, and the accounts file has none"
        yield Alarm("accounts", group, Severity.CRITICAL, text, _ADD)


def _accounts(report: StatusReport) -> Iterator[Alarm]:
    running = report.daemon.state is DaemonState.RUNNING
    for each in report.accounts:
        if each.error is not None:
            text = f"account {each.name}: {each.error}"
            if running and each.probe_in_s is not None:
                text += (
                    f"; tried again {f'in {_span(each.probe_in_s)}' if each.probe_in_s else 'with the next product'}"
                )
            remedy = f"run `cdsed keys list --account {each.name}`, and mend its entry in the accounts file"
            yield Alarm("account", each.name, Severity.WARNING, text, remedy)
        elif each.key_expires_at is not None and each.key_expires_at - report.at <= _KEY_WARNING_DAYS * _DAY_S:
            left_s = max(0.0, each.key_expires_at - report.at)
            urgent = left_s <= _KEY_CRITICAL_DAYS * _DAY_S
            text = f"the S3 key of account {each.name} expires in {_span(left_s)}"
            remedy = "make a new one (`cdsed keys create`), put it into the accounts file and restart the daemon"
            severity = Severity.CRITICAL if urgent else Severity.WARNING
            yield Alarm("key_expires", each.name, severity, text, remedy)
        if each.throttle_reason is ThrottleReason.PENALISED and not spent_by_us(
            each.volume_used_bytes, each.volume_bytes
        ):
            text = f"account {each.name} runs at about 1 MB/s, as if its volume were spent at CDSE"
            yield Alarm("penalised", each.name, Severity.WARNING, text, "find out what else uses it")


def _disks(report: StatusReport) -> Iterator[Alarm]:
    causes = {each.place: each.error for each in report.disks if each.error is not None}
    for each in report.open_breakers:
        if each.name.startswith(_DISK):
            place = each.title.removeprefix(_DISK)
            causes[place] = f"{each.reason}; tried again in {_span(each.probe_in_s)}"
    # Without a disk that works nothing can be published.
    blocked = report.why_idle is not None and products_to_do(report) > 0
    none_left = bool(report.disks) and all(each.place in causes for each in report.disks)
    for place, cause in causes.items():
        severity = Severity.CRITICAL if blocked or none_left else Severity.WARNING
        remedy = "make room, mount it, repair it, or let the user of the daemon write there"
        yield Alarm("disk", place, severity, cause if place in cause else f"{place}: {cause}", remedy)


def _breakers(report: StatusReport) -> Iterator[Alarm]:
    for each in report.open_breakers:
        if each.name in _BREAKERS:
            name, subject, remedy = _BREAKERS[each.name]
            yield Alarm(name, subject, Severity.WARNING, _breaker_text(each, subject or name), remedy)


def _breaker_text(breaker: OpenBreaker, title: str) -> str:
    return f"{title}: {breaker.reason}; tried again in {_span(breaker.probe_in_s)}"


def _volumes(report: StatusReport) -> Iterator[Alarm]:
    remedy = "wait until then, or add an account"
    for each in report.accounts:
        if Limit.VOLUME not in each.shares and each.quota_free_at is not None:
            text = f"the 30-day volume of account {each.name} is spent, and frees from {_day(each.quota_free_at.at)}"
            yield Alarm("quota_spent", each.name, Severity.WARNING, text, remedy)
    for pool in report.pools:
        if pool.quota_free_at is not None:
            text = f"the 30-day volume of group {pool.group} is spent, and frees from {_day(pool.quota_free_at.at)}"
            yield Alarm("quota_spent", pool.group, Severity.WARNING, text, remedy)


def _failed(report: StatusReport) -> Iterator[Alarm]:
    failed = [each for each in report.errors if each.state in FAILURES]
    if failed:
        count = sum(each.products for each in failed)
        codes = ", ".join(f"{each.products} {each.code}" for each in failed)
        text = f"{count} {'product' if count == 1 else 'products'} failed within a day: {codes}"
        yield Alarm("failed_products", "", Severity.WARNING, text, "run `cdsed status --failed`")


def _notices(report: StatusReport) -> Iterator[Alarm]:
    for each in report.notices:
        name, remedy = _NOTICES.get(each.name.partition(":")[0], (None, ""))
        if name is not None:
            stops = name == "damaged" or (each.name == "engine" and products_to_do(report) > 0)
            severity = Severity.CRITICAL if stops else Severity.WARNING
            yield Alarm(name, each.name.partition(":")[2], severity, _notice_text(each, report.at), remedy)


def _machines(report: StatusReport) -> Iterator[Alarm]:
    remedy = "run `cdsed engine check`; it is tried again every minute"
    for each in report.machines:
        if each.now.refused is not None:
            yield Alarm("machine", each.now.name, Severity.WARNING, each.now.refused, remedy)


def _notice_text(notice: Notice, now: float) -> str:
    return f"{notice.text} ({_span(max(0.0, now - notice.since_at))} ago)"


def _day(at: float) -> str:
    return iso(at)[:10]


def _span(seconds: float) -> str:
    """Return a duration in one unit, large enough to be read at a glance."""
    for unit_s, unit in ((_DAY_S, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * unit_s:
            return f"{seconds / unit_s:.0f} {unit}"
    return f"{seconds:.0f} s"
