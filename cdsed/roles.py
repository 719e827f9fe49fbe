"""What each worker process is made of: the only module that imports from all packages.

*intake* takes listings, *resolve* finds the S3 paths of products, *download* processes fetch them. Where they are
needed, *keys* makes temporary S3 keys, *queries* runs standing queries, *hooks* gives events to hooks, and *web* serves
the page. What the first three need is imported before they are forked, see `import_work`. The others import only what
they need. No worker loads the libraries of the catalogue before it asks it.
"""

import errno
import logging
import math
import os
import time
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cdsed import log
from cdsed.config.accounts import Accounts, load_accounts
from cdsed.config.load import load_settings
from cdsed.config.secrets import forbid_core_dumps
from cdsed.credentials.key_ledger import LEDGER_NAME, Keyring
from cdsed.errors import DiskError, ExitCode, InboxError, Stopped
from cdsed.local.presence import Presence, presence_of
from cdsed.logevent import LogEvent, about
from cdsed.process.lock import KernelLock
from cdsed.process.register import Register, register_dir
from cdsed.process.worker_control import HeartbeatClock, WorkerControl, run_worker
from cdsed.store import breakers, notices, processes
from cdsed.store.breakers import BreakerPolicy
from cdsed.work.worker import Worker, registered

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cdsed.catalogue.client import Catalogue
    from cdsed.engine.head import Head
    from cdsed.model.catalogue_entry import Facts
    from cdsed.work.context import WorkerContext
    from cdsed.work.intake import Intake

_log = logging.getLogger(__name__)

_POLL_S = 0.2
_HEARTBEAT_S = 1.0
_BREATH_S = 0.01
_INBOX_POLICY = BreakerPolicy(threshold=1, first_s=1.0, longest_s=30.0)


def import_work() -> None:
    """Import what *intake*, *resolve* and *download* need, so that workers which are forked from here share it."""
    import cdsed.inbox.watch
    import cdsed.transfer.bandwidth
    import cdsed.transfer.connection
    import cdsed.work.flock_broker
    import cdsed.work.intake
    import cdsed.work.resolve
    import cdsed.work.roots
    import cdsed.work.session_pool
    import cdsed.work.sharing
    import cdsed.work.unreadable  # noqa: F401 - the functions below use them


def run_role(role: str, name: str, config: Path) -> ExitCode:
    """Run one worker process until it has to stop; ``cdsed role`` calls this."""
    bodies: dict[str, Callable[[Worker], None]] = {
        "intake": _intake,
        "resolve": _resolve,
        "download": partial(_download, config),
        "publish": _publish,
        "keys": _keys,
        "queries": _queries,
        "hooks": _hooks,
        "web": _web,
    }

    def work(control: WorkerControl) -> None:
        forbid_core_dumps()
        log.setup(name)  # before the settings are read, so that their errors are logged too
        settings = load_settings(config, os.environ)
        log.setup(name, settings.log_level, settings.log_format)
        accounts = Accounts({}) if role == "web" else load_accounts(settings, os.environ)  # the page holds no secret
        with registered(name, settings, accounts, control) as worker:
            bodies[role](worker)

    return run_worker(name, work)


def _intake(worker: Worker) -> None:
    from cdsed.work.intake import Intake
    from cdsed.work.reports import forget_unwritten

    worker.control.ready()  # before the first look at the inbox: its disk may be away, and that must not end the daemon

    def between_batches() -> None:
        worker.heartbeat()
        # SQLite's busy handler is not fair: without a pause between batches the other writers would get no turn.
        if worker.control.stop.wait(_BREATH_S):
            raise Stopped

    forget_unwritten(worker.db, worker.clock)
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

    inbox, clock = worker.settings.inbox, worker.clock
    gone = tell_missing(on_disk, frozenset())
    note_spools(worker.db, clock, worker.settings)
    intake.go_on()
    with InboxWatch(inbox.path) as watch:
        notices.note(worker.db, clock, notices.INBOX, watch.refusal)
        scan_at_s = 0.0
        while not worker.control.stop.is_set():
            worker.heartbeat()
            seen = watch.read()
            if seen.any or clock.boot_s() >= scan_at_s:
                gone = tell_missing(on_disk, gone)
                note_spools(worker.db, clock, worker.settings)
                unreadable.look_again(worker.db, clock)
                intake.look(seen.moved_in)
                if breakers.last_failure(worker.db, breakers.INBOX) is not None:
                    breakers.forget(worker.db, breakers.INBOX)
                    _log.info("the inbox %s can be used again", inbox.path, extra=about(LogEvent.INBOX_BACK))
                scan_at_s = min(clock.boot_s() + inbox.scan_every_s, intake.scan_at_s())
            intake.report()
            until_s = min(scan_at_s, intake.report_at_s()) - clock.boot_s()
            worker.changes.wait(min(max(_HEARTBEAT_S, worker.rest_s()), max(0.0, until_s)), watch)


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
    from cdsed.work.resolve import Resolver

    with ExitStack() as stack:
        resolver = Resolver(
            worker.db, worker.clock, _LateCatalogue(worker, stack), worker.process, worker.settings.retry
        )
        worker.control.ready()
        while not worker.control.stop.is_set():
            worker.heartbeat()
            if not resolver.resolve_some():
                worker.changes.wait(max(_HEARTBEAT_S, worker.rest_s()))


class _LateCatalogue:
    """The catalogue, loaded when it is first asked: most names give their paths without it."""

    def __init__(self, worker: Worker, stack: ExitStack) -> None:
        self._worker = worker
        self._stack = stack
        self._catalogue: Catalogue | None = None

    def look_up(self, names: "Sequence[str]") -> "Facts":
        from cdsed.catalogue.client import Catalogue

        if self._catalogue is None:
            clock = HeartbeatClock(self._worker.heartbeat)
            self._catalogue = self._stack.enter_context(
                Catalogue(self._worker.settings, clock=clock, stop=self._worker.control.stop)
            )
        return self._catalogue.look_up(names)


def _download(config: Path, worker: Worker) -> None:
    context, settings = _worker_context(worker), worker.settings
    sessions = sum(group.sessions for group in worker.accounts.groups.values())
    if settings.engine.kind == "local":
        _look_after(worker, context, math.ceil(sessions / settings.transfer.processes))
        return
    with _head(worker, config, context, sessions) as head:
        context = replace(context, transfer=replace(context.transfer, broker=head.broker))
        _look_after(worker, context, sessions, finishers=0, connected=lambda: head.alive)


def _publish(worker: Worker) -> None:
    """Verify and publish what holders fetched: beside hundreds of sessions, a thread would keep them waiting."""
    _look_after(worker, _worker_context(worker), sessions=0)


def _look_after(
    worker: Worker,
    context: "WorkerContext",
    sessions: int,
    finishers: int = 1,
    connected: "Callable[[], bool]" = lambda: True,
) -> None:
    """Run the threads of a download process, and look after them until it must stop."""
    from cdsed.work.session_pool import SessionPool

    pool = SessionPool(context, sessions, finishers)
    worker.control.ready()
    stop, heartbeat_s = worker.control.stop, 0.0
    try:
        while not stop.is_set() and pool.whole and connected():
            changed = worker.changes.wait(max(0.0, heartbeat_s - time.monotonic()))
            rest_s = worker.rest_s()
            context.work_signal.note_rest(at_rest=rest_s > 0)  # before threads look, and wait again
            if changed:
                context.work_signal.notify()
            if time.monotonic() >= heartbeat_s:
                pool.look()
                worker.heartbeat()
                heartbeat_s = math.inf
            heartbeat_s = min(heartbeat_s, time.monotonic() + max(_HEARTBEAT_S, rest_s))
    finally:
        worker.mark_leaving()
        pool.leave()
        for at_hand in worker.outgrew:
            processes.outgrew(worker.db, worker.clock, worker.name, at_hand)


def _head(worker: Worker, config: Path, context: "WorkerContext", sessions: int) -> "Head":
    """Return what gives the connections to holders; only it loads Dask."""
    from cdsed.engine.head import Head
    from cdsed.store.state_id import state_id
    from cdsed.work.flock_broker import FlockBroker

    local = context.transfer.broker
    assert isinstance(local, FlockBroker), "`_worker_context` makes it"
    on_idle, leaving = context.work_signal.notify, worker.control.stop
    return Head(local, config, state_id(worker.settings.state_dir), sessions, on_idle, leaving)


def _worker_context(worker: Worker) -> "WorkerContext":
    from cdsed.store.state_id import state_id
    from cdsed.transfer.bandwidth import BandwidthBudget
    from cdsed.transfer.connection import Endpoint
    from cdsed.transfer.ownerfile import this_owner
    from cdsed.transfer.owners import Owners
    from cdsed.transfer.stall_detector import StallDetector
    from cdsed.work.context import DiskContext, StoreContext, TransferContext, WorkerContext, WorkSignal
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
        work_signal=WorkSignal(),
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
