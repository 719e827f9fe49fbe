"""The daemon: one supervisor per state directory, its ticks, and what it does when a worker dies.

It loads neither boto3 nor requests; it only keeps workers running and gives back what the dead held.
"""

import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import cdsed
from cdsed import log
from cdsed.clock import SYSTEM_CLOCK, Clock
from cdsed.config.accounts import Accounts, load_accounts
from cdsed.config.load import load_settings
from cdsed.config.secrets import forbid_core_dumps
from cdsed.config.settings import Settings
from cdsed.config.temporary_keys import LEDGER_NAME, Keyring, is_wanted
from cdsed.errors import ExitCode
from cdsed.inbox.place import taken
from cdsed.inbox.scan import InboxScan
from cdsed.process.child import ChildSpec
from cdsed.process.exits import ChildExit
from cdsed.process.limits import Limits
from cdsed.process.lock import LOCK_NAME, DaemonLock, KernelLock
from cdsed.process.supervisor import Supervisor
from cdsed.schedule.ticks import Tick, Ticks
from cdsed.store import leases, listings, processes, products, snapshot
from cdsed.store.database import Database, open_state
from cdsed.store.leases import AccountLimits

_log = logging.getLogger(__name__)


def run(config: Path, *, once: bool, patience_s: float) -> ExitCode:
    """Be the daemon until told to stop.

    Parameters
    ----------
    config
        The settings file; its workers read it too, and all of them again after a HUP.
    once
        Leave when the inbox is empty and every listing is reported.
    patience_s
        With `once`: leave, unfinished, when nothing has moved for so long.

    Raises
    ------
    ConfigError, StateError, AlreadyRunning
        It cannot start; the text says why.
    """
    forbid_core_dumps()
    settings = load_settings(config, os.environ)
    log.setup("supervisor", settings.log_level)
    accounts = load_accounts(settings, os.environ)
    settings.state_dir.mkdir(mode=0o750, parents=True, exist_ok=True)
    settings.inbox.path.mkdir(parents=True, exist_ok=True)
    with DaemonLock(settings.state_dir / LOCK_NAME):
        db = open_state(settings.state_dir)
        try:
            return _Daemon(db, SYSTEM_CLOCK, config, settings, once=once, patience_s=patience_s).run(accounts)
        finally:
            db.close()


def child_specs(settings: Settings, accounts: Accounts, config: Path) -> list[ChildSpec]:
    """Return the workers that a daemon with these settings and accounts keeps running."""
    names = ["intake", "resolve", *(f"download-{n}" for n in range(1, settings.transfer.processes + 1))]
    if is_wanted(settings, accounts):
        names.append("keys")
    python = (sys.executable, "-P", "-m", "cdsed", "role")  # -P: nothing of the current directory is imported
    return [
        ChildSpec(name, (*python, name.partition("-")[0], "--name", name, "--config", str(config))) for name in names
    ]


class _Daemon:
    """The hooks of the supervisor."""

    def __init__(
        self, db: Database, clock: Clock, config: Path, settings: Settings, *, once: bool, patience_s: float
    ) -> None:
        self._db = db
        self._clock = clock
        self._config = config
        self._settings = settings
        self._once = once
        self._patience_s = patience_s
        self._started_at = clock.utc_s()
        self._reloaded_at: float | None = None
        self._moved = -1
        self._moved_s = clock.boot_s()
        self._supervisor: Supervisor | None = None

    def run(self, accounts: Accounts) -> ExitCode:
        """Start everything, and note the end if it is an orderly one."""
        processes.daemon_started(self._db, self._clock, version=cdsed.__version__, once=self._once)
        self._sync_accounts(accounts)
        self._sweep()
        self._tidy()
        self._scan = InboxScan(self._settings.inbox.path, accounts.groups, 0.0, self._clock)
        process = self._settings.process
        self._supervisor = Supervisor(
            child_specs(self._settings, accounts, self._config),
            self,
            Limits(stop_within_s=process.stop_within_s, hung_after_s=process.hung_after_s),
            self._clock,
        )
        ticks = [
            Tick("wake what is due", 1.0, lambda: products.wake_due(self._db, self._clock)),
            Tick("sweep after the dead", 1.0, self._sweep),
            Tick("forget old traffic", 3600.0, lambda: leases.forget_old_traffic(self._db, self._clock)),
            Tick("fold the log", 300.0, self._db.checkpoint),
        ]
        with Ticks(ticks, lambda name, error: _log.error("tick %r failed: %s", name, error)):
            code = self._supervisor.run()
        self._sweep()
        processes.daemon_stopped(self._db, self._clock)
        return code

    def on_tick(self) -> None:
        """After a reload, once every worker has the new keys, let all accounts try at once.

        Everything else that is periodic is a tick of the schedule.
        """
        if self._reloaded_at is not None and not processes.any_older(self._db, self._reloaded_at):
            self._reloaded_at = None
            leases.forget_troubles(self._db)

    def on_child_exit(self, name: str, pid: int, end: ChildExit) -> None:  # noqa: ARG002 - the sweep finds out itself
        """Give back at once what a dead worker held."""
        self._sweep()

    def on_reload(self) -> Sequence[ChildSpec]:
        """Read settings and accounts anew; a problem in either keeps what is in force."""
        settings = load_settings(self._config, os.environ)
        accounts = load_accounts(settings, os.environ)
        if settings.state_dir != self._settings.state_dir:
            _log.warning("state_dir cannot change while the daemon runs; %s stays", self._settings.state_dir)
            settings = settings.model_copy(update={"state_dir": self._settings.state_dir})
        self._settings = settings
        logging.getLogger().setLevel(settings.log_level)
        self._sync_accounts(accounts)
        self._reloaded_at = self._clock.utc_s()
        _log.info("settings and accounts are reloaded; the workers are replaced one after the other")
        return child_specs(settings, accounts, self._config)

    def status_text(self) -> str:
        """Say what is going on, for systemd's status line."""
        return snapshot.one_line(self._db)

    def finished(self) -> ExitCode | None:
        """With `once`: the code to leave with when there is nothing left to do."""
        if not self._once:
            return None
        if self._drained():
            whole = not listings.unsatisfied(self._db, self._started_at) and not self._scan.strangers()
            return ExitCode.OK if whole else ExitCode.UNFINISHED
        moved = snapshot.movement(self._db)
        if moved != self._moved:
            self._moved, self._moved_s = moved, self._clock.boot_s()
        elif self._clock.boot_s() - self._moved_s > self._patience_s:
            _log.error("nothing has moved for %.0f s: giving up; `cdsed status` says why", self._patience_s)
            return ExitCode.UNFINISHED
        return None

    def _drained(self) -> bool:
        waiting = self._scan.complete() or self._scan.pending() or taken(self._settings.inbox.path)
        return not waiting and not listings.unreported(self._db)

    def _sync_accounts(self, accounts: Accounts) -> None:
        keyring = Keyring(self._settings.state_dir / LEDGER_NAME, self._clock)
        leases.sync_accounts(
            self._db,
            [
                AccountLimits(
                    name=account.name,
                    group=account.group,
                    sessions=account.sessions,
                    requests_per_minute=account.requests_per_minute,
                    volume_bytes=account.volume_bytes,
                    key_expires_at=account.s3_key_expires.timestamp() if account.s3_key_expires else None,
                    has_keys=keyring.keys_of(account) is not None,
                    bandwidth_bytes_per_s=account.bandwidth_bytes_per_s,
                )
                for account in accounts
            ],
        )

    def _sweep(self) -> None:
        settings = self._settings
        dead = processes.sweep(
            self._db,
            self._clock,
            _is_free,
            session_lock=lambda account, slot: settings.sessions_dir / f"{account}.{slot}.lock",
            rest_s=settings.transfer.session_rest_s,
            charged=self._supervisor is None or not self._supervisor.leaving,
        )
        for name in dead:
            _log.warning("%s died; what it held is free again", name)

    def _tidy(self) -> None:
        """Remove lock files of workers that died before they were entered in the state, or after they had left it."""
        for path in self._settings.sessions_dir.glob("process.*.lock"):
            lock = KernelLock(path)
            if lock.acquire():
                path.unlink()
                lock.release()


def _is_free(path: Path) -> bool:
    """Ask the kernel whether nobody holds the flock of a file."""
    if not path.exists():
        return True
    lock = KernelLock(path)
    free = lock.acquire()
    lock.release()
    return free
