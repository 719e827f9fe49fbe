"""Decide what follows from a failure, by the table in `cdsed.work.failure_rules`; no other module decides it."""

import logging
import os
from collections import Counter
from contextlib import suppress
from dataclasses import replace

from cdsed.clock import Clock
from cdsed.config.settings import RetrySettings
from cdsed.errors import DiskError, LeaseLost, StateError, Stopped, TransferError
from cdsed.logevent import ABOUT, LogEvent
from cdsed.model.objects import Lease, Piece
from cdsed.model.product_state import PathSource, Product, State
from cdsed.model.quota import THROTTLE_CODES
from cdsed.store import breakers, leases, pieces, products, refusals
from cdsed.store.breakers import BreakerPolicy, account_breaker, disk_breaker
from cdsed.store.database import Database
from cdsed.store.move import Move
from cdsed.transfer.s3_errors import local_error
from cdsed.transfer.staging import only_this_fails
from cdsed.work import works_again
from cdsed.work.access_refusals import AccessRefusals
from cdsed.work.account_backoff import AccountBackoff
from cdsed.work.failure_action import FailureAction
from cdsed.work.failure_rules import rule_of
from cdsed.work.moves import ProductMoves
from cdsed.work.retrying import is_charged_by_now, is_the_sixth, pause_s, refused_pause_s, transient_pause_s
from cdsed.work.service_failures import Probe, ServiceFailures
from cdsed.work.throttling import Throttling

_log = logging.getLogger(__name__)

NO_PLACE = "unknown"  # for products that have no destination yet, as in the column `place` of the state
_DISK_LONGEST_S = 600.0
_BACKOFF_FIRST_S, _BACKOFF_LONGEST_S = 5.0, 300.0
#: A product that its account was refused again waits this much longer than the account, which tries another one then.
_AFTER_ACCOUNT_TIMES, _AFTER_ACCOUNT_S = 1.1, 3.0

#: Pauses of products that another state downloads, and how many of these products are remembered.
_OTHER_FIRST_S, _OTHER_LONGEST_S, _WAITED_MAX = 2.0, 120.0, 10_000


class Outcome:
    """Decides for one process, and writes the decisions to the state."""

    def __init__(self, db: Database, clock: Clock, retry: RetrySettings) -> None:
        self._db = db
        self._clock = clock
        self._retry = retry
        self._throttling = Throttling(db, clock, retry)
        self._accounts = AccountBackoff(db, clock, retry)
        self._services = ServiceFailures(db, clock)
        self._moves = ProductMoves(db, clock, retry)
        self._refusals = AccessRefusals(db, clock, retry, self._accounts, self._moves)
        self._waited: Counter[int] = Counter()

    def listed(self, lease: Lease) -> None:
        """Note that a product is planned: the service responds, the account's key works, and a disk has free space.

        The breaker of an account that was refused stays as it is, because listing does not show that it may read.
        """
        self._accounts.key_works(lease)
        if not breakers.has_any(self._db):
            return
        if breakers.last_failure(self._db, account_breaker(lease.account)) != "Refused":
            self._accounts.works(lease.account)
        works_again.service(self._db, self._clock, breakers.SERVICE)
        breakers.forget(self._db, disk_breaker(NO_PLACE))

    def delivered(self, lease: Lease, product: Product, *, by_key: bool = True) -> None:
        """Note that pieces arrived: account, service and disk work, and so does the key, unless it was a zip."""
        self._throttling.delivered(lease)
        self._waited.pop(product.id, None)
        self._accounts.delivered(lease.account, product)
        if by_key:
            self._accounts.key_works(lease)
        if not breakers.has_any(self._db):
            return
        self._accounts.works(lease.account)
        works_again.service(self._db, self._clock, breakers.SERVICE if by_key else breakers.ZIPPER)
        works_again.disk(self._db, self._clock, product.destination or NO_PLACE)

    def needs_probe(
        self,
        error: TransferError,
        lease: Lease,
        product: Product,
        piece: Piece | None = None,
        service: str = breakers.SERVICE,
    ) -> bool:
        """Tell whether another product must be asked for before it is decided what follows from this failure."""
        match rule_of(error).action:
            case FailureAction.RETRY:
                earlier = product.transient_failures if piece is None else piece.transient_failures
                return self._services.needs_probe(earlier, service)
            case FailureAction.BACK_OFF_ACCOUNT:
                return is_the_sixth(self._accounts.times(lease.account, product))
            case FailureAction.OTHER_ACCOUNT:  # what arrives counts as delivered: the account reads other products
                return not leases.has_delivered(self._db, lease.account)
        return False

    def of_piece(
        self, error: TransferError, lease: Lease, product: Product, piece: Piece, probe: Probe = Probe.NOT_SENT
    ) -> bool:
        """Decide after a piece failed; return whether the session may continue.

        `probe` says what came of asking for another product, where `needs_probe` says so.
        """
        action = self._action(error, product)
        with self._db.write():
            if action is FailureAction.RETRY:
                self._slowed_down(error, lease, product, probe)
                self._piece_failed(error, lease, product, piece, probe)
                return True
            if action is FailureAction.BACK_OFF_ACCOUNT:
                wait_s = self._account_refused(error, lease, product, probe)
                due_s = self._clock.boot_s() + wait_s if wait_s else 0.0
                ours = pieces.let_go(self._db, lease, piece, due_s=due_s)
                if wait_s:
                    pieces.postpone(self._db, product.id, due_s, failed_min=0)
                if ours and probe is Probe.ARRIVES:
                    self._moves.charge(error, products.get(self._db, product.id))
                return False
            if pieces.let_go(self._db, lease, piece):  # else another session has already changed the product's state
                self._carry_out(action, error, products.get(self._db, product.id), lease)
        return action is not FailureAction.BACKOFF and not isinstance(error, Stopped)

    def of_product(
        self,
        error: TransferError,
        lease: Lease | None,
        product: Product,
        probe: Probe = Probe.NOT_SENT,
        service: str = breakers.SERVICE,
    ) -> bool:
        """Decide after planning, verifying or publishing a claimed product failed; return whether to continue.

        `probe` as for `of_piece`; `service` is the breaker that counts failures of the service.
        """
        action = self._action(error, product)
        match action:
            case FailureAction.BACK_OFF_ACCOUNT if lease is not None:
                wait_s = self._account_refused(error, lease, product, probe)
                if probe is Probe.ARRIVES:
                    self._moves.charge(error, product)
                elif wait_s:
                    self._moves.wait(error, product, wait_s)
                else:
                    self._moves.move(product, Move(State.READY))
                return False
            case FailureAction.RETRY:
                if lease is not None:
                    self._slowed_down(error, lease, product, probe)
                self._retry_soon(error, product, probe, service)
                return True
            case FailureAction.BACK_OFF_ACCOUNT | FailureAction.RELEASE:
                # The process stops, or another worker has the product: release it as it was.
                back = State.DOWNLOADING if product.state is State.VERIFYING else State.READY
                with suppress(LeaseLost):
                    self._moves.move(product, Move(back))
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
        if isinstance(error, DiskError) and only_this_fails(
            error, product.staging or products.get(self._db, product.id).staging
        ):
            action = FailureAction.REPLAN  # a bad block, or another owner below it
        # Unlike `Path.is_dir`, this returns False for a directory that does not respond.
        if action is FailureAction.REPLAN and not os.path.isdir(product.destination or "/"):  # noqa: PTH112
            return FailureAction.PAUSE_DISK  # the whole destination is gone, not only this product's staging
        return action

    def _carry_out(self, action: FailureAction, error: TransferError, product: Product, lease: Lease | None) -> None:
        """Carry out the action on the product."""
        match action:
            case FailureAction.OTHER_ACCOUNT if lease is not None:
                self._refusals.refused(error, lease, product)
            case FailureAction.ATTEMPT | FailureAction.OTHER_ACCOUNT:
                _log.warning("%s: %s", product.safename, error)
                self._moves.charge(error, product)
            case FailureAction.GIVE_UP:
                self._moves.move(product, Move(State.FAILED, cause=str(error), code=error.code))
            case FailureAction.ASK_CATALOGUE:
                self._not_listed(error, product)
            case FailureAction.PAUSE_DISK:
                self._pause_disk(error, product)
            case FailureAction.REPLAN:
                self._replan(error, product)
            case FailureAction.REFETCH:
                _log.warning("%s: %s; fetched again", product.safename, error)
                self._moves.wait(
                    error, product, transient_pause_s(error, 0)
                )  # the object itself counts its damaged copies
            case FailureAction.WAIT_FOR_OTHER:
                self._wait_for_other(error, product)
            case FailureAction.BACKOFF:
                _log.warning("%s: %s", product.safename, error)
                self._moves.wait(error, product, self._longer_s(product, _BACKOFF_FIRST_S, _BACKOFF_LONGEST_S))

    def _not_listed(self, error: TransferError, product: Product) -> None:
        """Ask the catalogue for the path; if it named this one, after a pause that grows, for S3 may be behind it."""
        move = Move(State.QUEUED, cause=str(error), code=error.code, refute_path=True)
        if product.path_source is PathSource.CATALOGUE:
            _, rounds = refusals.last_failure(self._db, product)
            pause = refused_pause_s(rounds + 1, self._retry)
            refusals.count(self._db, self._clock, product, pause)
            move = replace(move, state=State.RETRY_WAIT, due_s=self._clock.boot_s() + pause)
        _log.info("%s: %s; asking the catalogue", product.safename, error)
        self._moves.move(product, move)

    def _slowed_down(self, error: TransferError, lease: Lease, product: Product, probe: Probe) -> None:
        """Lower the sessions of the account if the service asks for less, and not for this product only."""
        self._throttling.broke(error, lease)
        if error.code not in THROTTLE_CODES:
            return
        if not self._accounts.refused(lease.account, product) and probe is not Probe.ARRIVES:
            self._throttling.refused(error, lease)

    def _account_refused(self, error: TransferError, lease: Lease, product: Product, probe: Probe) -> float:
        """Let the account back off, unless the refusals are the product's; return for how long the product waits (s).

        At first it does not wait: another account may be served. Later it waits longer than the account, so that this
        one tries another product first.
        """
        times = self._accounts.times(lease.account, product)
        if self._accounts.refused(lease.account, product) or probe is Probe.ARRIVES:
            _log.info("%s: %s; other products arrive", product.safename, error)
            return transient_pause_s(error, times)
        self._throttling.refused(error, lease)
        pause = self._accounts.back_off(error, lease.account, longest_s=self._throttling.longest_pause_s(error, lease))
        return pause * _AFTER_ACCOUNT_TIMES + _AFTER_ACCOUNT_S if times else 0.0

    def _piece_failed(self, error: TransferError, lease: Lease, product: Product, piece: Piece, probe: Probe) -> None:
        sick = self._services.count(error, breakers.SERVICE, probe)
        charged = not sick and self._services.is_charged(error, piece.transient_failures, probe)
        # After an attempt the product itself waits.
        pause = 0.0 if charged else transient_pause_s(error, piece.transient_failures)
        due_s = self._clock.boot_s() + pause
        ours = pieces.let_go(self._db, lease, piece, transient_failure=not sick, due_s=due_s)
        if ours and charged:
            _log.warning("%s: %s", product.safename, error)
            self._moves.charge(error, products.get(self._db, product.id))
            return
        _log.info("%s: %s; tried again in %.0f s", product.safename, error, pause)
        if ours and not sick:
            pieces.postpone(self._db, product.id, due_s)

    def _retry_soon(self, error: TransferError, product: Product, probe: Probe, service: str) -> None:
        sick = self._services.count(error, service, probe)
        if not sick and self._services.is_charged(error, product.transient_failures, probe):
            self._moves.charge(error, product)
        elif product.state is State.VERIFYING:  # verification is never retried as a failure of the service
            raise error
        else:
            pause = transient_pause_s(error, product.transient_failures)
            self._moves.wait(error, product, pause, transient_failures=int(not sick))

    def _replan(self, error: TransferError, product: Product) -> None:
        _log.warning("%s: %s; what is lost is fetched again", product.safename, error)
        if is_charged_by_now(error, product.transient_failures):
            self._moves.charge(error, product)
        else:
            self._moves.wait(error, product, transient_pause_s(error, product.transient_failures), transient_failures=1)

    def _wait_for_other(self, error: TransferError, product: Product) -> None:
        """Wait for the other cdsed, longer after each look."""
        if self._waited[product.id] == 0:
            _log.info("%s", error)
        self._moves.wait(error, product, self._longer_s(product, _OTHER_FIRST_S, _OTHER_LONGEST_S))

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
            _log.error(
                "%s; %s pauses for %.0f s", error, what, pause, extra={ABOUT: (LogEvent.DISK_OUT, {"disk": place})}
            )
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
            self._moves.move(product, Move(State.READY, cause=str(error), code=error.code))
        else:
            self._moves.wait(error, product, pause * (1 + homeless))
