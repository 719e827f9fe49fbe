"""``cdsed status --json``: the same values, for programs. The names do not change within a schema."""

import json
from dataclasses import asdict
from typing import Any

from cdsed.clock import iso
from cdsed.model.advice import advice_for
from cdsed.model.alarm import alarms
from cdsed.model.machine_status import MachineStatus
from cdsed.model.operation import Eta, EtaLimit
from cdsed.model.quota import QuotaFreeAt, QuotaWait
from cdsed.model.status_report import AccountStatus, ListingStatus, PoolStatus, StatusReport
from cdsed.view.status_view import FailedProducts, ListingDetails, ProductDetails, StatusView

#: It grows when a member changes its name or meaning; status.schema.json beside this file describes all of them.
SCHEMA = 3
_INTERNAL = frozenset({"id", "fence", "planned", "replaces_inode"})


def render(view: StatusView) -> dict[str, Any]:
    """Return a view as a JSON object: the overview, details of a listing or product, or the failed products."""
    heard = None if view.last_heard_at is None else iso(view.last_heard_at)
    return {
        "schema": SCHEMA,
        "at": iso(view.report.at),
        "state_dir": str(view.state_dir),
        "daemon": plain(asdict(view.report.daemon)) | {"last_heard_at": heard},
        **_body(view),
    }


def _body(view: StatusView) -> dict[str, Any]:
    match view.details:
        case None:
            return _overview(view.report)
        case ProductDetails() as details:
            return {"product": _product(details) | {"quota_wait": _wait(details.quota_wait, view.report.at)}}
        case ListingDetails() as details:
            return {"listing": _listing(details, view.report.at)}
        case FailedProducts() as failed:
            rows = [plain(asdict(each)) | {"advice": advice_for(each.code, each.state)} for each in failed.products]
            return {"failed": {"listing": failed.listing, "total": failed.total, "products": rows}}


def _overview(report: StatusReport) -> dict[str, Any]:
    return {
        "why_idle": report.why_idle,
        "notices": [plain(asdict(notice)) for notice in report.notices],
        "crashing": [asdict(worker) for worker in report.crashing],
        "products": plain({state: asdict(tally) for state, tally in report.products.items()}),
        "to_go_bytes": None if report.to_go_bytes is None else round(report.to_go_bytes),
        "eta_s": report.eta.seconds if report.eta else None,
        "eta_by_volume": report.eta is not None and report.eta.limit is EtaLimit.VOLUME,
        "rates_bytes_per_s": plain(asdict(report.rates)),
        "listings": [_progress(listing, report.at) for listing in report.listings],
        "accounts": [_account(account, report.at) for account in report.accounts],
        "open_breakers": [plain(asdict(each)) for each in report.open_breakers],
        "errors": [plain(asdict(error)) for error in report.errors],
        "quota_wait": _wait(report.quota_wait, report.at),
        "needs_account": report.needs_account,
        "pools": [_pool(pool) for pool in report.pools],
        "alarms": [asdict(alarm) for alarm in alarms(report)],
        "eta": _eta(report.eta, report.at),
        "transfers": [plain(asdict(each)) for each in report.transfers],
        "rate_bytes_per_s": report.rate_bytes_per_s,
        "rate_steps_bytes_per_s": report.rate_steps,
        "stalled_for_s": report.stalled_for_s,
        "last_published": plain(asdict(report.last_published)) if report.last_published else None,
        "oldest_waiting": plain(asdict(report.oldest_waiting)) if report.oldest_waiting else None,
        "disks": [asdict(each) for each in report.disks],
        "pauses": [plain(asdict(each)) for each in report.pauses],
        "drains": [plain(asdict(each)) for each in report.drains],
        "bandwidth_limits": [plain(asdict(each)) for each in report.bandwidth_limits],
        "machines": [_machine(each) for each in report.machines],
    }


def _machine(machine: MachineStatus) -> dict[str, Any]:
    values = asdict(machine)
    return plain(values.pop("now") | values) | {"lost": [plain(asdict(each)) for each in machine.lost]}


def _eta(eta: Eta | None, now: float) -> dict[str, Any] | None:
    """Return when work is ready, also as a time."""
    return None if eta is None else asdict(eta) | {"at": iso(now + eta.seconds)}


def _product(details: ProductDetails) -> dict[str, Any]:
    product = {name: value for name, value in asdict(details.product).items() if name not in _INTERNAL}
    product["choice"] = json.loads(product["choice"]) if product["choice"] else None
    return plain(product) | {
        "progress": asdict(details.progress),
        "next_try_in_s": details.next_try_in_s,
        "history": [plain(asdict(event)) for event in details.history],
    }


def _listing(details: ListingDetails, now: float) -> dict[str, Any]:
    head, counts = details.listing.head, details.listing.counts
    return {
        **_progress(details.progress, now),
        "sha256": head.sha256,
        "outputdir": head.outputdir,
        "layout": head.layout,
        "include": list(head.include),
        "exclude": list(head.exclude),
        "user": head.user,
        "counts": {**asdict(counts), "lines": counts.lines},
        "report_files": {kind: str(path) for kind, path in details.report_files.items()},
        "first_failed_products": [asdict(row) for row in details.failed_products],
    }


def _progress(listing: ListingStatus, now: float) -> dict[str, Any]:
    sums = {"products": listing.products, "finished": listing.finished, "failed_products": listing.failed_products}
    return plain(asdict(listing)) | {"eta": _eta(listing.eta, now)} | sums


def _account(account: AccountStatus, now: float) -> dict[str, Any]:
    return plain(asdict(account)) | {
        "quota_free_at": _free(account.quota_free_at),
        "wait": _wait(account.wait, now),
        "session_waits": [_wait(wait, now) for wait in account.session_waits],
    }


def _pool(pool: PoolStatus) -> dict[str, Any]:
    return plain(asdict(pool)) | {"quota_free_at": _free(pool.quota_free_at)}


def _free(free: QuotaFreeAt | None) -> dict[str, Any] | None:
    return plain(asdict(free)) if free else None


def _wait(wait: QuotaWait | None, now: float) -> dict[str, Any] | None:
    """Return a wait with `in_s`, the seconds until its end; None: its end has no time."""
    if wait is None:
        return None
    return plain(asdict(wait)) | {"in_s": None if wait.until_at is None else max(0.0, wait.until_at - now)}


def plain(values: dict[Any, Any]) -> dict[str, Any]:
    """Return values for JSON: times as ISO 8601 texts; enums are texts already."""
    return {
        str(name): iso(value)
        if isinstance(value, int | float) and (name == "at" or str(name).endswith("_at"))
        else value
        for name, value in values.items()
    }
