"""The status of a state directory as values: the input of every renderer."""

from pathlib import Path
from typing import TYPE_CHECKING

from cdsed.frozen import frozen
from cdsed.model.operation import FailedProduct
from cdsed.model.product_state import Product
from cdsed.model.quota import QuotaWait
from cdsed.model.status_report import Event, ListingStatus, ObjectProgress, StatusReport

if TYPE_CHECKING:
    from cdsed.model.listing import ReportRow
    from cdsed.store.listings import Listing


@frozen
class ListingDetails:
    """One listing; `report_files` has its file, receipt and report, as far as they exist."""

    listing: "Listing"
    progress: ListingStatus
    failed_products: "list[ReportRow]"
    report_files: dict[str, Path]


@frozen
class ProductDetails:
    """One product; without a back-off, `next_try_in_s` is None, and `quota_wait` unless it waits for a quota."""

    product: Product
    progress: ObjectProgress
    history: list[Event]
    next_try_in_s: float | None
    quota_wait: QuotaWait | None = None


@frozen
class FailedProducts:
    """The products that failed last, newest first, of one listing or of all; `total` counts those left out, too."""

    products: tuple[FailedProduct, ...]
    total: int
    listing: str | None = None


@frozen
class StatusView:
    """The status of a state directory at one time.

    Attributes
    ----------
    last_heard_at
        When a daemon that died last wrote to its state, seconds UTC.
    ran_before
        Whether a daemon ran here before; set when the state is absent.
    details
        The listing or product that was requested by name, or the failed products.
    """

    state_dir: Path
    report: StatusReport
    last_heard_at: float | None = None
    ran_before: bool = False
    details: ListingDetails | ProductDetails | FailedProducts | None = None
