"""One look at the state of a daemon, taken without a lock, whether it runs or not."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from cdsed.clock import SYSTEM_CLOCK
from cdsed.errors import UsageError
from cdsed.model.listing import ReportRow
from cdsed.model.product import Product
from cdsed.model.safename import normalise
from cdsed.model.status import DaemonState, DaemonStatus, Event, ListingStatus, ObjectProgress, StatusReport
from cdsed.process.lock import LOCK_NAME, holder
from cdsed.store import listings, products, snapshot
from cdsed.store.database import FILE_NAME, Database, open_read_only
from cdsed.store.listings import Listing

_EXCEPTIONS_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen.

    Parameters
    ----------
    last_heard_at
        When a daemon that died last wrote to its state, seconds UTC.
    """

    state_dir: Path
    report: StatusReport
    last_heard_at: float | None = None


@dataclass(frozen=True, slots=True)
class ListingLook:
    """What there is to see of one listing; `papers` are its file, receipt and report, as far as they exist."""

    listing: Listing
    progress: ListingStatus
    exceptions: list[ReportRow]
    papers: dict[str, Path]


@dataclass(frozen=True, slots=True)
class ProductLook:
    """What there is to see of one product."""

    product: Product
    progress: ObjectProgress
    history: list[Event]


@contextmanager
def looking(state_dir: Path) -> Iterator[tuple[Look, Database | None]]:
    """Look at a state directory; the database stays open inside of the block, None where there is none yet.

    Raises
    ------
    StateError
        The state cannot be read.
    OSError
        This user may not look into the directory.
    """
    running = holder(state_dir / LOCK_NAME).running
    db = open_read_only(state_dir, daemon_runs=running)
    if db is None:
        state = DaemonState.RUNNING if running else DaemonState.NEVER
        yield Look(state_dir, StatusReport(SYSTEM_CLOCK.utc_s(), DaemonStatus(state))), None
        return
    try:
        report = snapshot.report(db, SYSTEM_CLOCK, running=running)
        died = report.daemon.state is DaemonState.DIED
        yield Look(state_dir, report, _last_written(state_dir) if died else None), db
    finally:
        db.close()


def at(db: Database, name: str) -> ListingLook | ProductLook:
    """Return what there is to see of the listing or product that a user names.

    Raises
    ------
    UsageError
        There is neither; it suggests what there is.
    """
    safename = _safename(name)
    product = products.find(db, safename) if safename else None
    if product is not None:
        return ProductLook(product, snapshot.progress(db, product), snapshot.history(db, product))
    spellings = (name, str(Path(name).absolute()), Path(name).name)
    listing = next((found for spelling in spellings if (found := listings.find(db, spelling))), None)
    if listing is not None:
        return _listing(db, listing)
    raise UsageError(_unknown(db, name, safename))


def _listing(db: Database, listing: Listing) -> ListingLook:
    progress = snapshot.listing(db, listing.head.id)
    exceptions = listings.exceptions(db, listing.head.id, _EXCEPTIONS_SHOWN) if progress.exceptions else []
    path = Path(listing.path)
    papers = {
        "listing": path,
        "receipt": path.with_name(f"{path.name}.receipt.txt"),
        "report": path.with_name(f"{path.name}.report.txt"),
    }
    return ListingLook(listing, progress, exceptions, {kind: path for kind, path in papers.items() if path.exists()})


def _safename(name: str) -> str | None:
    try:
        return normalise(name)
    except ValueError:
        return None


def _unknown(db: Database, name: str, safename: str | None) -> str:
    known = [listing.name for listing in snapshot.report(db, SYSTEM_CLOCK, running=False).listings]
    known += products.neighbours(db, safename) if safename else []
    similar = get_close_matches(safename or Path(name).name, known, cutoff=0.8)
    told = f"no listing and no product {name!r} was ever asked for"
    if similar:
        return f"{told}; did you mean {' or '.join(similar)}?"
    if known and not safename:
        return f"{told}; the latest listings are {', '.join(known)}"
    return f"{told}; add it with `cdsed add`"


def _last_written(state_dir: Path) -> float | None:
    """Return when the state was last changed; what is newest is in the write-ahead log, where there is one."""
    paths = (state_dir / f"{FILE_NAME}{suffix}" for suffix in ("", "-wal"))
    return max((path.stat().st_mtime for path in paths if path.exists()), default=None)
