"""A download process in this process: a state, and what a session needs beside it."""

import os
import threading
from pathlib import Path

from cdsed.clock import SYSTEM_CLOCK
from cdsed.config.accounts import Account, S3Keys
from cdsed.config.secrets import Secret
from cdsed.config.settings import Settings
from cdsed.config.temporary_keys import LEDGER_NAME, Keyring
from cdsed.local.presence import Presence
from cdsed.process.register import Register
from cdsed.store.database import Database
from cdsed.store.identity import state_id
from cdsed.transfer.guard import Guard
from cdsed.transfer.ownerfile import this_owner
from cdsed.transfer.owners import Owners
from cdsed.work.bench import Bench, News, endpoint
from cdsed.work.outcome import Outcome
from cdsed.work.session import SessionThread
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
    bench
        What the thread works with.
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
        self.bench = Bench(
            db=db,
            clock=SYSTEM_CLOCK,
            settings=settings,
            accounts={"a": account_of(sandbox)},
            keyring=Keyring(settings.state_dir / LEDGER_NAME, SYSTEM_CLOCK),
            endpoint=endpoint(settings),
            presence=Presence(settings.spools, []),
            guard=Guard(0, 60),
            outcome=Outcome(db, SYSTEM_CLOCK, settings.retry),
            register=Register(root / "register", os.getpid(), settings.state_dir),
            owners=Owners(this_owner(state_id(settings.state_dir), settings.state_dir, os.getpid())),
            process=self.process,
            stop=threading.Event(),
            news=News(),
        )

    def start(self) -> None:
        """Start a session thread."""
        self.bench.stop.clear()
        self._threads.append(threading.Thread(target=SessionThread(self.bench).run))
        self._threads[-1].start()

    def stop(self) -> None:
        """Stop all session threads."""
        self.bench.stop.set()
        self.bench.guard.cut_all()
        self.bench.news.tell()
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
            "transfer": {"session_rest_s": 0.0, "checkpoint_every_s": 0.1, "zipper": True},
        }
    )
