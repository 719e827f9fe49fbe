"""Move a product after a failure: let it wait, or charge an attempt to it."""

import logging

from cdsed.clock import Clock
from cdsed.config.settings import RetrySettings
from cdsed.errors import TransferError
from cdsed.logevent import LogEvent, about
from cdsed.model.product_state import Product, State
from cdsed.store import products
from cdsed.store.database import Database
from cdsed.store.move import Move
from cdsed.work.retrying import pause_s

_log = logging.getLogger(__name__)


class ProductMoves:
    """Writes what was decided of a product to the state; `retry` has its attempts and pauses."""

    def __init__(self, db: Database, clock: Clock, retry: RetrySettings) -> None:
        self._db = db
        self._clock = clock
        self._retry = retry

    def charge(self, error: TransferError, product: Product) -> None:
        """Count an attempt of the product; it waits longer each time, and fails when they are used up."""
        attempts = product.attempts + 1
        cause = f"{error} (attempt {attempts} of {self._retry.attempts})"
        if attempts >= self._retry.attempts:
            # What the catalogue never answers for is not known to be there.
            is_gone = product.state is State.RESOLVING or (
                error.code == "NoSuchKey" and product.state is State.DOWNLOADING
            )
            gone = State.UNAVAILABLE if is_gone else State.FAILED
            self.move(product, Move(gone, cause=cause, code=error.code, attempts=1))
            return
        due_s = self._clock.boot_s() + pause_s(attempts, self._retry.first_delay_s, self._retry.longest_delay_s)
        self.move(product, Move(State.RETRY_WAIT, cause=cause, code=error.code, due_s=due_s, attempts=1))

    def wait(self, error: TransferError, product: Product, pause: float, *, transient_failures: int = 0) -> None:
        """Let the product wait for `pause` seconds, uncharged."""
        due_s = self._clock.boot_s() + pause
        self.move(
            product,
            Move(
                State.RETRY_WAIT, cause=str(error), code=error.code, due_s=due_s, transient_failures=transient_failures
            ),
        )

    def move(self, product: Product, move: Move) -> None:
        """Move the product, and log it if it failed for good; see `cdsed.store.products.move`."""
        products.move(self._db, self._clock, product, move)
        if move.state in (State.FAILED, State.UNAVAILABLE):
            level = logging.ERROR if move.state is State.FAILED else logging.WARNING
            extra = about(LogEvent.PRODUCT_FAILED, product=product.safename, error=move.code)
            _log.log(level, "%s: %s: %s", product.safename, move.state, move.cause, extra=extra)
