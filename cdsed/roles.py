"""What each worker process is made of: the only module that imports from all packages.

*intake* takes listings, *resolve* finds the S3 paths of products, *download* processes fetch them. Where they are
needed, *keys* makes temporary S3 keys, *queries* runs standing queries, *hooks* gives events to hooks, and *web* serves
the page. Each imports only what it needs: a download worker never loads the libraries of the catalogue, and the resolve
worker never loads those of S3.
"""

import errno
import logging
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cdsed import log
from cdsed.clock import SYSTEM_CLOCK, Clock
from cdsed.config.accounts import Accounts, load_accounts
from cdsed.config.load import load_settings
from cdsed.config.secrets import forbid_core_dumps
from cdsed.config.settings import Settings
from cdsed.credentials.key_ledger import LEDGER_NAME, Keyring
from cdsed.errors import DiskError, ExitCode, InboxError, StateError, Stopped
from cdsed.local.presence import Presence, presence_of
from cdsed.logevent import LogEvent, about
from cdsed.process.lock import KernelLock
from cdsed.process.memory import rss_bytes
from cdsed.process.register import Register, register_dir
from cdsed.process.worker_control import HeartbeatClock, WorkerControl, run_worker
from cdsed.store import breakers, notices, processes
from cdsed.store.breakers import BreakerPolicy
from cdsed.store.database import Database, join_state
from cdsed.work.process_lock import lock_of_this_process

if TYPE_CHECKING:
    from cdsed.work.context import WorkerContext, WorkSignal
    from cdsed.work.intake import Intake

_log = logging.getLogger(__name__)

_POLL_S = 0.2  # how soon one process notices what another has committed
_HEARTBEAT_S = 1.0
_BREATH_S = 0.01
_INBOX_POLICY = BreakerPolicy(threshold=1, first_s=1.0, longest_s=30.0)


@dataclass(frozen=True, slots=True)
class Worker:
    """One worker process: its database connection, its number there, and its control by the supervisor."""

    name: str
    db: Database
    clock: Clock
    settings: Settings
    accounts: Accounts
    process: int
    control: WorkerControl
    lock: KernelLock
    outgrew: list[list[int]] = field(default_factory=list)  # the products it worked on when it reached its memory limit

    def mark_leaving(self) -> None:
        """Note that the worker leaves in order: if it is killed because that takes too long, no product is charged."""
        if not self.outgrew:
            with suppress(OSError):
                self.lock.note(processes.LEFT)

    def heartbeat(self) -> None:
        """Send a heartbeat; a worker above its memory limit leaves in order, and a new one follows it.

        The products it works on may be the reason. Its lock file says so, in case it dies before its orderly end.
        """
        self.control.heartbeat()
        rss_max_bytes = self.settings.process.rss_max_bytes
        if rss_max_bytes and not self.control.stop.is_set() and (used_bytes := rss_bytes()) > rss_max_bytes:
            _log.warning("%.0f MB of memory are in use: a new process takes over", used_bytes / 1e6)
            self.outgrew.append(processes.at_hand(self.db, self.process))
            with suppress(OSError):
                self.lock.note(processes.OUTGREW)
            self.control.stop.set()

    def wait_for_changes(self, seconds: float, woken: Callable[[], bool] = lambda: False) -> bool:
        """Wait for a commit of another process, `woken` or the stop signal; return False after `seconds` without."""
        seen = self.db.changes_seen()
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s:
            if self.control.stop.wait(_POLL_S):
                return True
            if self.db.changes_seen() != seen or woken():
                return True
        return False


def run_role(role: str, name: str, config: Path) -> ExitCode:
    """Run one worker process until it has to stop; ``cdsed role`` calls this."""
    body = {
        "intake": _intake,
        "resolve": _resolve,
        "download": _download,
        "keys": _keys,
        "queries": _queries,
        "hooks": _hooks,
        "web": _web,
    }[role]

    def work(control: WorkerControl) -> None:
        forbid_core_dumps()
        log.setup(name)  # before the settings are read, so that their errors are logged too
        settings = load_settings(config, os.environ)
        log.setup(name, settings.log_level, settings.log_format)
        accounts = Accounts({}) if role == "web" else load_accounts(settings, os.environ)  # the page holds no secret
        with _registered(name, settings, accounts, control) as worker:
            body(worker)

    return run_worker(name, work)


@contextmanager
def _registered(name: str, settings: Settings, accounts: Accounts, control: WorkerControl) -> Iterator[Worker]:
    """Enter this process in the database, with a lock that is held as long as the process lives."""
    clock = SYSTEM_CLOCK
    lock = lock_of_this_process(settings)
    try:
        db = join_state(settings.state_dir)
        try:
            process = processes.register(db, clock, name=name, lock=lock.path)
            try:
                yield Worker(name, db, clock, settings, accounts, process, control, lock)
                processes.release(db, clock, process)
            except StateError:
                lock.note(processes.LEFT)
                raise
            except BaseException:
                processes.release(db, clock, process)
                raise
        finally:
            db.close()
        lock.path.unlink(missing_ok=True)
    finally:
        lock.release()


def _intake(worker: Worker) -> None:
    from cdsed.work.intake import Intake

    worker.control.ready()  # before the first look at the inbox: its disk may be away, and that must not end the daemon

    def between_batches() -> None:
        worker.heartbeat()
        # SQLite's busy handler is not fair: without a pause between batches the other writers would get no turn.
        if worker.control.stop.wait(_BREATH_S):
            raise Stopped

    groups, on_disk = worker.accounts.groups, presence_of(worker.settings, worker.clock, between_batches)
    intake = Intake(worker.db, worker.clock, worker.settings, groups, on_disk, between_batches)
    with suppress(Stopped):
        while not worker.control.stop.is_set():
            try:
                _take_listings(worker, intake, on_disk)
            except InboxError as error:
                _rest_from_inbox(worker, DiskError(str(error), code="NotMounted"))
            except OSError as error:
                message = f"{error.filename}: {error.strerror}" if error.filename else str(error)
                _rest_from_inbox(worker, DiskError(message, code=errno.errorcode.get(error.errno or errno.EIO, "EIO")))


def _take_listings(worker: Worker, intake: "Intake", on_disk: "Presence") -> None:
    from cdsed.inbox.watch import InboxWatch
    from cdsed.work import unreadable
    from cdsed.work.roots import note_spools, tell_missing

    inbox = worker.settings.inbox
    woken: list[bool] = []
    gone = tell_missing(on_disk, frozenset())
    note_spools(worker.db, worker.clock, worker.settings)
    intake.go_on()
    with InboxWatch(inbox.path, lambda: woken.append(True)) as watch:
        notices.note(worker.db, worker.clock, notices.INBOX, watch.refusal)
        next_scan_s = 0.0
        while not worker.control.stop.is_set():
            worker.heartbeat()
            if woken or time.monotonic() >= next_scan_s:
                woken.clear()
                gone = tell_missing(on_disk, gone)
                note_spools(worker.db, worker.clock, worker.settings)
                unreadable.look_again(worker.db, worker.clock)
                intake.look()
                if breakers.last_failure(worker.db, breakers.INBOX) is not None:
                    breakers.forget(worker.db, breakers.INBOX)
                    _log.info("the inbox %s can be used again", inbox.path, extra=about(LogEvent.INBOX_BACK))
                next_scan_s = time.monotonic() + inbox.scan_every_s
            intake.report()
            worker.wait_for_changes(_HEARTBEAT_S, lambda: bool(woken))


def _rest_from_inbox(worker: Worker, why: DiskError) -> None:
    """Report in the log and the status that the inbox cannot be used, and wait before the next try."""
    known = breakers.last_failure(worker.db, breakers.INBOX) is not None
    message = f"the inbox {worker.settings.inbox.path} cannot be used ({why}); listings wait until it can"
    pause_s = breakers.fail(worker.db, worker.clock, breakers.INBOX, _INBOX_POLICY, DiskError(message, code=why.code))
    if not known:
        _log.error("%s", message, extra=about(LogEvent.INBOX_OUT, error=why.code))
    until_s = time.monotonic() + pause_s
    while time.monotonic() < until_s and not worker.control.stop.wait(_POLL_S):
        worker.heartbeat()


def _resolve(worker: Worker) -> None:
    from cdsed.catalogue.client import Catalogue
    from cdsed.work.resolve import Resolver

    with Catalogue(worker.settings, clock=HeartbeatClock(worker.heartbeat), stop=worker.control.stop) as catalogue:
        resolver = Resolver(worker.db, worker.clock, catalogue, worker.process, worker.settings.retry)
        worker.control.ready()
        while not worker.control.stop.is_set():
            worker.heartbeat()
            if not resolver.resolve_some():
                worker.wait_for_changes(_HEARTBEAT_S)


def _download(worker: Worker) -> None:
    from cdsed.work.context import WorkSignal
    from cdsed.work.session_pool import SessionPool

    settings, stop = worker.settings, worker.control.stop
    context = _worker_context(worker, WorkSignal())
    pool = SessionPool(
        context,
        math.ceil(sum(group.sessions for group in worker.accounts.groups.values()) / settings.transfer.processes),
    )
    worker.control.ready()
    heartbeat_s = 0.0
    try:
        while not stop.is_set() and pool.whole:
            if worker.wait_for_changes(_POLL_S):
                context.work_signal.notify()
            if time.monotonic() >= heartbeat_s:
                pool.look()
                worker.heartbeat()
                heartbeat_s = time.monotonic() + _HEARTBEAT_S
    finally:
        worker.mark_leaving()
        pool.leave()
        for at_hand in worker.outgrew:
            processes.outgrew(worker.db, worker.clock, worker.name, at_hand)


def _worker_context(worker: Worker, work_signal: "WorkSignal") -> "WorkerContext":
    from cdsed.store.state_id import state_id
    from cdsed.transfer.bandwidth import BandwidthBudget
    from cdsed.transfer.connection import Endpoint
    from cdsed.transfer.ownerfile import this_owner
    from cdsed.transfer.owners import Owners
    from cdsed.transfer.stall_detector import StallDetector
    from cdsed.work.context import DiskContext, StoreContext, TransferContext, WorkerContext
    from cdsed.work.flock_broker import FlockBroker
    from cdsed.work.outcome import Outcome
    from cdsed.work.sharing import SharedAccounts

    db, clock, settings = worker.db, worker.clock, worker.settings
    store = StoreContext(db, clock, worker.process)
    outcome = Outcome(db, clock, settings.retry)
    accounts = {account.name: account for account in worker.accounts}
    register = Register(register_dir(os.environ), os.getppid(), settings.state_dir)
    shared = SharedAccounts(db, clock, register, accounts, settings.services.s3_url)
    keyring = Keyring(settings.state_dir / LEDGER_NAME, clock)
    owners = Owners(this_owner(state_id(settings.state_dir), settings.state_dir, os.getppid()))
    return WorkerContext(
        store=store,
        disks=DiskContext(db, clock, settings, presence_of(settings, clock), owners, outcome),
        transfer=TransferContext(
            endpoint=Endpoint.from_settings(settings),
            stall_detector=StallDetector(settings.transfer.rate_min_bytes_per_s, settings.transfer.rate_window_s),
            broker=FlockBroker(store, settings, accounts, keyring, shared),
            shared=shared,
            budget=BandwidthBudget(settings.sessions_dir, {account.name: account.group for account in worker.accounts}),
        ),
        settings=settings,
        outcome=outcome,
        work_signal=work_signal,
        stop=worker.control.stop,
    )


def _keys(worker: Worker) -> None:
    from cdsed.credentials.temporary_keys import TemporaryKeyManager

    stop = worker.control.stop
    lock = KernelLock(worker.settings.sessions_dir / "keys.lock")
    worker.control.ready()
    while not lock.acquire():  # a keys worker of an older daemon may still delete its keys
        worker.heartbeat()
        if stop.wait(_POLL_S):
            return
    manager = TemporaryKeyManager(worker.db, worker.clock, worker.settings, worker.process, stop)
    try:
        manager.begin(worker.accounts)
        while not stop.is_set():
            worker.heartbeat()
            manager.maintain_due(worker.heartbeat)
            stop.wait(_HEARTBEAT_S)
    finally:
        manager.end()
        lock.release()


def _queries(worker: Worker) -> None:
    from cdsed.schedule.query_times import next_run_at
    from cdsed.work.query_runs import run_queries

    run_queries(worker, next_run_at)


def _hooks(worker: Worker) -> None:
    from cdsed.work.hook_worker import run_hooks

    run_hooks(worker)


def _web(worker: Worker) -> None:
    from cdsed.web.role import serve

    worker.control.ready()
    serve(worker.db, worker.clock, worker.settings, worker.control.stop, worker.heartbeat)
