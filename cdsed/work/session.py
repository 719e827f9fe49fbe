"""A session at work: lease one, plan or fetch until nothing is left to do, give it back.

One thread drives one session at a time: one connection, one buffer. It never waits while it holds a lease,
except for a blip of the service or the next moment's work.
"""

import logging
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from cdsed.config.accounts import S3Keys
from cdsed.credentials import key_diagnosis
from cdsed.errors import AccountError, LeaseLost, ProductError, StateError, Stopped, TransferError
from cdsed.model.eodata import split_s3_path
from cdsed.model.product import Product
from cdsed.model.transfer import Digests, Piece, ResumePoint
from cdsed.process.lock import KernelLock
from cdsed.store import leases, pieces, products
from cdsed.store.leases import Lease
from cdsed.transfer.connection import Connection, Credentials
from cdsed.transfer.fetch import BUFFER_BYTES, FetchContext, fetch_piece
from cdsed.transfer.s3_list import key_works
from cdsed.transfer.verify import algorithms_for
from cdsed.work import owning, sharing, zipped
from cdsed.work.begin import begin
from cdsed.work.bench import Bench
from cdsed.work.boundary import bounded
from cdsed.work.claims import RequestClaims
from cdsed.work.place import check_disk
from cdsed.work.retrying import through_blips
from cdsed.work.traffic import Traffic

_log = logging.getLogger(__name__)

_IDLE_S = 1.0  # due times and rests pass without news
_NO_PIECE = 0
_LINGER_S = 0.3  # a kept connection is worth this long a wait for the next product's plan


@dataclass(frozen=True, slots=True)
class _Held:
    lease: Lease
    lock: KernelLock
    shared: KernelLock
    keys: S3Keys

    def save_resume_point(self, piece: int, done_bytes: int, booted_at: float) -> None:
        """Leave in the lock file how far a piece is."""
        try:
            self.lock.note(ResumePoint(self.lease.fence, piece, done_bytes, booted_at).pack())
        except OSError as error:  # the disk of the state is sick, and for that no product pays
            raise StateError(f"{self.lock.path} cannot be written: {error.strerror}") from error


class SessionThread:
    """Leases sessions and works them, one after the other, until the process must leave."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._buffer = memoryview(bytearray(BUFFER_BYTES))

    def run(self) -> None:
        """Work until `Bench.stop` is set."""
        bench = self._bench
        while not bench.stop.is_set():
            edition = bench.news.edition
            held = self._lease()
            # A session may find that the work of its group is not for its account, or not for now.
            if held is None or not _Session(bench, held, self._buffer).work():
                bench.news.wait_after(edition, _IDLE_S)

    def _lease(self) -> _Held | None:
        """Lease the best free session of a group that has work; first its flock, then its row."""
        bench = self._bench
        groups = products.groups_at_work(bench.db, bench.clock)
        for session in leases.free_sessions(bench.db, bench.clock, groups) if groups else ():
            account = bench.accounts.get(session.account)
            if account is None or session.login not in ("", account.login_mark):
                continue  # new in the accounts file, or another login's by now: this process is about to be replaced
            keys = bench.keyring.keys_of(account)
            if keys is None:  # they ended just now
                continue
            lock = KernelLock(bench.settings.session_lock(session.account, session.slot))
            if not lock.acquire():
                continue
            shared = sharing.take(bench, account, session.slot)
            lease = leases.take(bench.db, bench.clock, session, bench.process) if shared else None
            if shared is not None and lease is not None:
                key_diagnosis.note_use(bench.db, bench.clock, session.account, keys)
                return _Held(lease, lock, shared, keys)
            if shared is not None:
                shared.release()
            lock.release()
        return None


class _Session:
    """One lease, from its taking to its giving back."""

    def __init__(self, bench: Bench, held: _Held, buffer: memoryview) -> None:
        self._bench = bench
        self._held = held
        self._lease = held.lease
        self._buffer = buffer
        self._account = bench.accounts[held.lease.account]
        self._claims = RequestClaims(bench, held.lease)
        credentials = Credentials(held.keys.access_key, held.keys.secret_key)
        self._connection = Connection(bench.endpoint, credentials, self._claims.claim)
        self._traffic = Traffic(bench, held.lease, self._connection)
        self._claims.settle = self._traffic.count

    def work(self) -> bool:
        """Plan and fetch until there is nothing to do, the account may not, or the process must leave.

        Returns
        -------
        bool
            Whether there was anything to do at all.
        """
        bench = self._bench
        worked = False
        try:
            while not bench.stop.is_set() and self._may_go_on():
                work = self._next()
                if work is None:
                    break
                worked = True
                self._claims.granted(work.requests)
                if not bounded(bench.outcome, work.product, partial(self._step, work)):
                    break
        finally:
            used = self._connection.requests > 0
            self._connection.close()
            self._traffic.count()
            rest_s = bench.settings.transfer.session_rest_s if used else 0.0
            leases.give_back(bench.db, bench.clock, self._lease, rest_s=rest_s)
            self._held.shared.release()
            self._held.lock.release()
            if worked:
                bench.news.tell()
        return worked

    def _may_go_on(self) -> bool:
        bench = self._bench
        if not leases.may_go_on(bench.db, bench.clock, self._lease):
            return False
        return bench.keyring.keys_of(self._account) == self._held.keys  # temporary ones are renewed

    def _next(self) -> pieces.Work | None:
        bench = self._bench
        edition = bench.news.edition
        self._traffic.count()  # the next claim takes the place of this one
        self._held.save_resume_point(_NO_PIECE, 0, 0.0)  # numbers of pieces are used again: the last one's is void
        work = pieces.next_work(bench.db, bench.clock, self._lease, bench.process)
        if work is None and self._connection.requests:
            bench.news.wait_after(edition, _LINGER_S)
            work = pieces.next_work(bench.db, bench.clock, self._lease, bench.process)
        return work

    def _step(self, work: pieces.Work) -> bool:
        if not work.pieces:
            return self._begin(work.product)
        arrived: dict[Piece, Digests] = {}
        try:
            return self._fetch(work.product, work.pieces, arrived)
        finally:
            self._note(arrived)

    def _begin(self, product: Product) -> bool:
        bench = self._bench
        try:
            for attempt in through_blips(bench.stop):
                with attempt, bench.stall_detector.watch(self._connection):
                    begin(bench, self._connection, self._lease.account, product)
        except TransferError as error:
            self._traffic.count()
            if isinstance(error, AccountError) and error.code == "AccessDenied":
                match zipped.availability(bench, self._lease.account, product):
                    case zipped.ZipAvailability.OPEN:
                        return self._begin_zipped(product)
                    case zipped.ZipAvailability.ASK_FIRST:
                        zipped.ask_catalogue(bench, product, error)
                        return True
            return bench.outcome.of_product(self._blamed(error, product), self._lease, product)
        self._traffic.count()
        bench.outcome.listed(self._lease)
        bench.news.tell()
        return True

    def _begin_zipped(self, product: Product) -> bool:
        """Fetch a product as a zip; the session's one connection goes to the zipper meanwhile."""
        bench = self._bench
        self._connection.close()
        try:
            zipped.fetch(bench, self._lease, self._claims, product, self._buffer)
        except TransferError as error:
            return bench.outcome.of_product(error, self._lease, product)
        bench.outcome.delivered(self._lease, products.get(bench.db, product.id), by_key=False)
        bench.news.tell()
        return True

    def _blamed(self, error: TransferError, product: Product) -> TransferError:
        """Find out whose fault a refusal is: when the key opens other things, it is this product's."""
        if error.code != "AccessDenied" or product.s3_path is None:
            return error
        try:
            if not key_works(self._connection, self._lease.account, split_s3_path(product.s3_path)):
                return error
        except Stopped as stopped:
            return stopped
        return ProductError(str(error), code="Refused")

    def _fetch(self, product: Product, todo: tuple[Piece, ...], arrived: dict[Piece, Digests]) -> bool:
        """Fetch a batch of pieces; add to `arrived` those that are not yet noted."""
        bench = self._bench
        noted_s = bench.clock.boot_s()
        for number, piece in enumerate(todo):
            if bench.clock.boot_s() - noted_s >= bench.settings.transfer.checkpoint_every_s:
                self._note(arrived)  # a kill must not cost what a slow connection brought in a minute
                noted_s = bench.clock.boot_s()
            try:
                if not arrived:
                    check_disk(bench, Path(product.destination or ""))
                    with bench.watch.at(product.destination or ""):
                        owning.hold(bench, product)
                with bench.watch.at(product.destination or ""):
                    arrived[piece] = self._fetch_one(product, piece)
            except TransferError as error:
                self._traffic.count()
                self._note(arrived)
                for untouched in todo[number + 1 :]:
                    pieces.let_go(bench.db, self._lease, untouched)
                return bench.outcome.of_piece(self._blamed(error, product), self._lease, product, piece)
        self._note(arrived)
        bench.outcome.delivered(self._lease, product)
        return True

    def _fetch_one(self, product: Product, piece: Piece) -> Digests:
        """Fetch a piece through blips, each time from where the last try ended."""
        bench = self._bench
        assert product.s3_path is not None, f"{product.safename} is downloading without a path"
        assert product.staging is not None, f"{product.safename} is downloading without a staging directory"
        context = FetchContext(
            connection=self._connection,
            account=self._lease.account,
            bucket=split_s3_path(product.s3_path).bucket,
            buffer=self._buffer,
            bandwidth_bytes_per_s=self._account.bandwidth_bytes_per_s,
            checkpoint_every_s=bench.settings.transfer.checkpoint_every_s,
            stop=bench.stop,
            check_owner=partial(owning.check, bench, product),
        )
        progress = _Progress(bench, self._held, piece, self._traffic)
        for attempt in through_blips(bench.stop):
            with attempt, bench.stall_detector.watch(self._connection):
                folder, algorithms = Path(product.staging), algorithms_for(product.safename)
                return fetch_piece(context, progress.piece, folder, algorithms, progress)
        raise AssertionError("tenacity gave up without an error")

    def _note(self, arrived: dict[Piece, Digests]) -> None:
        """Note pieces that arrived, together; whatever happens to the others."""
        bench = self._bench
        if not arrived:
            return
        try:
            with bench.db.write():
                pieces.finish(bench.db, self._lease, arrived)
                self._traffic.count()
        except LeaseLost as lost:
            _log.info("%s", lost)  # what befell another session has moved the product on meanwhile
        arrived.clear()
        bench.news.tell()


class _Progress:
    """Notes how far a piece is: in the session's lock file at every buffer, in the database when it is safe."""

    def __init__(self, bench: Bench, held: _Held, piece: Piece, traffic: Traffic) -> None:
        self.piece = piece
        self._bench = bench
        self._held = held
        self._traffic = traffic
        self._booted_at = bench.clock.booted_at()
        self.written(piece.done_bytes)  # an older resume point of this lease must not count for this copy

    def written(self, done_bytes: int) -> None:
        self._held.save_resume_point(self.piece.id, done_bytes, self._booted_at)

    def safe(self, done_bytes: int) -> None:
        with self._bench.db.write():
            pieces.advance(self._bench.db, self._held.lease, self.piece, done_bytes)
            self._traffic.count()
        self.piece = replace(self.piece, done_bytes=done_bytes)
