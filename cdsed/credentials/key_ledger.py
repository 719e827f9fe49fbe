"""The ledger of temporary S3 keys: every key that cdsed has made or was about to make, and which are in use.

The *keys* worker writes it before each step. Download workers read it when they lease a session. It is a file of mode
0600 in the state directory, because it has to survive a reboot: its keys still exist at the service.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cdsed import log
from cdsed.clock import Clock
from cdsed.config.accounts import Account, Accounts, S3Keys
from cdsed.config.private import replace_private
from cdsed.config.secrets import Secret
from cdsed.config.settings import Settings
from cdsed.errors import StateError
from cdsed.frozen import frozen

LEDGER_NAME = "temporary_keys.json"


@frozen
class TemporaryKey:
    """One key in the ledger.

    Attributes
    ----------
    account
        Our name of the account.
    expires_at
        UTC second at which the service ends it. cdsed chooses it so that it identifies the key.
    keys
        The pair; None while it is not known whether the service has made it.
    others
        Access keys that the account had before; a lost key is not among them.
    works
        Whether S3 has accepted it.
    """

    account: str
    expires_at: float
    keys: S3Keys | None = None
    others: tuple[str, ...] = ()
    works: bool = False


def read_ledger(path: Path) -> tuple[TemporaryKey, ...]:
    """Return the keys of the ledger; empty when the file does not exist.

    Raises
    ------
    StateError
        It is not a ledger.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ()
    try:
        return tuple(_key(item) for item in json.loads(text))
    except (ValueError, TypeError, KeyError):
        problem = "delete the account's left-over keys (`cdsed keys list`), then that file"
        raise StateError(f"{path}: is not a ledger of temporary S3 keys; {problem}") from None


def write_ledger(path: Path, keys: Iterable[TemporaryKey]) -> None:
    """Replace the ledger, on the disk when this returns."""
    items = [
        {
            "account": key.account,
            "expires_at": key.expires_at,
            "access_key": key.keys.access_key.reveal() if key.keys else None,
            "secret_key": key.keys.secret_key.reveal() if key.keys else None,
            "others": key.others,
            "works": key.works,
        }
        for key in keys
    ]
    replace_private(path, json.dumps(items))


def in_force(ledger: Iterable[TemporaryKey], account: str, utc_s: float) -> TemporaryKey | None:
    """Return the working key of an account that lasts longest; None when no key works."""
    good = (key for key in ledger if key.account == account and key.works and key.keys and key.expires_at > utc_s)
    return max(good, key=lambda key: key.expires_at, default=None)


def accounts_to_keep(settings: Settings, accounts: Iterable[Account]) -> list[Account]:
    """Return the accounts for which temporary keys are to be made."""
    return [account for account in accounts if settings.services.temporary_keys and account.needs_temporary_keys]


def accounts_to_log_in(settings: Settings, accounts: Iterable[Account]) -> list[Account]:
    """Return the accounts whose access token is to be kept fresh, for zip downloads."""
    return [account for account in accounts if settings.transfer.zip_fallback and account.password is not None]


def is_wanted(settings: Settings, accounts: Accounts) -> bool:
    """Tell whether the *keys* worker is needed: to make or delete keys, or to keep tokens fresh."""
    wanted = accounts_to_keep(settings, accounts) or accounts_to_log_in(settings, accounts)
    return bool(wanted or read_ledger(settings.state_dir / LEDGER_NAME))


class Keyring:
    """The S3 keys that are in use now: those of the accounts file, or temporary ones.

    Parameters
    ----------
    ledger
        The file of the temporary ones.
    clock
        What time it is.
    """

    def __init__(self, ledger: Path, clock: Clock) -> None:
        self._path = ledger
        self._clock = clock

    def keys_of(self, account: Account) -> S3Keys | None:
        """Return the pair to sign with now; None while the account has no working key."""
        if not account.needs_temporary_keys:
            return account.s3_keys
        key = in_force(read_ledger(self._path), account.name, self._clock.utc_s())
        return key.keys if key else None


def _key(item: Any) -> TemporaryKey:
    access_key, secret_key = item["access_key"], item["secret_key"]
    for secret in filter(None, (access_key, secret_key)):
        log.hide(secret)
    return TemporaryKey(
        account=str(item["account"]),
        expires_at=float(item["expires_at"]),
        keys=S3Keys(Secret(access_key), Secret(secret_key)) if access_key and secret_key else None,
        others=tuple(item["others"]),
        works=bool(item["works"]),
    )
