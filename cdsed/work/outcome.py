"""Decide what follows from a failure, by the table in `cdsed.work.failure_rules`; no other module decides it."""

import logging
import os
from collections import Counter
from contextlib import suppress

from cdsed.clock import Clock
from cdsed.config.settings import RetrySettings
from cdsed.credentials.key_diagnosis import diagnose_refusal
from cdsed.errors import LeaseLost, StateError, Stopped, TransferError
from cdsed.model.objects import Lease, Piece
from cdsed.model.product_state import PathSource, Product, State
from cdsed.store import breakers, key_history, leases, pieces, products, refusals
from cdsed.store.breakers import BreakerPolicy, account_breaker, disk_breaker
from cdsed.store.database import Database
from cdsed.store.products import Move
from cdsed.transfer.s3_errors import local_error
from cdsed.work.failure_action import FailureAction
from cdsed.work.failure_rules import rule_of
from cdsed.work.retrying import is_charged_by_now, pause_s, transient_pause_s
from cdsed.work.throttling import Throttling

_log = logging.getLogger(__name__)

#: So many failures in a row, over all sessions, open the breaker of the service.
_SERVICE_THRESHOLD = 8
_SERVICE_FIRST_S, _SERVICE_LONGEST_S = 5.0, 300.0
#: After so many refusals in a row an account that has delivered nothing backs off.
_REFUSED_THRESHOLD = 3
#: All accounts try a refused product again after a pause of at most `retry.refused_for_s` divided by this.
_REFUSED_PAUSES = 8
NO_PLACE = "unknown"  # for products that have no destination yet, as in the column `place` of the state
_DISK_LONGEST_S = 600.0
_BACKOFF_FIRST_S, _BACKOFF_LONGEST_S = 5.0, 300.0
#: A new key becomes valid within a minute, so an account with one backs off no longer than that.
_YOUNG_KEY_LONGEST_S = 60.0
#: After so many tries at the path that the catalogue names, the product is unavailable.
_NOT_LISTED_MAX = 2

#: Pauses of products that another state downloads, and how many of these products are remembered.
_OTHER_FIRST_S, _OTHER_LONGEST_S, _WAITED_MAX = 2.0, 120.0, 10_000


class Outcome:
    """Decides for one process, and writes the decisions to the state."""

    def __init__(self, db: Database, clock: Clock, retry: RetrySettings) -> None:
        self._db = db
        self._clock = clock
        self._retry = retry
        self._throttling = Throttling(db, clock, retry)
        self._waited: Counter[int] = Counter()

    def listed(self, lease: Lease) -> None:
        """Note that a product is planned: the service responds, the account's key works, and a disk has free space.

        The breaker of an account that was refused stays as it is, because listing does not show that it may read.
        """
        key_history.worked(self._db, self._clock, lease.account)
        if breakers.last_failure(self._db, account_breaker(lease.account)) != "Refused":
            self._works(lease)
        breakers.close(self._db, self._clock, breakers.SERVICE)
        breakers.forget(self._db, disk_breaker(NO_PLACE))

    def delivered(self, lease: Lease, product: Product, *, by_key: bool = True) -> None:
        """Note that pieces arrived: account, service and disk work, and so does the key, unless it was a zip."""
        self._throttling.delivered(lease)
        self._waited.pop(product.id, None)
        if by_key:
            key_history.worked(self._db, self._clock, lease.account)
        self._works(lease)
        breakers.close(self._db, self._clock, breakers.SERVICE)
        breakers.close(self._db, self._clock, disk_breaker(product.destination or NO_PLACE))

    def of_piece(self, error: TransferError, lease: Lease, product: Product, piece: Piece) -> bool:
        """Decide after a piece failed; return whether the session may continue."""
        action = self._action(error, product)
        with self._db.write():
            self._throttling.refused(error, lease)
            if action is FailureAction.RETRY:
                self._piece_failed(error, lease, product, piece)
                return True
            ours = pieces.let_go(self._db, lease, piece)
            if action is FailureAction.BACK_OFF_ACCOUNT:
                self._back_off_account(error, lease.account)
                return False
            if ours:  # else the failure of another session has already changed the state of the product
                self._carry_out(action, error, products.get(self._db, product.id), lease)
        return action is not FailureAction.BACKOFF and not isinstance(error, Stopped)

    def of_product(self, error: TransferError, lease: Lease | None, product: Product) -> bool:
        """Decide after planning, verifying or publishing a claimed product failed; return whether to continue."""
        if lease is not None:
            self._throttling.refused(error, lease)
        action = self._action(error, product)
        match action:
            case FailureAction.BACK_OFF_ACCOUNT if lease is not None:
                self._back_off_account(error, lease.account)
                self._move(product, Move(State.READY))
                return False
            case FailureAction.RETRY:
                self._retry_soon(error, product)
                return True
            case FailureAction.BACK_OFF_ACCOUNT | FailureAction.RELEASE:
                # The process stops, or another worker has the product: release it as it was.
                back = State.DOWNLOADING if product.state is State.VERIFYING else State.READY
                with suppress(LeaseLost):
                    self._move(product, Move(back))
                return False
        self._carry_out(action, error, product, lease)
        return action is not FailureAction.BACKOFF

    def bug(self, error: Exception, product: Product) -> None:
        """Charge an unexpected error to its product, so that it does not repeat indefinitely.

        An error of Python about the disk or the machine is not a bug.
        """
        if isinstance(error, StateError):  # the state cannot be written: the process exits, and no product is charged
            raise error
        known = local_error(product.safename, error)
        bug = f"an error in cdsed itself ({type(error).__name__}); see the log, and please report it"
        level = logging.ERROR if known is None else logging.DEBUG
        _log.log(level, "%s: %s", product.safename, known or bug, exc_info=error)
        failure = known or TransferError(bug, code="Bug")
        current = products.get(self._db, product.id)
        if (current.fence, current.state) == (product.fence, product.state):
            self._carry_out(self._action(failure, current), failure, current, None)

    def _action(self, error: TransferError, product: Product) -> FailureAction:
        """Look up the action. Call it before the transaction: a disk that hangs must not block other workers."""
        action = rule_of(error).action
        # Unlike `Path.is_dir`, this returns False for a directory that does not respond.
        if action is FailureAction.REPLAN and not os.path.isdir(product.destination or "/"):  # noqa: PTH112
            return FailureAction.PAUSE_DISK  # the whole destination is gone, not only this product's staging
        return action

    def _carry_out(self, action: FailureAction, error: TransferError, product: Product, lease: Lease | None) -> None:
        """Carry out the action on the product."""
        match action:
            case FailureAction.OTHER_ACCOUNT if lease is not None:
                self._refused(error, lease, product)
            case FailureAction.ATTEMPT | FailureAction.OTHER_ACCOUNT:
                _log.warning("%s: %s", product.safename, error)
                self._charge(error, product)
            case FailureAction.GIVE_UP:
                _log.error("%s: %s", product.safename, error)
                self._move(product, Move(State.FAILED, cause=str(error), code=error.code))
            case FailureAction.ASK_CATALOGUE:
                self._not_listed(error, product)
            case FailureAction.PAUSE_DISK:
                self._pause_disk(error, product)
            case FailureAction.REPLAN:
                self._replan(error, product)
            case FailureAction.REFETCH:
                _log.warning("%s: %s; fetched again", product.safename, error)
                self._wait(error, product, transient_pause_s(error, 0))  # the object itself counts its damaged copies
            case FailureAction.WAIT_FOR_OTHER:
                self._wait_for_other(error, product)
            case FailureAction.BACKOFF:
                _log.warning("%s: %s", product.safename, error)
                self._wait(error, product, self._longer_s(product, _BACKOFF_FIRST_S, _BACKOFF_LONGEST_S))

    def _works(self, lease: Lease) -> None:
        if breakers.close(self._db, self._clock, account_breaker(lease.account)):
            _log.info("account %s works again", lease.account)

    def _charge(self, error: TransferError, product: Product) -> None:
        """Count an attempt of the product; it waits longer each time, and fails when they are used up."""
        attempts = product.attempts + 1
        cause = f"{error} (attempt {attempts} of {self._retry.attempts})"
        if attempts >= self._retry.attempts:
            gone = (
                State.UNAVAILABLE if error.code == "NoSuchKey" and product.state is State.DOWNLOADING else State.FAILED
            )
            self._move(product, Move(gone, cause=cause, code=error.code, attempts=1))
            return
        due_s = self._clock.boot_s() + pause_s(attempts, self._retry.first_delay_s, self._retry.longest_delay_s)
        self._move(product, Move(State.RETRY_WAIT, cause=cause, code=error.code, due_s=due_s, attempts=1))

    def _not_listed(self, error: TransferError, product: Product) -> None:
        if product.path_source is not PathSource.CATALOGUE:
            _log.info("%s: %s; asking the catalogue", product.safename, error)
            self._move(product, Move(State.QUEUED, cause=str(error), code=error.code, refute_path=True))
        elif product.attempts + 1 >= _NOT_LISTED_MAX:
            cause = f"the catalogue names {product.s3_path}, but {error}"
            self._move(product, Move(State.UNAVAILABLE, cause=cause, code=error.code, attempts=1))
        else:
            self._charge(error, product)

    def _refused(self, error: TransferError, lease: Lease, product: Product) -> None:
        """Let other accounts try; when no account is left, all of them try again later.

        The account's key reads other products, or the error would be the account's. But an account that never delivered
        anything may be refused everything, and no product is charged for that.
        """
        with self._db.write():
            left = refusals.add_denial(self._db, self._clock, product, lease.account)
            delivers = leases.has_delivered(self._db, lease.account)
            if not delivers:
                self._back_off_account(error, lease.account, threshold=_REFUSED_THRESHOLD)
            if left:
                self._move(product, Move(State.READY, cause=str(error), code=error.code))
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
            self._move(product, Move(State.UNAVAILABLE, cause=cause, code=error.code))
            return
        first_s = self._retry.first_delay_s
        pause = pause_s(refused.rounds, first_s, max(first_s, lasts_s / _REFUSED_PAUSES))
        refusals.count(self._db, self._clock, product, pause)
        if may_be_final and refused.lasting:
            refusals.ask_catalogue(self._db, product)
            self._move(product, Move(State.QUEUED, cause=str(error), code=error.code, refute_path=True))
            return
        _log.info("%s: %s; every account is asked again in %.0f s", product.safename, error, pause)
        self._wait(error, product, pause)

    def _back_off_account(self, error: TransferError, account: str, threshold: int = 1) -> None:
        error = diagnose_refusal(error, account, key_history.of_account(self._db, account), self._clock.utc_s())
        longest_s = self._retry.account_longest_delay_s
        if error.code == "KeyNotYetValid":
            longest_s = min(longest_s, _YOUNG_KEY_LONGEST_S)
        policy = BreakerPolicy(threshold, self._retry.account_first_delay_s, longest_s)
        with self._db.write():  # so that two sessions do not log the same error
            known = breakers.is_open(self._db, self._clock, account_breaker(account))
            pause = breakers.fail(self._db, self._clock, account_breaker(account), policy, error)
        if pause and not known:
            _log.warning("%s; it backs off for %.0f s", error, pause)

    def _service_failed(self, error: TransferError) -> bool:
        """Count a failure of the service; return whether its breaker is open."""
        policy = BreakerPolicy(_SERVICE_THRESHOLD, _SERVICE_FIRST_S, _SERVICE_LONGEST_S)
        with self._db.write():
            known = breakers.is_open(self._db, self._clock, breakers.SERVICE)
            pause = breakers.fail(self._db, self._clock, breakers.SERVICE, policy, error)
        if pause and not known:
            _log.warning("the service fails (%s); transfers pause for %.0f s", error, pause)
        return pause > 0

    def _piece_failed(self, error: TransferError, lease: Lease, product: Product, piece: Piece) -> None:
        sick = self._service_failed(error)
        pause = transient_pause_s(error, piece.transient_failures)
        ours = pieces.let_go(self._db, lease, piece, transient_failure=not sick, due_s=self._clock.boot_s() + pause)
        _log.info("%s: %s; tried again in %.0f s", product.safename, error, pause)
        if ours and not sick and is_charged_by_now(error, piece.transient_failures):
            self._charge(error, products.get(self._db, product.id))

    def _retry_soon(self, error: TransferError, product: Product) -> None:
        sick = self._service_failed(error)
        if not sick and is_charged_by_now(error, product.transient_failures):
            self._charge(error, product)
        elif product.state is State.VERIFYING:  # verification is never retried as a failure of the service
            raise error
        else:
            self._wait(
                error, product, transient_pause_s(error, product.transient_failures), transient_failures=int(not sick)
            )

    def _replan(self, error: TransferError, product: Product) -> None:
        _log.warning("%s: %s; what is lost is fetched again", product.safename, error)
        if is_charged_by_now(error, product.transient_failures):
            self._charge(error, product)
        else:
            self._wait(error, product, transient_pause_s(error, product.transient_failures), transient_failures=1)

    def _wait_for_other(self, error: TransferError, product: Product) -> None:
        """Wait for the other cdsed, longer after each look."""
        if self._waited[product.id] == 0:
            _log.info("%s", error)
        self._wait(error, product, self._longer_s(product, _OTHER_FIRST_S, _OTHER_LONGEST_S))

    def _longer_s(self, product: Product, first_s: float, longest_s: float) -> float:
        """Return a pause that doubles each time in this process; it is not a transient failure of the product."""
        if len(self._waited) > _WAITED_MAX:
            self._waited.clear()
        self._waited[product.id] += 1
        return pause_s(self._waited[product.id], first_s, longest_s)

    def disk_failed(self, error: TransferError, place: str) -> float:
        """Pause a destination, or all products without one; log it once, however many products are affected."""
        policy = BreakerPolicy(1, self._retry.first_delay_s, _DISK_LONGEST_S)
        with self._db.write():
            known = breakers.is_open(self._db, self._clock, disk_breaker(place))
            pause = breakers.fail(self._db, self._clock, disk_breaker(place), policy, error)
        if not known:
            what = "products without a destination" if place == NO_PLACE else place
            _log.error("%s; %s pauses for %.0f s", error, what, pause)
        return pause

    def _pause_disk(self, error: TransferError, product: Product) -> None:
        """Pause the destination; a product that has not begun there goes to another one at once."""
        nowhere = product.outputdir or NO_PLACE
        # A product that fits nowhere waits twice as long as the pause, so that smaller products are tried first.
        homeless = error.code == "NoRoom"
        # A place may have been chosen after the claim.
        place = nowhere if homeless else products.get(self._db, product.id).destination or nowhere
        pause = self.disk_failed(error, place)
        if place != nowhere and not pieces.objects(self._db, product.id):
            products.forget_place(self._db, product)
            self._move(product, Move(State.READY, cause=str(error), code=error.code))
        else:
            self._wait(error, product, pause * (1 + homeless))

    def _wait(self, error: TransferError, product: Product, pause: float, *, transient_failures: int = 0) -> None:
        due_s = self._clock.boot_s() + pause
        self._move(
            product,
            Move(
                State.RETRY_WAIT, cause=str(error), code=error.code, due_s=due_s, transient_failures=transient_failures
            ),
        )

    def _move(self, product: Product, move: Move) -> None:
        products.move(self._db, self._clock, product, move)
