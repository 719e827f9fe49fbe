"""Work with a session: lease one, plan or fetch until no work is left, release it.

One thread has one session at a time, with one connection and one buffer. While it holds a lease, it waits only for a
quick retry, for the next request that the quota allows, or a fraction of a second for more work.
"""

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial

from cdsed.errors import AccountError, LeaseLost, ProductError, ServiceError, Stopped, TransferError
from cdsed.logevent import within
from cdsed.model.eodata import S3Location, location_of
from cdsed.model.objects import Digests, Piece
from cdsed.model.product_state import Product
from cdsed.model.quota import THROTTLE_CODES
from cdsed.store import breakers, pieces, products
from cdsed.store.cutting import Pacing
from cdsed.transfer.fetch import BUFFER_BYTES
from cdsed.transfer.lease_broker import Grant, SessionTools
from cdsed.work import works_again, zipped
from cdsed.work.boundary import bounded
from cdsed.work.claims import RequestClaims
from cdsed.work.context import WorkerContext
from cdsed.work.destination import Destination
from cdsed.work.finish import make_room
from cdsed.work.grant_turns import GrantTurns
from cdsed.work.piece_batch import PieceBatch
from cdsed.work.piece_progress import PieceProgress
from cdsed.work.plan import Planned, plan_product, store_plan
from cdsed.work.service_failures import Probe, weighed
from cdsed.work.traffic import Traffic

_log = logging.getLogger(__name__)

_NO_PIECE = 0
_LINGER_S = 0.3  # keep the connection open so long for the plan of the next product


class SessionThread:
    """Leases sessions and works with them, one after the other, until the process must stop."""

    def __init__(self, context: WorkerContext, turns: GrantTurns) -> None:
        self._context = context
        self._turns = turns
        self._buffer = memoryview(bytearray(BUFFER_BYTES))

    def run(self) -> None:
        """Work until `WorkerContext.stop` is set."""
        context = self._context
        while not context.stop.is_set():
            generation = context.work_signal.generation
            grant = self._turns.grant(generation)
            # The work of the group may be for other accounts, not due yet, or wait for requests or a session.
            if grant is None or not self._work(grant):
                context.work_signal.idle(generation, self._turns.idle_s())

    def _work(self, grant: Grant) -> bool:
        with within(account=grant.lease.account):
            return _DownloadSession(self._context, grant, self._buffer).work()


class _DownloadSession:
    """One lease, from grant to release."""

    def __init__(self, context: WorkerContext, grant: Grant, buffer: memoryview) -> None:
        self._context = context
        self._grant = grant
        self._lease = grant.lease
        self._buffer = buffer
        self._claims = RequestClaims(context.store, self._lease, context.stop)
        self._checkpoint_every_s, transfer = context.settings.transfer.checkpoint_every_s, context.transfer
        self._transport = grant.transport(
            SessionTools(
                *(transfer.endpoint, self._claims.claim, buffer, transfer.budget, self._checkpoint_every_s),
                *(context.stop, transfer.stall_detector.watch),
            )
        )
        self._traffic = Traffic(context.store, self._lease, self._transport, self._checkpoint_every_s)
        self._claims.finish = self._traffic.count
        self._bytes_per_s: float | None = None
        self._handed: pieces.Work | None = None
        self._looked = False  # there was nothing to hand over when the last step was written

    def work(self) -> bool:
        """Work until none is left, or the session may not continue; return whether there was any work."""
        context = self._context
        last: Product | None = None
        try:
            while not context.stop.is_set():
                work, self._handed = self._handed or self._next(last), None
                if work is None:
                    break
                last = work.product
                self._claims.granted(work.requests)
                if not bounded(context.outcome, work.product, partial(self._step, work)):
                    break
        finally:
            used = self._transport.requests > 0
            self._transport.close()
            self._traffic.count()
            if self._handed is not None and not self._handed.pieces:  # pieces are released with the lease
                context.outcome.of_product(Stopped(), self._lease, self._handed.product)
            self._grant.release(used=used)
            if last is not None:
                context.work_signal.notify()
        return last is not None

    def _next(self, last: Product | None) -> pieces.Work | None:
        context = self._context
        generation = context.work_signal.generation
        self._traffic.count()
        self._forget_resume_point()
        looked, self._looked = self._looked, False
        work = None if looked else self._take()
        while work is None and make_room(context, self._lease.group, last):
            work, looked = self._take(), False
        if looked:  # there may be some by now
            work = self._take()
        if work is None and self._transport.requests:
            context.work_signal.wait_after(generation, _LINGER_S)
            work = self._take()
        return work

    def _take(self) -> pieces.Work | None:
        """Take the next work, if the session may continue; its requests replace those claimed before."""
        store, session_lock = self._context.store, self._context.settings.session_lock
        if not self._grant.may_take_more():
            return None
        typical = self._context.transfer.speeds.typical_bytes_per_s
        pacing = Pacing(session_lock, self._bytes_per_s, typical, self._transport.batch_s)
        return pieces.next_work(store.db, store.clock, self._lease, store.process, pacing)

    def _settle(self, settle: Callable[[], object], *, durable: bool) -> None:
        """Write what a step has come to, and take the next work, in one commit."""
        with self._context.store.db.write(durable=durable):
            settle()
            self._traffic.count()
            with suppress(LeaseLost):  # then the session ends
                self._handed = self._take()
                self._looked = self._handed is None
        self._forget_resume_point()  # a kill before the commit must not lose the piece

    def _forget_resume_point(self) -> None:
        """Clear the resume point of the last piece, because numbers of pieces are used again."""
        self._grant.save_resume_point(_NO_PIECE, 0, 0.0)

    def _step(self, work: pieces.Work) -> bool:
        if not work.pieces:
            return self._plan(work.product)
        bucket = self._location(work.product).bucket
        with PieceBatch.begun(self._context.disks, self._transport, bucket, work.product, work.pieces) as batch:
            try:
                return self._fetch(batch, work.pieces)
            finally:
                with suppress(TransferError):  # then they are given back with the session
                    self._note(batch)

    def _plan(self, product: Product) -> bool:
        context = self._context
        try:
            planned = plan_product(context, self._transport, product)
            if planned is not None:
                self._settle(partial(self._planned, planned), durable=False)
            elif product.destination is not None:  # it was there, and has been synced
                works_again.disk(context.store.db, context.store.clock, product.destination)
        except TransferError as error:
            self._traffic.count()
            if isinstance(error, AccountError) and error.code == "AccessDenied":
                match zipped.availability(context, self._lease.account, product):
                    case zipped.ZipAvailability.OPEN:
                        return self._fetch_zipped(product)
                    case zipped.ZipAvailability.ASK_FIRST:
                        zipped.ask_catalogue(context, product, error)
                        return True
            error, probe = self._judge(error, product)
            return context.outcome.of_product(error, self._lease, product, probe)
        self._traffic.count()
        if planned is None:
            context.outcome.listed(self._lease)
        context.work_signal.notify()
        return True

    def _planned(self, planned: Planned) -> None:
        store_plan(self._context, planned)
        self._context.outcome.listed(self._lease)

    def _fetch_zipped(self, product: Product) -> bool:
        """Fetch a product as a zip; the session's one connection is to the zipper meanwhile."""
        context = self._context
        if not self._transport.close():
            lost = Stopped("the connection of its session is not known to be closed")
            return context.outcome.of_product(lost, self._lease, product)
        try:
            zipped.fetch(context, self._lease, self._claims, product, self._buffer)
        except TransferError as error:
            probe = Probe.NOT_SENT
            if context.outcome.needs_probe(error, self._lease, product, service=breakers.ZIPPER):
                other = zipped.zipper_fails(context, self._lease, self._claims, product, self._buffer)
                error, probe = weighed(error, other)
            return context.outcome.of_product(error, self._lease, product, probe, breakers.ZIPPER)
        context.outcome.delivered(self._lease, products.get(context.store.db, product.id), by_key=False)
        context.work_signal.notify()
        return True

    def _judge(self, error: TransferError, product: Product, piece: Piece | None = None) -> tuple[TransferError, Probe]:
        """Find the fault domain of a failure; where it matters, ask for another product over the same connection.

        Returns
        -------
        tuple
            The error that counts, and what came of asking for the other product.
        """
        context = self._context
        error = self._blamed(error, product)
        if not context.outcome.needs_probe(error, self._lease, product, piece):
            return error, Probe.NOT_SENT
        _log.info("%s: %s; asking for another product", product.safename, error)
        location = self._location(product)
        known = context.transfer.arrivals.beside(location)
        error, probe = weighed(error, self._transport.other_product_fails(location, known))
        if probe is Probe.FAILS and self._transport.other_folder_works(location):
            probe = Probe.ELSEWHERE
        self._traffic.count()
        return error, probe

    def _blamed(self, error: TransferError, product: Product) -> TransferError:
        """Find the fault domain of a refusal: if the key lists other products, it is not the account's fault."""
        if not isinstance(error, AccountError) or error.code in THROTTLE_CODES:
            return error
        if not self._grant.has_current_keys():
            return Stopped("its keys were renewed, or expired while the machine slept")
        try:
            if not self._transport.key_works(self._location(product)):
                return error
        except Stopped as stopped:
            return stopped
        if error.code == "AccessDenied":
            return ProductError(str(error), code="Refused")
        return ServiceError(f"{error}; but the same key lists other products", code="WrongRefusal")

    def _fetch(self, batch: PieceBatch, todo: tuple[Piece, ...]) -> bool:
        context, product = self._context, batch.product
        noted_s = context.store.clock.boot_s()
        for number, piece in enumerate(todo):
            try:
                is_due = context.store.clock.boot_s() - noted_s >= self._checkpoint_every_s
                if is_due and not batch.files.has(piece):
                    self._note(batch)  # a kill must not lose what a slow connection fetched in a minute
                    batch.files.close()
                    noted_s = context.store.clock.boot_s()
                    if not self._grant.is_valid() or pieces.rests(context.store.db, product):
                        if not batch.files.stop():
                            return False
                        self._let_go(todo[number:])  # a person paused it meanwhile
                        return True
                if not batch.arrived:
                    Destination(context.disks, product).check()
                with context.disks.watch.at(product.destination or ""):
                    batch.arrived[piece] = self._fetch_one(batch, piece)
                if piece is todo[-1]:
                    self._note(batch, last=True)
            except Stopped:
                return False  # pieces are released with the lease, which knows what its holder may have left of them
            except TransferError as error:
                if not batch.files.stop():
                    return False
                self._traffic.count()
                error = self._unnoted(batch, piece) or error
                self._let_go(todo[number + 1 :])
                error, probe = self._judge(error, product, piece)
                return context.outcome.of_piece(error, self._lease, product, piece, probe)
        context.transfer.arrivals.note(self._location(product), todo[-1])
        return True

    def _unnoted(self, batch: PieceBatch, failed: Piece) -> TransferError | None:
        """Note what arrived before a piece failed; if its bytes cannot be synced, let go of it and return why."""
        try:
            self._note(batch)
        except TransferError as error:
            self._let_go(tuple(batch.arrived.keys() - {failed}))
            batch.arrived.clear()
            return error
        return None

    def _let_go(self, untouched: tuple[Piece, ...]) -> None:
        for piece in untouched:
            pieces.let_go(self._context.store.db, self._lease, piece)

    def _location(self, product: Product) -> S3Location:
        assert product.s3_path is not None, f"{product.safename} is downloading without a path"
        return location_of(product.safename, product.s3_path, self._context.settings.services.s3_bucket)

    def _fetch_one(self, batch: PieceBatch, piece: Piece) -> Digests:
        progress = PieceProgress(self._context.store, self._grant, piece, self._traffic, self._checkpoint_every_s)
        clock, transport = self._context.store.clock, self._transport
        begun_s, before = clock.boot_s(), (transport.requests + 1, self._claims.waits)
        digests = batch.files.fetch(piece, progress)
        if (transport.requests, self._claims.waits) == before:  # it did not wait or fail meanwhile
            seen = self._context.transfer.speeds.note(piece.size_bytes - piece.done_bytes, clock.boot_s() - begun_s)
            self._bytes_per_s = seen or self._bytes_per_s
        return digests

    def _note(self, batch: PieceBatch, *, last: bool = False) -> None:
        """Write to the state, in one commit, that pieces arrived; `last`: and take the next work in it.

        What arrived since the last sync of the state is fetched again after a power cut. It raises a TransferError if
        the bytes cannot be synced.
        """
        context = self._context
        if not batch.arrived:
            return
        arrived, db = batch.synced(), context.store.db
        try:
            if last:
                settle = partial(self._delivered, batch.product, arrived)
                self._settle(settle, durable=db.unsynced_for_s >= self._checkpoint_every_s)
            else:
                with db.write():
                    pieces.finish(db, self._lease, arrived)
                    self._traffic.count()
        except LeaseLost as lost:
            _log.info("%s", lost)  # a failure in another session has changed the product meanwhile
        context.work_signal.notify()

    def _delivered(self, product: Product, arrived: Mapping[Piece, Digests]) -> None:
        pieces.finish(self._context.store.db, self._lease, arrived)
        self._context.outcome.delivered(self._lease, product)
