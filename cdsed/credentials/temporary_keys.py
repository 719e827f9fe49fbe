"""Temporary S3 keys for the accounts that have only a password, from the start of the daemon to its end.

With ``transfer.zip_fallback`` this module also renews access tokens, which download workers read from a shared file.
"""

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from cdsed.catalogue.http_client import HttpClient
from cdsed.clock import Clock
from cdsed.config.accounts import Account, S3Keys
from cdsed.config.settings import Settings
from cdsed.credentials.key_ledger import LEDGER_NAME, accounts_to_keep, accounts_to_log_in, read_ledger
from cdsed.credentials.key_rotation import KeyRotation
from cdsed.credentials.keys_manager import KeysManager
from cdsed.credentials.tokens import Tokens
from cdsed.errors import TransferError
from cdsed.model.objects import Lease
from cdsed.process.lock import KernelLock
from cdsed.store import breakers, leases
from cdsed.store.breakers import BreakerPolicy, account_breaker
from cdsed.store.database import Database
from cdsed.transfer.connection import Connection, Credentials, Endpoint
from cdsed.transfer.genuine import is_page

_UNTIL_USABLE_S, _WHEN_USABLE_S = 2.0, 60.0
_TIMEOUT_MAX_S = 15.0  # the process has to end in time, and to send heartbeats

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _LoggedIn:
    tokens: Tokens
    due_s: float = 0.0


@dataclass(slots=True)
class _Kept:
    account: Account
    rotation: KeyRotation
    wanted: bool
    usable: bool | None = None
    due_s: float = 0.0


class TemporaryKeyManager:
    """The temporary keys of one daemon; `process` is its number in the database."""

    def __init__(self, db: Database, clock: Clock, settings: Settings, process: int, stop: threading.Event) -> None:
        self._db = db
        self._clock = clock
        self._settings = settings
        self._process = process
        self._ledger = settings.state_dir / LEDGER_NAME
        self._endpoint = Endpoint.from_settings(settings)
        timeout_s = min(settings.catalogue.timeout_s, _TIMEOUT_MAX_S)
        self._http_client = HttpClient.from_settings(settings, clock=clock, stop=stop, timeout_s=timeout_s)
        self._kept: list[_Kept] = []
        self._logged_in: list[_LoggedIn] = []

    def begin(self, accounts: Iterable[Account]) -> None:
        """Start with the accounts that need keys, and those that still have keys of an earlier run."""
        accounts = list(accounts)
        wanted = {account.name for account in accounts_to_keep(self._settings, accounts)}
        in_ledger = {key.account for key in read_ledger(self._ledger)}
        able = {account.name: account for account in accounts if account.password is not None}
        for name in sorted(in_ledger - able.keys()):
            _log.warning("account %s has no password any more: its temporary S3 keys stay until they expire", name)
        for name in sorted((wanted | in_ledger) & able.keys()):
            self._kept.append(_Kept(able[name], self._rotation(able[name]), wanted=name in wanted))
        for account in accounts_to_log_in(self._settings, accounts):
            self._logged_in.append(_LoggedIn(self._tokens(account)))

    def maintain_due(self, heartbeat: Callable[[], None]) -> None:
        """Maintain the keys and tokens of every account that is due; `heartbeat` is called after each."""
        for kept in self._kept:
            if kept.due_s <= self._clock.boot_s():
                self._maintain(kept)
                heartbeat()
        for logged_in in self._logged_in:
            if logged_in.due_s <= self._clock.boot_s():
                self._keep_fresh(logged_in)
                heartbeat()

    def end(self) -> None:
        """Delete every key, and close the connection; the next start deletes the keys for which this fails."""
        for kept in self._kept:
            try:
                if kept.wanted:
                    self._note(kept, usable=False)
                kept.rotation.end()
            except TransferError as error:
                _log.warning("%s; its temporary S3 keys are deleted at the next start", error)
        self._http_client.close()

    def _rotation(self, account: Account) -> KeyRotation:
        url = self._settings.services.keys_manager_url
        manager = KeysManager(url, account.name, self._tokens(account), self._http_client)
        return KeyRotation(account.name, manager, self._ledger, lambda keys: self._works(account, keys), self._clock)

    def _tokens(self, account: Account) -> Tokens:
        return Tokens(self._settings.services.identity_url, account, self._settings.sessions_dir, self._http_client)

    def _keep_fresh(self, logged_in: _LoggedIn) -> None:
        try:
            logged_in.tokens.access_token()
        except TransferError as error:
            pause_s = max(error.retry_after_s or 0.0, self._settings.retry.account_first_delay_s)
            _log.warning("%s; tried again in %.0f s", error, pause_s)
            logged_in.due_s = self._clock.boot_s() + pause_s

    def _maintain(self, kept: _Kept) -> None:
        name = kept.account.name
        try:
            if kept.wanted:
                usable = kept.rotation.maintain() is not None
                self._note(kept, usable=usable)
                pause_s = _WHEN_USABLE_S if usable else _UNTIL_USABLE_S
            else:
                kept.rotation.end()
                pause_s = float("inf")
        except TransferError as error:
            retry = self._settings.retry
            cooling = BreakerPolicy(1, retry.account_first_delay_s, retry.account_longest_delay_s)
            pause_s = breakers.fail(self._db, self._clock, account_breaker(name), cooling, error)
            _log.warning("%s; tried again in %.0f s", error, pause_s)
        kept.due_s = self._clock.boot_s() + pause_s

    def _note(self, kept: _Kept, *, usable: bool) -> None:
        if usable != kept.usable:
            leases.set_has_keys(self._db, kept.account.name, has_keys=usable)
            kept.usable = usable

    def _works(self, account: Account, keys: S3Keys) -> bool:
        """Test keys at S3 within the account's limit of connections: with a lease when its sessions are in use."""
        if not leases.has_keys(self._db, account.name):
            return leases.claim_unleased(self._db, self._clock, account.name) and self._accepted(keys)
        for session in leases.free_sessions(self._db, self._clock, [account.group]):
            lock = KernelLock(self._settings.session_lock(session.account, session.slot))
            if session.account != account.name or not lock.acquire():
                continue
            try:
                lease = leases.take(self._db, self._clock, session, self._process)
                if lease is not None:
                    return self._accepted_under(lease, keys)
            finally:
                lock.release()
        return False

    def _accepted_under(self, lease: Lease, keys: S3Keys) -> bool:
        try:
            leases.count_traffic(self._db, self._clock, lease.account, requests=1, size_bytes=0, lease=lease)
            return self._accepted(keys)
        finally:
            leases.release(self._db, self._clock, lease, cooldown_s=self._settings.transfer.session_cooldown_s)

    def _accepted(self, keys: S3Keys) -> bool:
        connection = Connection(self._endpoint, Credentials(keys.access_key, keys.secret_key))
        try:
            response = connection.request("HEAD", self._settings.services.s3_bucket, "", {})
            response.read()
            # A login page, or a redirect to one, does not prove that S3 accepts the key.
            return response.status == 200 and not is_page(response.headers["Content-Type"])
        finally:
            connection.close()
