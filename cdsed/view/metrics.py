"""The status as metrics: OpenMetrics 1.0 for a scrape, the older text format of Prometheus for a file.

The two differ in the line of a counter's type and in the end. No name of a product is ever a label.
"""

from collections.abc import Iterable, Iterator, Mapping

from cdsed._version import __version__
from cdsed.frozen import frozen
from cdsed.model.alarm import Alarm, Severity
from cdsed.model.machine_status import MachineStatus
from cdsed.model.product_state import State
from cdsed.model.quota import Limit
from cdsed.model.status_report import AccountStatus, DaemonState, ListingStatus, SessionMark, StatusReport
from cdsed.store.page import TrafficCounter

OPENMETRICS_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PROMETHEUS_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


@frozen
class _Sample:
    """One value, its labels, and for a counter the second (UTC) at which it began."""

    value: float
    labels: Mapping[str, str]
    created_at: float | None = None


@frozen
class _Metric:
    """A metric with all its samples; the name of a counter is without ``_total``."""

    name: str
    kind: str
    text: str
    samples: list[_Sample]


def render(
    report: StatusReport, alarms: Iterable[Alarm], counters: Iterable[TrafficCounter], *, openmetrics: bool
) -> str:
    """Return all metrics of a report.

    Parameters
    ----------
    alarms
        What needs a person.
    counters
        What the accounts have transferred.
    openmetrics
        Whether to write OpenMetrics, or the format 0.0.4, which node_exporter reads.
    """
    lines: list[str] = []
    for family in _families(report, list(alarms), list(counters)):
        lines += _lines(family, openmetrics=openmetrics)
    return "\n".join([*lines, "# EOF", ""])  # in the older format it is a comment


def _families(report: StatusReport, alarms: list[Alarm], counters: list[TrafficCounter]) -> Iterator[_Metric]:
    yield from _of_daemon(report, alarms)
    yield from _of_products(report)
    yield from _of_traffic(report, counters)
    yield from _of_accounts(report.accounts)
    yield from _of_disks(report)
    if report.machines:
        yield from _of_machines(report.machines)


def _gauge(name: str, text: str, *samples: _Sample) -> _Metric:
    return _Metric(name, "gauge", text, list(samples))


def _one(value: float, **labels: str) -> _Sample:
    return _Sample(float(value), labels)


def _of_daemon(report: StatusReport, alarms: list[Alarm]) -> Iterator[_Metric]:
    yield _gauge("cdsed_build_info", "The version of cdsed.", _one(1, version=__version__))
    running = report.daemon.state is DaemonState.RUNNING
    yield _gauge("cdsed_daemon_running", "Whether the daemon runs.", _one(running))
    yield _gauge("cdsed_status_timestamp_seconds", "When the state was read.", _one(report.at))
    yield _gauge(
        "cdsed_alarms",
        "What needs a person, by severity.",
        *(_one(sum(alarm.severity is each for alarm in alarms), severity=each) for each in Severity),
    )
    subjects = {(alarm.name, alarm.subject, alarm.severity): 1 for alarm in alarms}
    yield _gauge(
        "cdsed_alarm_active",
        "1 for each condition that needs a person.",
        *(_one(1, name=name, subject=subject, severity=severity) for name, subject, severity in subjects),
    )
    yield _gauge(
        "cdsed_breaker_open",
        "1 for what backs off: the service, the catalogue, a disk or the inbox.",
        *(_one(1, name=each.title) for each in report.open_breakers),
    )
    yield _gauge(
        "cdsed_worker_crashes",
        "Crashes in a row of a worker that crashes in a loop.",
        *(_one(each.crashes, worker=each.name) for each in report.crashing),
    )
    yield _gauge(
        "cdsed_paused",
        "1 for each pause.",
        *(_one(1, kind=each.kind, name=each.name, source=each.source) for each in report.pauses),
    )


def _of_products(report: StatusReport) -> Iterator[_Metric]:
    tallies = [(state, report.products.get(state)) for state in State]
    yield _gauge(
        "cdsed_products",
        "Products by state.",
        *(_one(tally.products if tally else 0, state=state) for state, tally in tallies),
    )
    yield _gauge(
        "cdsed_products_size_bytes",
        "Size of the products in each state, as far as it is known.",
        *(_one(tally.size_bytes if tally else 0, state=state) for state, tally in tallies),
    )
    yield _gauge(
        "cdsed_errors",
        "Products that failed or wait after a failure in the last 24 h, by error code.",
        *(_one(error.products, code=error.code, state=error.state) for error in report.errors),
    )
    yield _gauge(
        "cdsed_listing_age_seconds",
        "Seconds since a listing that is not finished was taken.",
        *(
            _one(max(0.0, report.at - each.taken_at), listing=each.name, id=str(each.id), group=each.group)
            for each in _open_listings(report)
        ),
    )
    yield _gauge(
        "cdsed_listing_finished_ratio",
        "Share of the products of a listing that are finished, for listings that are not.",
        *(
            _one(each.finished / each.products if each.products else 0, listing=each.name, id=str(each.id))
            for each in _open_listings(report)
        ),
    )
    waiting = report.oldest_waiting
    if waiting is not None:
        age = _one(max(0.0, report.at - waiting.at))
        yield _gauge("cdsed_oldest_waiting_seconds", "Age of the oldest waiting product.", age)
    if report.last_published is not None:
        published = _one(report.last_published.at)
        yield _gauge("cdsed_last_published_timestamp_seconds", "When a product was published last.", published)


def _open_listings(report: StatusReport) -> list[ListingStatus]:
    return [listing for listing in report.listings if listing.state in ("taking", "open")]


def _of_traffic(report: StatusReport, counters: list[TrafficCounter]) -> Iterator[_Metric]:
    yield _Metric(
        "cdsed_transfer_bytes",
        "counter",
        "Bytes received; it begins again every fifteen days.",
        [_Sample(each.size_bytes, {"account": each.account}, each.since_at) for each in counters],
    )
    yield _Metric(
        "cdsed_transfer_requests",
        "counter",
        "Requests sent to S3; it begins again every fifteen days.",
        [_Sample(each.requests, {"account": each.account}, each.since_at) for each in counters],
    )
    yield _gauge("cdsed_transfers", "Products in transfer.", _one(len(report.transfers)))
    rates = {"60": report.rates.over_1_min, "600": report.rates.over_10_min, "3600": report.rates.over_60_min}
    yield _gauge(
        "cdsed_transfer_rate_bytes_per_second",
        "Mean rate over the last `seconds`.",
        *(_one(rate, seconds=seconds) for seconds, rate in rates.items()),
    )
    if report.to_go_bytes is not None:
        yield _gauge("cdsed_to_go_bytes", "Bytes still to fetch, estimated.", _one(report.to_go_bytes))
    if report.eta is not None:
        yield _gauge("cdsed_eta_seconds", "Seconds until the known work is done.", _one(report.eta.seconds))
    yield _gauge(
        "cdsed_stalled_seconds",
        "Seconds for which sessions at work have received nothing; 0 while bytes flow.",
        _one(report.stalled_for_s or 0),
    )


def _of_accounts(accounts: tuple[AccountStatus, ...]) -> Iterator[_Metric]:
    yield _gauge(
        "cdsed_account_usable",
        "Whether an account may be used now, or only waits for a quota.",
        *(_one(each.error is None, account=each.name, group=each.group) for each in accounts),
    )
    yield _gauge(
        "cdsed_session_state",
        "1 for the state that each session is in.",
        *(
            _one(mark is state, account=each.name, session=str(number), state=state)
            for each in accounts
            for number, mark in enumerate(each.sessions, start=1)
            for state in SessionMark
        ),
    )
    yield _gauge(
        "cdsed_quota_used_ratio",
        "Share of a quota that is used: requests of the minute, volume of 30 days.",
        *(sample for each in accounts for sample in _quotas(each)),
    )
    yield _gauge(
        "cdsed_key_expires_timestamp_seconds",
        "When the S3 key of an account expires.",
        *(_one(each.key_expires_at, account=each.name) for each in accounts if each.key_expires_at is not None),
    )


def _quotas(account: AccountStatus) -> Iterator[_Sample]:
    """Yield what an account has used; `shared`: by its whole group."""
    if account.requests_per_minute:
        shared = str(Limit.REQUESTS in account.shares).lower()
        ratio = account.requests_last_minute / account.requests_per_minute
        yield _one(ratio, kind="minute", account=account.name, shared=shared)
    if account.volume_bytes:
        shared = str(Limit.VOLUME in account.shares).lower()
        yield _one(account.volume_used_bytes / account.volume_bytes, kind="30d", account=account.name, shared=shared)


def _of_disks(report: StatusReport) -> Iterator[_Metric]:
    yield _gauge(
        "cdsed_disk_free_bytes",
        "Free space on the disks that products are written to.",
        *(_one(each.free_bytes, place=each.place) for each in report.disks if each.free_bytes is not None),
    )
    yield _gauge(
        "cdsed_disk_usable",
        "Whether products can be written to a directory.",
        *(_one(each.error is None, place=each.place) for each in report.disks),
    )
    yield _gauge(
        "cdsed_bandwidth_limit_bytes_per_second",
        "The bandwidth that the settings allow now.",
        *(_one(each.bytes_per_s, kind=each.kind, name=each.name) for each in report.bandwidth_limits),
    )


def _of_machines(machines: tuple[MachineStatus, ...]) -> Iterator[_Metric]:
    yield _gauge(
        "cdsed_machine_usable",
        "Whether a machine gets connections: a worker runs there, is not refused, and the machine is not drained.",
        *(_one(each.usable, machine=each.now.name) for each in machines),
    )
    yield _gauge(
        "cdsed_machine_workers",
        "Workers of Dask on a machine.",
        *(_one(each.now.workers, machine=each.now.name) for each in machines),
    )
    yield _gauge(
        "cdsed_machine_holders",
        "Their processes that have a connection (at_work) or could have one (idle).",
        *(
            _one(count, machine=each.now.name, state=state)
            for each in machines
            for state, count in (("idle", each.now.idle), ("at_work", each.now.at_work))
        ),
    )
    yield _gauge(
        "cdsed_machine_drained",
        "1 for a machine that is drained, 0 for one that is being drained.",
        *(_one(each.drained_at is not None, machine=each.now.name) for each in machines if each.drain_at is not None),
    )
    yield _gauge(
        "cdsed_machine_rate_bytes_per_second",
        "Mean rate of a machine over the last minute.",
        *(_one(each.rate_bytes_per_s, machine=each.now.name) for each in machines),
    )
    yield _gauge(
        "cdsed_machine_file_delay_seconds",
        "After what time a new file is seen, by `worker` or `daemon`.",
        *(
            _one(delay_s, machine=each.now.name, by=by)
            for each in machines
            for by, delay_s in (("worker", each.now.worker_sees_s), ("daemon", each.now.daemon_sees_s))
            if delay_s is not None
        ),
    )
    yield _Metric(
        "cdsed_machine_received_bytes",
        "counter",
        "Bytes that came over the connections of a machine since it is known.",
        [_one(each.received_bytes, machine=each.now.name) for each in machines],
    )
    yield _Metric(
        "cdsed_machine_grants_lost",
        "counter",
        "Connections of a machine that were not closed in order, by reason.",
        [_one(lost.grants, machine=each.now.name, why=lost.why) for each in machines for lost in each.lost],
    )


def _lines(family: _Metric, *, openmetrics: bool) -> Iterator[str]:
    counter = family.kind == "counter"
    title = family.name if openmetrics or not counter else f"{family.name}_total"
    yield f"# TYPE {title} {family.kind}"
    unit = family.name.rpartition("_")[2]
    if openmetrics and unit in ("bytes", "seconds", "ratio"):
        yield f"# UNIT {title} {unit}"
    yield f"# HELP {title} {family.text}"
    # Prometheus refuses samples with the same labels: two paused listings may have one name.
    for sample in {tuple(each.labels.items()): each for each in family.samples}.values():
        labels = ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in sample.labels.items())
        labels = f"{{{labels}}}" if labels else ""
        yield f"{family.name}{'_total' if counter else ''}{labels} {_number(sample.value)}"
        if openmetrics and sample.created_at is not None:
            yield f"{family.name}_created{labels} {_number(sample.created_at)}"


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))
