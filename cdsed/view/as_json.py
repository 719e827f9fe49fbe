"""``cdsed status --json``: the same values, for programs; names do not change within a schema."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from cdsed.clock import iso
from cdsed.model.status import AccountStatus, ListingStatus
from cdsed.view.read import Look

if TYPE_CHECKING:
    from cdsed.view.named import ListingLook, ProductLook

SCHEMA = 1  # grows when a member changes its name or meaning


def overview(look: Look) -> dict[str, Any]:
    """Return the whole screen as a JSON object."""
    report = look.report
    return {
        **_head(look),
        "why_idle": report.why_idle,
        "notices": [_plain(asdict(notice)) for notice in report.notices],
        "crashing": [asdict(worker) for worker in report.crashing],
        "products": _plain({state: asdict(tally) for state, tally in report.products.items()}),
        "to_go_bytes": None if report.to_go_bytes is None else round(report.to_go_bytes),
        "eta_s": report.eta_s,
        "eta_by_volume": report.eta_by_volume,
        "rates_bytes_per_s": _plain(asdict(report.rates)),
        "listings": [_progress(listing) for listing in report.listings],
        "accounts": [_account(account) for account in report.accounts],
        "cooling": [_plain(asdict(each)) for each in report.cooling],
        "troubles": [_plain(asdict(trouble)) for trouble in report.troubles],
    }


def details(look: Look, seen: "ListingLook | ProductLook") -> dict[str, Any]:
    """Return one listing or product as a JSON object."""
    from cdsed.view.named import ProductLook

    if isinstance(seen, ProductLook):
        history = [_plain(asdict(event)) for event in seen.history]
        product = {name: value for name, value in asdict(seen.product).items() if name not in _INTERNAL}
        return {
            **_head(look),
            "product": _plain(product)
            | {"progress": asdict(seen.progress), "next_try_in_s": seen.next_try_in_s, "history": history},
        }
    head, counts = seen.listing.head, seen.listing.counts
    listing = {
        **_progress(seen.progress),
        "sha256": head.sha256,
        "outputdir": head.outputdir,
        "user": head.user,
        "counts": {**asdict(counts), "lines": counts.lines},
        "papers": {kind: str(path) for kind, path in seen.papers.items()},
        "first_exceptions": [asdict(row) for row in seen.exceptions],
    }
    return {**_head(look), "listing": listing}


_INTERNAL = frozenset({"id", "fence", "planned"})


def _head(look: Look) -> dict[str, Any]:
    heard = None if look.last_heard_at is None else iso(look.last_heard_at)
    return {
        "schema": SCHEMA,
        "at": iso(look.report.at),
        "state_dir": str(look.state_dir),
        "daemon": _plain(asdict(look.report.daemon)) | {"last_heard_at": heard},
    }


def _progress(listing: ListingStatus) -> dict[str, Any]:
    sums = {"products": listing.products, "settled": listing.settled, "exceptions": listing.exceptions}
    return _plain(asdict(listing)) | sums


def _account(account: AccountStatus) -> dict[str, Any]:
    return _plain(asdict(account)) | {"room": _plain(asdict(account.room)) if account.room else None}


def _plain(values: dict[Any, Any]) -> dict[str, Any]:
    """Return values for JSON: instants as ISO texts; enums are texts already."""
    return {
        str(name): iso(value) if value is not None and (name == "at" or str(name).endswith("_at")) else value
        for name, value in values.items()
    }
