"""One signed request for each account, over a session that this process holds meanwhile."""

import os
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from cdsed.clock import Clock
from cdsed.config.accounts import Account, S3Keys
from cdsed.config.settings import Settings
from cdsed.credentials.key_diagnosis import diagnose_refusal
from cdsed.credentials.key_ledger import LEDGER_NAME, Keyring
from cdsed.doctor.finding import Finding, fine, problem, remark
from cdsed.errors import AccountError, StateError, TransferError
from cdsed.model.eodata import S3Location
from cdsed.model.families import Family
from cdsed.process.lock import KernelLock
from cdsed.process.register import Register
from cdsed.store import key_history, quota_usage
from cdsed.store.database import Database
from cdsed.transfer.connection import Connection, Credentials, Endpoint
from cdsed.transfer.s3_list import list_some
from cdsed.work.sharing import account_mark

_SESSIONS_TRIED = 100
_WITHIN_S = 15.0
_TOP_FOLDER = next(family.mission.collection for family in Family if family.mission.collection).title()


@dataclass(frozen=True, slots=True)
class SignedRequests:
    """Sends one request for each account, and explains a refusal.

    Attributes
    ----------
    db
        The state, opened for reading; None without one.
    register
        The sessions that all daemons of this user share.
    daemon_runs
        Whether a daemon runs on the state: then a session is kept locked for its cooldown.
    """

    settings: Settings
    db: Database | None
    register: Register
    clock: Clock
    daemon_runs: bool
    _stop: threading.Event = field(default_factory=threading.Event)

    def check_all(self, accounts: Iterable[Account]) -> Iterator[Finding]:
        """Ask for one account after the other, until S3 itself cannot be used: each would wait for its time-out."""
        is_usable = True
        for account in accounts:
            if not is_usable:
                text = f"account {account.name} was not asked, because S3 could not be used for the one before"
                yield remark("signed", account.name, text, "its keys may be wrong", "run this again when S3 answers")
                continue
            try:
                yield self._check(account)
            except TransferError as error:
                is_usable = False
                remedy = "look at the network, and at services.s3_url"
                yield problem("signed", account.name, str(error), "S3 cannot be used now", remedy)

    def _check(self, account: Account) -> Finding:
        """Send the request, and return what was found; TransferError if S3 itself cannot be used."""
        name = account.name
        keys = self._keys(account)
        if isinstance(keys, Finding):
            return keys
        folder = self.settings.sessions_dir
        if folder.is_dir() and folder.stat().st_uid != os.geteuid():
            # a lock file of another user would keep the session from the daemon
            text = f"account {name} was not asked: {folder} belongs to another user"
            return remark("signed", name, text, "only the daemon's user can hold a session", "run this as that user")
        if self._has_no_request_left(name):
            text = f"account {name} has used its requests of this minute; it was not asked"
            return remark("signed", name, text, "it waits for its quota", "run this again in a minute")
        for slot in range(1, min(account.sessions, _SESSIONS_TRIED) + 1):
            with _HeldSession(self, account, slot) as is_held:
                if is_held:
                    return self._ask(account, keys)
        return fine("signed", name, f"all sessions of account {name} are at work; it was not asked")

    def _keys(self, account: Account) -> S3Keys | Finding:
        name = account.name
        try:
            keys = Keyring(self.settings.state_dir / LEDGER_NAME, self.clock).keys_of(account)
        except (OSError, StateError) as error:
            means = "it cannot be asked"
            return problem(
                "signed", name, f"temporary keys cannot be read: {error}", means, "run this as the daemon's user"
            )
        if keys is not None:
            return keys
        if account.needs_temporary_keys and self.settings.services.temporary_keys:
            text = f"account {name} has no temporary keys now; it was not asked"
            return remark(
                "signed", name, text, "the daemon makes them when it runs", "start the daemon, then run this again"
            )
        return problem(
            "signed",
            name,
            f"account {name} has no S3 keys",
            "it downloads nothing",
            "see its entry in the accounts file",
        )

    def _has_no_request_left(self, account: str) -> bool:
        usage = quota_usage.of(self.db, self.clock, account) if self.db is not None else None
        return usage is not None and (usage.requests_left < 1 or usage.pool_is_full)

    def _ask(self, account: Account, keys: S3Keys) -> Finding:
        name = account.name
        bucket = self.settings.services.s3_bucket
        endpoint = Endpoint.from_settings(self.settings)
        quick = replace(
            endpoint,
            connect_timeout_s=min(endpoint.connect_timeout_s, _WITHIN_S),
            read_timeout_s=min(endpoint.read_timeout_s, _WITHIN_S),
        )
        connection = Connection(quick, Credentials(keys.access_key, keys.secret_key))
        try:
            list_some(connection, name, S3Location(bucket, f"{_TOP_FOLDER}/x"), "", most=1)
        except TransferError as error:
            return self._refused(name, error)
        finally:
            connection.close()
            if self.daemon_runs:  # CDSE counts a closed connection for a moment
                self.clock.wait(self._stop, self.settings.transfer.session_cooldown_s)
        return fine("signed", name, f"S3 accepts the keys of account {name}")

    def _refused(self, name: str, error: TransferError) -> Finding:
        history = key_history.of_account(self.db, name) if self.db is not None else None
        explained = diagnose_refusal(error, name, history, self.clock.utc_s())
        if not isinstance(explained, AccountError):
            raise explained
        remedy = f"run `cdsed keys list --account {name}`, and mend its entry in the accounts file"
        return problem("signed", name, str(explained), f"account {name} downloads nothing", remedy)


class _HeldSession:
    """Hold one session of an account against every daemon of this user; the value is whether it is held."""

    def __init__(self, requests: SignedRequests, account: Account, slot: int) -> None:
        settings = requests.settings
        self._own = KernelLock(settings.session_lock(account.name, slot))
        self._has_folder = settings.sessions_dir.is_dir()
        self._mark, self._slot = account_mark(account, settings.services.s3_url), slot
        self._register = requests.register
        self._shared: KernelLock | None = None

    def __enter__(self) -> bool:
        if self._has_folder and not self._own.acquire():
            return False
        self._shared = self._register.take(self._mark, self._slot)
        return self._shared is not None

    def __exit__(self, *_: object) -> None:
        if self._shared is not None:
            self._shared.release()
        self._own.release()
