"""What there is to see of one listing or one product, by the name a user gives it."""

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from cdsed.clock import SYSTEM_CLOCK
from cdsed.errors import UsageError
from cdsed.model.listing import ReportRow
from cdsed.model.product import Product
from cdsed.model.safename import normalise
from cdsed.model.status import Event, ListingStatus, ObjectProgress
from cdsed.store import listings, products, snapshot
from cdsed.store.database import Database
from cdsed.store.listings import Listing

_EXCEPTIONS_SHOWN = 20


@dataclass(frozen=True, slots=True)
class ListingLook:
    """What there is to see of one listing; `papers` are its file, receipt and report, as far as they exist."""

    listing: Listing
    progress: ListingStatus
    exceptions: list[ReportRow]
    papers: dict[str, Path]


@dataclass(frozen=True, slots=True)
class ProductLook:
    """What there is to see of one product; `next_try_in_s` is None when it does not wait."""

    product: Product
    progress: ObjectProgress
    history: list[Event]
    next_try_in_s: float | None


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
        due_in_s = snapshot.next_try_in_s(db, SYSTEM_CLOCK, product)
        return ProductLook(product, snapshot.progress(db, product), snapshot.history(db, product), due_in_s)
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
