"""Share the sessions of accounts that another daemon on this machine uses too, and write a notice of it."""

import hashlib
import ipaddress
import logging
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import urlsplit

from cdsed.clock import Clock
from cdsed.config.accounts import Account
from cdsed.frozen import frozen
from cdsed.process.lock import KernelLock
from cdsed.process.register import Register
from cdsed.store import notices
from cdsed.store.database import Database

_log = logging.getLogger(__name__)


@frozen
class SharedAccounts:
    """The accounts of this state, and the register of all daemons; `s3_url` is the service of the accounts."""

    db: Database
    clock: Clock
    register: Register
    accounts: Mapping[str, Account]
    s3_url: str

    def take(self, account: Account, slot: int) -> KernelLock | None:
        """Lock a session for the whole machine; None, with a notice, if another daemon has it."""
        lock = self.register.take(account_mark(account, self.s3_url), slot)
        if lock is None:
            self._note(account)
        return lock

    def keep(self, lock: KernelLock, seconds: float) -> None:
        """Let no daemon take a session for so long, even if this one dies; if that fails, its state does it."""
        with suppress(OSError):
            self.register.keep(lock, seconds)

    def note_all(self) -> None:
        """Write a notice for each account that is shared now, and withdraw those of the others."""
        for account in self.accounts.values():
            self._note(account)

    def _note(self, account: Account) -> None:
        others = self.register.others(account_mark(account, self.s3_url), range(1, account.sessions + 1))
        text = None
        if others:
            text = (
                f"account {account.name} is used by another cdsed on this machine too ({others}); together they use no "
                f"more than its {account.sessions} sessions, and each waits while the other has them; "
                "give each its own accounts"
            )
        if notices.note(self.db, self.clock, notices.shared(account.name), text) and text:
            _log.warning("%s", text)


def account_mark(account: Account, s3_url: str) -> str:
    """Return a hash that identifies an account to all daemons of a machine: of its login and its service."""
    return hashlib.sha256(f"{_service(s3_url)}\n{account.login_mark}".encode()).hexdigest()[:16]


def _service(url: str) -> str:
    """Return host and port in one form for all spellings of an address."""
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    with suppress(ValueError):
        if ipaddress.ip_address(host).is_loopback:
            host = "localhost"
    return f"{host}:{parts.port or (80 if parts.scheme == 'http' else 443)}"
