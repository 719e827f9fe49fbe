"""Accounts that another daemon on this machine uses too: their sessions are shared, and people are told."""

import hashlib
import ipaddress
import logging
from contextlib import suppress
from urllib.parse import urlsplit

from cdsed.config.accounts import Account
from cdsed.process.lock import KernelLock
from cdsed.store import notices
from cdsed.work.bench import Bench

_log = logging.getLogger(__name__)


def take(bench: Bench, account: Account, slot: int) -> KernelLock | None:
    """Lock a session for the whole machine; None, and people are told, if another daemon has it."""
    lock = bench.register.take(_mark(bench, account), slot)
    if lock is None:
        tell(bench, account)
    return lock


def tell_all(bench: Bench) -> None:
    """Tell of every account that is shared just now, and withdraw what was told of the others."""
    for account in bench.accounts.values():
        tell(bench, account)


def tell(bench: Bench, account: Account) -> None:
    """Tell people that another daemon uses an account, or withdraw that."""
    others = bench.register.others(_mark(bench, account), range(1, account.sessions + 1))
    text = None
    if others:
        text = (
            f"account {account.name} is used by another cdsed on this machine too ({others}); together they use no "
            f"more than its {account.sessions} sessions, and each waits while the other has them; "
            "give each its own accounts"
        )
    if notices.note(bench.db, bench.clock, notices.shared(account.name), text) and text:
        _log.warning("%s", text)


def _mark(bench: Bench, account: Account) -> str:
    """Return what tells an account from others: its login, at this service."""
    service = f"{_service(bench.settings.services.s3_url)}\n{account.login_mark}"
    return hashlib.sha256(service.encode()).hexdigest()[:16]


def _service(url: str) -> str:
    """Return host and port, however an address is written."""
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    with suppress(ValueError):
        if ipaddress.ip_address(host).is_loopback:
            host = "localhost"
    return f"{host}:{parts.port or (80 if parts.scheme == 'http' else 443)}"
