"""The daemon: one supervisor per state directory, its ticks, and what it does when a worker dies.

It loads neither boto3 nor requests: it only keeps workers running and releases what dead workers held.
"""

import errno
import gc
import logging
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

from cdsed import log
from cdsed._version import __version__
from cdsed.clock import SYSTEM_CLOCK, Clock
from cdsed.config.accounts import Accounts, build_checks, load_accounts
from cdsed.config.load import load_settings
from cdsed.config.secrets import forbid_core_dumps
from cdsed.config.settings import Settings
from cdsed.credentials.key_ledger import LEDGER_NAME, Keyring, is_wanted
from cdsed.errors import ConfigError, ExitCode, StateDiskError
from cdsed.frozen import frozen
from cdsed.logevent import LogEvent, about
from cdsed.process.child import ChildSpec
from cdsed.process.exits import ChildExit
from cdsed.process.interpreter import module_command
from cdsed.process.limits import Limits
from cdsed.process.lock import LOCK_NAME, DaemonLock, is_free
from cdsed.process.signals import hold
from cdsed.process.supervisor import Supervisor
from cdsed.process.systemd import Systemd
from cdsed.process.template import Template
from cdsed.schedule.ticks import Tick, Ticks
from cdsed.store import breakers, crash_loops, leases, machines, notices, outbox, processes, products, snapshot
from cdsed.store.commit_watch import CommitWatch
from cdsed.store.crash_loops import Crashing
from cdsed.store.database import join_state
from cdsed.store.processes import no_evidence
from cdsed.store.reserve import Reserve
from cdsed.store.rest import RestWatch
from cdsed.work import controls, run_files
from cdsed.work.account_limits import account_limits
from cdsed.work.deaths import Deaths
from cdsed.work.maintenance import Maintenance
from cdsed.work.once import OnceEnd
from cdsed.work.recover import open_for_daemon
from cdsed.work.state_dir import make_state_dir
from cdsed.work.timetable import Timetable

_log = logging.getLogger(__name__)

_START_WITHIN_S = 3600  # examining a large state takes seconds, recovering one of millions of products many minutes
_STAY = "the former settings and accounts stay in force"
_DISK_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})


@frozen
class _RunOptions:
    """The options of the command line; see `run`."""

    config: Path
    once: bool
    idle_timeout_s: float
    template: Template | None = None


def run(
    config: Path, *, once: bool, idle_timeout_s: float, make_template: Callable[[], Template] | None = None
) -> ExitCode:
    """Run the daemon until a signal stops it.

    Parameters
    ----------
    config
        The settings file. The workers read it too. All processes read it again after a HUP.
    once
        Exit when the inbox is empty and every listing is reported.
    idle_timeout_s
        With `once`: exit with UNFINISHED after this time without progress.
    make_template
        Makes the process that the workers are forked from; None: each starts as a command.

    Raises
    ------
    ConfigError, StateError, AlreadyRunning
        The daemon cannot start; the text says why.
    """
    hold(signal.SIGHUP)  # a reload that is requested during the start happens when all workers are ready
    forbid_core_dumps()
    settings = load_settings(config, os.environ)
    log.setup("supervisor", settings.log_level, settings.log_format)
    build_checks()
    with ExitStack() as stack:
        # Before there are secrets, a lock, a database or a thread: it must inherit none of them.
        template = stack.enter_context(make_template()) if make_template is not None else None
        return _run(settings, _RunOptions(config, once, idle_timeout_s, template))


def _run(settings: Settings, options: _RunOptions) -> ExitCode:
    accounts = load_accounts(settings, os.environ)
    _log.info(
        "cdsed %s begins; settings %s, state %s, inbox %s",
        *(__version__, options.config, settings.state_dir, settings.inbox.path),
        extra=about(LogEvent.DAEMON_STARTED),
    )
    make_state_dir(settings.state_dir)
    Reserve(settings.state_dir).give_up_if_needed()
    with ExitStack() as stack:
        try:
            stack.enter_context(DaemonLock(settings.state_dir / LOCK_NAME))
            Systemd(SYSTEM_CLOCK).takes(_START_WITHIN_S)
            daemon = _Daemon(settings, accounts, SYSTEM_CLOCK, options)
        except OSError as error:
            if error.errno not in _DISK_ERRORS:
                raise
            message = (
                f"{settings.state_dir} cannot be written ({error.strerror}): free its disk, or mount it for writing"
            )
            raise StateDiskError(message) from error
        stack.callback(daemon.close)
        gc.freeze()
        gc.enable()
        return daemon.run()


def child_specs(settings: Settings, accounts: Accounts, config: Path) -> list[ChildSpec]:
    """Return the workers that a daemon with these settings and accounts keeps running."""
    names = ["intake", "resolve", *settings.engine.download_workers(settings.transfer.processes)]
    if is_wanted(settings, accounts):
        names.append("keys")
    optional = (("queries", settings.queries), ("hooks", settings.hooks), ("web", settings.web.listen))
    names += [role for role, wanted in optional if wanted]
    options = ("--config", str(config))
    return [
        ChildSpec(name, module_command("cdsed", "role", name.partition("-")[0], "--name", name, *options))
        for name in names
    ]


class _Daemon:
    """The hooks of the supervisor."""

    def __init__(self, settings: Settings, accounts: Accounts, clock: Clock, order: _RunOptions) -> None:
        self._clock = clock
        self._settings = settings
        self._accounts = accounts
        self._options = order
        self._out_of_sync = False
        self._reloaded_at: float | None = None
        self._refused: str | None = None
        self._supervisor: Supervisor | None = None
        with ExitStack() as stack:
            self._db = stack.enter_context(closing(open_for_daemon(settings, clock)))
            # For the supervisor's thread: it feeds the watchdog, so it must not wait for the write lock.
            self._read_db = stack.enter_context(closing(join_state(settings.state_dir)))
            self._once: OnceEnd | None = None
            self._commits: CommitWatch | None = None
            if order.once:
                limit_s = order.idle_timeout_s
                self._once = OnceEnd(self._read_db, clock, settings.inbox, accounts.groups, limit_s)
                self._commits = stack.enter_context(closing(CommitWatch(settings.state_dir)))
            self._rest = stack.enter_context(closing(RestWatch(self._db, clock, settings.state_dir)))
            self._deaths = Deaths(clock, processes.newest(self._db))
            self._timetable = Timetable(self._db, clock, settings)
            with self._db.write():
                processes.daemon_started(self._db, clock, version=__version__, once=order.once)
                for former in (notices.RELOAD, notices.DAMAGED, notices.ENGINE):
                    notices.note(self._db, clock, former, None)
                machines.begin(self._db, used=settings.engine.kind == "dask")
                crash_loops.note(self._db, [])
                breakers.forget(self._db, breakers.SERVICE)  # the settings may name another service than before
                self._sync_accounts(accounts)
                self._timetable.begin()
            self._reclaim()
            run_files.tidy(settings.sessions_dir)
            self._maintenance = Maintenance(self._db, settings, clock)
            self._open = stack.pop_all()

    def close(self) -> None:
        """Close the state."""
        self._open.close()

    def run(self) -> ExitCode:
        """Run the supervisor until it ends, and note the end unless the state is damaged."""
        process = self._settings.process
        self._supervisor = Supervisor(
            child_specs(self._settings, self._accounts, self._options.config),
            self,
            Limits(
                stop_within_s=process.stop_within_s,
                hung_after_s=process.hung_after_s,
                ready_within_s=process.ready_within_s,
            ),
            self._clock,
            self._options.template,
        )
        if self._options.template is not None:
            self._options.template.wait_until_ready()
        ticks = [
            Tick("wake what is due", 1.0, lambda: products.wake_due(self._db, self._clock), rests=True),
            Tick("reclaim from dead workers", 1.0, self._reclaim, rests=True),
            Tick("watch the state and its disk", 1.0, self._maintenance.look),
            Tick("follow a reload", 1.0, self._follow_reload, rests=True),
            Tick("follow the windows of the settings", 1.0, self._follow_windows),
            Tick("note what the status shows", 1.0, self._note, rests=True),
            Tick("follow commands", 1.0, self._follow_commands, rests=True),
            Tick("back up the state", 5.0, self._maintenance.back_up_when_due),
            Tick("look through the state", 5.0, self._maintenance.look_through_when_due),
            Tick("forget old traffic", 3600.0, lambda: leases.forget_old_traffic(self._db, self._clock)),
            Tick("checkpoint the log", 300.0, self._db.checkpoint),
        ]
        with Ticks(ticks, self._maintenance.take_note, self._clock, self._rest):
            code = self._supervisor.run()
        self._maintenance.end()
        if self._maintenance.damaged:
            return ExitCode.DAMAGED
        self._reclaim()
        processes.daemon_stopped(self._db, self._clock)
        _log.info("cdsed ends", extra=about(LogEvent.DAEMON_STOPPED))
        return code

    def on_tick(self) -> Sequence[ChildSpec] | None:
        """Stop the workers while the disk of the state is full.

        All other periodic work is a tick of the schedule, in another thread. This thread feeds the watchdog and must
        not wait for a locked state.
        """
        match self._maintenance.pause():
            case True:
                return []
            case False:
                return child_specs(self._settings, self._accounts, self._options.config)
        return None

    def on_child_exit(self, name: str, pid: int, end: ChildExit) -> None:
        """Record how a worker ended: by a crash, by a kill from outside, or because of the state."""
        self._deaths.ended(name, pid, end)
        self._maintenance.take_note_of_exit(name, end.code)
        self._rest.disturb()

    def on_reload(self) -> Sequence[ChildSpec]:
        """Read settings and accounts again; if either has an error, those in force stay."""
        try:
            return self._reload()
        finally:
            self._rest.disturb()

    def _reload(self) -> Sequence[ChildSpec]:
        try:
            settings = load_settings(self._options.config, os.environ)
            accounts = load_accounts(settings, os.environ)
        except ConfigError as error:
            more = f" (and {len(error.problems) - 1} more, see the log)" if len(error.problems) > 1 else ""
            self._refused = f"reload refused: {error.problems[0]}{more}; {_STAY}"
            raise ConfigError([*error.problems, _STAY]) from error
        self._refused = None
        if settings.state_dir != self._settings.state_dir:
            _log.warning("state_dir cannot change while the daemon runs; %s stays", self._settings.state_dir)
            settings = settings.model_copy(update={"state_dir": self._settings.state_dir})
        self._settings, self._accounts = settings, accounts
        self._timetable.use(settings)
        log.setup("supervisor", settings.log_level, settings.log_format)
        self._out_of_sync, self._reloaded_at = True, self._clock.utc_s()
        extra = about(LogEvent.SETTINGS_RELOADED)
        _log.info("settings and accounts are reloaded; the workers are replaced one after the other", extra=extra)
        return [] if self._maintenance.paused else child_specs(settings, accounts, self._options.config)

    def status_text(self) -> str:
        """Return what the daemon does, for systemd's status line."""
        return "; ".join([*([self._refused] if self._refused else []), snapshot.one_line(self._read_db)])

    def finished(self) -> ExitCode | None:
        """Return the exit code when the state is damaged or, with `once`, when nothing is left to do; else None."""
        if self._maintenance.damaged:
            return ExitCode.DAMAGED
        return self._once.code() if self._once is not None else None

    def fileno(self) -> int:
        """Return the descriptor of commits; -1 unless the daemon ends when nothing is left to do."""
        return self._commits.fileno() if self._commits is not None else -1

    def take_event(self) -> None:
        """Read that there was a commit."""
        if self._commits is not None:
            self._commits.read()

    def _note(self) -> None:
        """Note what `cdsed status` shows of the supervisor: a refused reload, and workers that crash."""
        notices.note(self._db, self._clock, notices.RELOAD, self._refused)
        loops = self._supervisor.crash_loops if self._supervisor else ()
        crashing = [Crashing(loop.name, loop.crashes, loop.ending, loop.code, loop.start_at_s) for loop in loops]
        crash_loops.note(self._db, crashing)

    def _follow_windows(self) -> None:
        self._rest.until_s = self._timetable.follow()

    def _follow_commands(self) -> None:
        controls.look(self._db, self._clock, self._settings.spools)

    def _follow_reload(self) -> None:
        """Note the new accounts; once every worker has read them, close the breakers of all accounts."""
        if self._out_of_sync:
            self._out_of_sync = False
            self._sync_accounts(self._accounts)
        if self._reloaded_at is not None and not processes.any_older(self._db, self._reloaded_at):
            self._reloaded_at = None
            leases.close_breakers(self._db)
            breakers.forget(self._db, breakers.SERVICE)

    def _sync_accounts(self, accounts: Accounts) -> None:
        processes.stalls_after(self._db, self._settings.transfer.silence_longest_s)
        outbox.sync(self._db, self._settings.hooks)
        keyring = Keyring(self._settings.state_dir / LEDGER_NAME, self._clock)
        leases.sync_accounts(self._db, account_limits(accounts, keyring))

    def _reclaim(self) -> None:
        dead = processes.reclaim(
            self._db,
            self._clock,
            is_free,
            session_lock=self._settings.session_lock,
            cooldown_s=self._settings.transfer.session_cooldown_s,
            evidence=no_evidence if self._supervisor and self._supervisor.leaving else self._deaths.evidence,
        )
        for name in dead:
            _log.warning("%s died; what it held is released", name)
