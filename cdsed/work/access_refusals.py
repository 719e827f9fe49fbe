"""Decide what follows if S3 refuses a product to an account (403) that reads others."""

import logging

from cdsed.clock import Clock
from cdsed.config.settings import RetrySettings
from cdsed.errors import TransferError
from cdsed.model.objects import Lease
from cdsed.model.product_state import Product, State
from cdsed.store import leases, refusals
from cdsed.store.database import Database
from cdsed.store.move import Move
from cdsed.work.account_backoff import AccountBackoff
from cdsed.work.moves import ProductMoves
from cdsed.work.retrying import refused_pause_s

_log = logging.getLogger(__name__)

#: After so many refusals in a row an account that has delivered nothing backs off.
_REFUSED_THRESHOLD = 3


class AccessRefusals:
    """Lets the accounts of a group try a refused product one after the other, and again after growing pauses."""

    def __init__(
        self, db: Database, clock: Clock, retry: RetrySettings, accounts: AccountBackoff, moves: ProductMoves
    ) -> None:
        self._db = db
        self._clock = clock
        self._retry = retry
        self._accounts = accounts
        self._moves = moves

    def refused(self, error: TransferError, lease: Lease, product: Product) -> None:
        """Let other accounts try; when no account is left, all of them try again later.

        The account's key reads other products, or the error would be the account's. But an account that never delivered
        anything may be refused everything, and no product is charged for that.
        """
        with self._db.write():
            left = refusals.add_denial(self._db, self._clock, product, lease.account)
            delivers = leases.has_delivered(self._db, lease.account)
            if not delivers:
                self._accounts.back_off(error, lease.account, threshold=_REFUSED_THRESHOLD)
            if left:
                self._moves.move(product, Move(State.READY, cause=str(error), code=error.code))
            else:
                self._refused_to_all(error, product, may_be_final=delivers)

    def _refused_to_all(self, error: TransferError, product: Product, *, may_be_final: bool) -> None:
        """Let every account try again after growing pauses; after a day of refusals the product is unavailable.

        That also requires that the catalogue still offers it. An unstable service may refuse a product for minutes that
        it delivers before and after.
        """
        lasts_s = self._retry.refused_for_s
        refused = refusals.of(self._db, self._clock, product, lasts_s)
        if may_be_final and refused.lasting and refused.offered:
            cause = f"not for this account: {error} (asked {refused.rounds} times in {lasts_s / 3600:.3g} h or more)"
            self._moves.move(product, Move(State.UNAVAILABLE, cause=cause, code=error.code))
            return
        pause = refused_pause_s(refused.rounds, self._retry)
        refusals.count(self._db, self._clock, product, pause)
        if may_be_final and refused.lasting:
            refusals.ask_catalogue(self._db, product)
            self._moves.move(product, Move(State.QUEUED, cause=str(error), code=error.code, refute_path=True))
            return
        _log.info("%s: %s; every account is asked again in %.0f s", product.safename, error, pause)
        self._moves.wait(error, product, pause)
