"""A download process in this process: a state, and what else a session needs."""

import os
import threading
from pathlib import Path

from cdsed.clock import SYSTEM_CLOCK
from cdsed.config.accounts import Account, S3Keys
from cdsed.config.secrets import Secret
from cdsed.config.settings import Settings
from cdsed.credentials.key_ledger import LEDGER_NAME, Keyring
from cdsed.local.presence import Presence
from cdsed.process.register import Register
from cdsed.sandbox.names import realistic_safenames
from cdsed.store import products
from cdsed.store.database import Database
from cdsed.store.products import Found
from cdsed.store.state_id import state_id
from cdsed.transfer.connection import Endpoint
from cdsed.transfer.ownerfile import this_owner
from cdsed.transfer.owners import Owners
from cdsed.transfer.stall_detector import StallDetector
from cdsed.work.context import DiskContext, StoreContext, TransferContext, WorkerContext, WorkSignal
from cdsed.work.flock_broker import FlockBroker
from cdsed.work.grant_turns import GrantTurns
from cdsed.work.outcome import Outcome
from cdsed.work.session import SessionThread
from cdsed.work.sharing import SharedAccounts
from tests.support.sandbox import SandboxProcess
from tests.support.state import StateLab


def account_of(sandbox: SandboxProcess) -> Account:
    """Return the sandbox's account as the accounts file would give it."""
    known = sandbox.accounts[0]
    return Account(
        name="a",
        group="default",
        login="a@example.org",
        password=None,
        s3_keys=S3Keys(Secret(known.access_key), Secret(known.secret_key)),
        s3_key_expires=None,
        sessions=4,
        bandwidth_bytes_per_s=None,
        requests_per_minute=2000,
        volume_bytes=10**13,
    )


class DownloadLab(StateLab):
    """A download process with one session thread at a sandbox; the test starts and stops the thread.

    Attributes
    ----------
    context
        What the thread works with.
    broker
        What grants the thread its sessions.
    """

    def __init__(self, db: Database, root: Path, sandbox: SandboxProcess) -> None:
        super().__init__(db, SYSTEM_CLOCK, root)
        self.sandbox = sandbox
        self.accounts("a")
        self._threads: list[threading.Thread] = []
        (root / "spool").mkdir()
        settings = _settings(root, sandbox)
        settings.sessions_dir.mkdir()
        (root / "register").mkdir()
        accounts = {"a": account_of(sandbox)}
        registered = Register(root / "register", os.getpid(), settings.state_dir)
        store = StoreContext(db, SYSTEM_CLOCK, self.process)
        shared = SharedAccounts(db, SYSTEM_CLOCK, registered, accounts, settings.services.s3_url)
        keyring = Keyring(settings.state_dir / LEDGER_NAME, SYSTEM_CLOCK)
        self.broker = FlockBroker(store, settings, accounts, keyring, shared)
        owners = Owners(this_owner(state_id(settings.state_dir), settings.state_dir, os.getpid()))
        outcome = Outcome(db, SYSTEM_CLOCK, settings.retry)
        self.context = WorkerContext(
            store=store,
            disks=DiskContext(db, SYSTEM_CLOCK, settings, Presence(settings.spools, []), owners, outcome),
            transfer=TransferContext(Endpoint.from_settings(settings), StallDetector(0, 60), self.broker, shared),
            settings=settings,
            outcome=outcome,
            work_signal=WorkSignal(),
            stop=threading.Event(),
        )

    def wanted(self, kind: str = "S5P") -> int:
        """Add a product of 2 MB whose path is known, ready to be planned; return its number."""
        [name] = realistic_safenames(kind, 1, seed=3)
        path = self.sandbox.add_products({"safename": name, "size_bytes": 2_000_000})[name]
        number = self.queued(name)
        self.db.rows("UPDATE product SET s3_path = :path, path_source = 'listing'", path=path)
        [product] = products.claim_resolving(
            self.db, self.clock, self.process, (each.id for each in products.queued(self.db, 1))
        )
        products.resolved(self.db, self.clock, product, Found(path, product.path_source))
        return number

    def start(self) -> None:
        """Start a session thread."""
        self.context.stop.clear()
        self._threads.append(threading.Thread(target=SessionThread(self.context, GrantTurns(self.context)).run))
        self._threads[-1].start()

    def stop(self) -> None:
        """Stop all session threads."""
        self.context.stop.set()
        self.context.transfer.stall_detector.abort_all()
        self.context.work_signal.notify()
        for thread in self._threads:
            thread.join(10)

    def alive(self) -> bool:
        """Return whether the thread that was started last still works."""
        return self._threads[-1].is_alive()


def _settings(root: Path, sandbox: SandboxProcess) -> Settings:
    return Settings.model_validate(
        {
            "state_dir": str(root / "state"),
            "spools": [str(root / "spool")],
            "services": sandbox.services,
            "disk": {"free_bytes_min": 0},
            "transfer": {"session_cooldown_s": 0.0, "checkpoint_every_s": 0.1, "zip_fallback": True},
        }
    )
