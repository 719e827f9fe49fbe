"""Read the status of a state directory without a lock, with or without a running daemon."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cdsed.clock import SYSTEM_CLOCK
from cdsed.errors import UsageError
from cdsed.model.operation import DiskStatus
from cdsed.model.status_report import DaemonState, DaemonStatus, StatusReport
from cdsed.process.lock import LOCK_NAME, is_running
from cdsed.store import failures, snapshot
from cdsed.store.database import FILE_NAME, Database, open_read_only
from cdsed.store.shortage import shortage
from cdsed.view.status_view import FailedProducts, ListingDetails, ProductDetails, StatusView

if TYPE_CHECKING:
    from cdsed.store.listings import Listing

_FAILED_SHOWN = 20
_NAMED = 10
_SETTLED_AFTER_S = 10.0


def read_status(state_dir: Path, name: str | None = None) -> StatusView:
    """Return the status of a state directory.

    Parameters
    ----------
    name
        The name of a listing or product whose details are added, if there is a state.

    Raises
    ------
    UsageError
        Neither a listing nor a product has this name; the text suggests similar names.
    StateError
        The state cannot be read.
    OSError
        You may not read the directory.
    """
    with open_status(state_dir) as (view, db):
        return view if db is None or name is None else replace(view, details=details_of(db, name))


def read_failed_products(state_dir: Path, most: int, name: str | None = None) -> StatusView:
    """Return the status with up to `most` failed products, of the listing with this name or of all.

    Raises
    ------
    UsageError
        No listing has this name.
    StateError
        The state cannot be read.
    OSError
        You may not read the directory.
    """
    with open_status(state_dir) as (view, db):
        if db is None:
            return view
        listing = None if name is None else _find_listing(db, name)
        if name is not None and listing is None:
            raise UsageError(_unknown(db, name, None))
        number = None if listing is None else listing.head.id
        found = FailedProducts(failures.latest(db, most, number), failures.count(db, number), name)
        return replace(view, details=found)


@contextmanager
def open_status(state_dir: Path) -> Iterator[tuple[StatusView, Database | None]]:
    """Read the status and keep the database open inside the block; the database is None without a state.

    Raises
    ------
    StateError
        The state cannot be read.
    OSError
        You may not read the directory.
    """
    running = is_running(state_dir)
    db = open_read_only(state_dir, daemon_runs=running)
    if db is None:
        state = DaemonState.RUNNING if running else DaemonState.NEVER
        empty = StatusReport(SYSTEM_CLOCK.utc_s(), DaemonStatus(state))
        yield StatusView(state_dir, empty, ran_before=(state_dir / LOCK_NAME).exists()), None
        return
    try:
        report = snapshot.report(db, SYSTEM_CLOCK, running=running)
        begun_at = report.daemon.started_at
        settled = begun_at is not None and report.at - begun_at >= _SETTLED_AFTER_S
        # On a full disk the workers cannot write it down.
        if running and (full := shortage(state_dir, settled=settled)):
            why = full if report.why_idle is None and not report.moving else report.why_idle
            disks = (*report.disks, DiskStatus(str(state_dir), None, full))
            report = replace(report, why_idle=why, disks=disks)
        died = report.daemon.state is DaemonState.DIED
        yield StatusView(state_dir, report, _last_written(state_dir) if died else None), db
    finally:
        db.close()


def details_of(db: Database, name: str) -> ListingDetails | ProductDetails:
    """Return the details of the listing or product with this name; names and paths are both accepted.

    Raises
    ------
    UsageError
        Neither a listing nor a product has this name; the text suggests similar names.
    """
    from cdsed.store import products  # imported where the status of one is asked for: `cdsed status` has 150 ms

    safename = _safename(name)
    product = products.find(db, safename) if safename else None
    if product is not None:
        due_in_s = snapshot.next_try_in_s(db, SYSTEM_CLOCK, product)
        wait = snapshot.quota_wait(db, SYSTEM_CLOCK, product)
        return ProductDetails(product, snapshot.progress(db, product), snapshot.history(db, product), due_in_s, wait)
    listing = _find_listing(db, name)
    if listing is not None:
        return details_of_listing(db, listing)
    raise UsageError(_unknown(db, name, safename))


def _find_listing(db: Database, name: str) -> "Listing | None":
    from cdsed.store import listings

    spellings = (name, str(Path(name).absolute()), Path(name).name)
    return next((found for spelling in spellings if (found := listings.find(db, spelling))), None)


def _last_written(state_dir: Path) -> float | None:
    """Return when the state was last written (s UTC); the write-ahead log, if there is one, has the newest data."""
    paths = (state_dir / f"{FILE_NAME}{suffix}" for suffix in ("", "-wal"))
    return max((path.stat().st_mtime for path in paths if path.exists()), default=None)


def details_of_listing(db: Database, listing: "Listing") -> ListingDetails:
    """Return the details of a listing."""
    from cdsed.store import listings

    progress = snapshot.listing(db, listing.head.id)
    failed_products = listings.failed_products(db, listing.head.id, _FAILED_SHOWN) if progress.failed_products else []
    path = Path(listing.path)
    report_files = {
        "listing": path,
        "receipt": path.with_name(f"{path.name}.receipt.txt"),
        "report": path.with_name(f"{path.name}.report.txt"),
    }
    return ListingDetails(
        listing, progress, failed_products, {kind: path for kind, path in report_files.items() if path.exists()}
    )


def _safename(name: str) -> str | None:
    from cdsed.model.safename import normalise

    try:
        return normalise(name)
    except ValueError:
        return None


def _unknown(db: Database, name: str, safename: str | None) -> str:
    from difflib import get_close_matches  # only a misspelt name needs it

    from cdsed.store import products

    known = [listing.name for listing in snapshot.report(db, SYSTEM_CLOCK, running=False).listings]
    known += products.similar_names(db, safename) if safename else []
    similar = get_close_matches(safename or Path(name).name, known, cutoff=0.8)
    message = f"no listing and no product {name!r} was ever asked for"
    message += "" if safename else " (you see a new listing when the daemon has read it)"
    if similar:
        return f"{message}; did you mean {' or '.join(similar)}?"
    if known and not safename:
        return f"{message}; the latest listings are {', '.join(known[-_NAMED:])}"
    return f"{message}; add it with `cdsed add`"
