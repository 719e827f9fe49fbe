"""The ledger of temporary S3 keys: every one we have made or were about to make, and the pairs that are in force.

The keys role writes it, before each step; download processes read it when they lease a session. It is a file of
mode 0600 in the state directory, for it has to outlive a boot: what is in it still exists at the service.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cdsed import log
from cdsed.clock import Clock
from cdsed.config.accounts import Account, Accounts, S3Keys
from cdsed.config.private import replace_private
from cdsed.config.secrets import Secret
from cdsed.config.settings import Settings
from cdsed.errors import StateError

LEDGER_NAME = "temporary_keys.json"


@dataclass(frozen=True, slots=True)
class TemporaryKey:
    """One key in the ledger.

    Attributes
    ----------
    account
        Our name of the account.
    expires_at
        UTC second at which the service ends it; asked for by us, and odd enough to know the key by.
    keys
        The pair; None while we do not know whether the service has made it.
    others
        Access keys the account had before: a key we lost is none of them.
    works
        Whether S3 has accepted it.
    """

    account: str
    expires_at: float
    keys: S3Keys | None = None
    others: tuple[str, ...] = ()
    works: bool = False


def read_ledger(path: Path) -> tuple[TemporaryKey, ...]:
    """Return what stands in the ledger; nothing where there is none.

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
    """Return the key of an account that works and lasts longest; None where there is none."""
    good = (key for key in ledger if key.account == account and key.works and key.keys and key.expires_at > utc_s)
    return max(good, key=lambda key: key.expires_at, default=None)


def accounts_to_keep(settings: Settings, accounts: Iterable[Account]) -> list[Account]:
    """Return the accounts that are to be kept in temporary keys."""
    return [account for account in accounts if settings.services.temporary_keys and account.needs_temporary_keys]


def accounts_to_log_in(settings: Settings, accounts: Iterable[Account]) -> list[Account]:
    """Return the accounts whose access token is to be kept fresh, for zip downloads."""
    return [account for account in accounts if settings.transfer.zip_fallback and account.password is not None]


def is_wanted(settings: Settings, accounts: Accounts) -> bool:
    """Tell whether there is anything for the keys role to do: keys to make or to delete, tokens to keep fresh."""
    wanted = accounts_to_keep(settings, accounts) or accounts_to_log_in(settings, accounts)
    return bool(wanted or read_ledger(settings.state_dir / LEDGER_NAME))


class Keyring:
    """The S3 keys that are in force now: those of the accounts file, or temporary ones.

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
        """Return the pair to sign with now; None when the account has none at the moment."""
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
