"""The accounts of a sandbox: key pairs and limits."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any

#: What accounts may share, and the field with its limit.
SHAREABLE = {"volume": "volume_bytes", "requests": "requests_per_minute", "connections": "sessions"}


@dataclass(frozen=True)
class SandboxAccount:
    """One login with its S3 key pair and its quotas.

    Parameters
    ----------
    name
        For counters and faults.
    access_key, secret_key
        The pair that signs requests; it is only for the sandbox, so it is not secret.
    sessions
        Connections that may be open at once.
    bandwidth_bytes_per_s
        Per connection; None: unlimited.
    requests_per_minute
        S3 requests in any 60 s; None: unlimited.
    volume_bytes
        Per rolling 30 days; once spent, one connection at 1 MB/s is left. None: unlimited.
    key_valid_from, key_expires
        Outside of this time the key is refused as unknown.
    login, password
        What the identity service accepts. With an empty password every login is refused; an empty login is
        ``<name>@example.org``.
    totp
        The second factor that a login also needs; empty: not needed.
    organisation, shares
        What the account shares with the others of its organisation: ``volume``, ``requests``, ``connections``. The
        limit is then for all of them together, and each states the same.
    """

    name: str
    access_key: str
    secret_key: str
    sessions: int = 4
    bandwidth_bytes_per_s: int | None = 20_000_000
    requests_per_minute: int | None = 2000
    volume_bytes: int | None = 12_000_000_000_000
    key_valid_from: datetime | None = None
    key_expires: datetime | None = None
    login: str = ""
    password: str = ""
    totp: str = ""
    organisation: str = ""
    shares: tuple[str, ...] = ()

    @property
    def user_name(self) -> str:
        """Return the name with which the account logs in."""
        return self.login or f"{self.name}@example.org"


def make_accounts(count: int, seed: int, bandwidth_bytes_per_s: int | None = None) -> list[SandboxAccount]:
    """Return `count` accounts ``sandbox-1``, …, with keys made from the seed."""
    accounts = []
    for number in range(1, count + 1):
        digest = hashlib.sha256(f"account {number} of {seed}".encode()).hexdigest()
        access_key, secret_key, password = f"SANDBOX{digest[:13].upper()}", digest[13:53], digest[53:]
        account = SandboxAccount(f"sandbox-{number}", access_key, secret_key, password=password)
        accounts.append(replace(account, bandwidth_bytes_per_s=bandwidth_bytes_per_s))
    return accounts


def read_accounts(path: Path) -> list[SandboxAccount]:
    """Read accounts from a JSON list of objects with the fields of `SandboxAccount`; times in ISO 8601 with a zone.

    Raises
    ------
    ValueError
        It is not such a list; the text says which entry.
    OSError
        It cannot be read.
    """
    items = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise ValueError(f"{path}: a JSON list of accounts is needed")
    accounts = [_account(item, f"{path}: account {number}") for number, item in enumerate(items, start=1)]
    _check_pools(path, accounts)
    return accounts


def _check_pools(path: Path, accounts: Iterable[SandboxAccount]) -> None:
    """Refuse accounts of one organisation that state different limits for what they share."""
    stated: dict[tuple[str, str], list[Any]] = {}
    for account in accounts:
        for quota, field in SHAREABLE.items() if account.organisation else ():
            limit = [getattr(account, field)] if quota in account.shares else []
            if stated.setdefault((account.organisation, quota), limit) != limit:
                raise ValueError(
                    f"{path}: account {account.name}: should share the same {quota} ({field}) as the others of "
                    f"organisation {account.organisation}"
                )


def _account(item: Mapping[str, Any], where: str) -> SandboxAccount:
    unknown = sorted(set(item) - {field.name for field in fields(SandboxAccount)})
    if unknown:
        raise ValueError(f"{where}: no such field: {', '.join(unknown)}")
    times = {name: datetime.fromisoformat(item[name]) for name in ("key_valid_from", "key_expires") if item.get(name)}
    if any(time.tzinfo is None for time in times.values()):
        raise ValueError(f"{where}: times need a zone, e.g. 2026-01-31T00:00:00Z")
    shares = item.get("shares", [])
    if not isinstance(shares, list) or not set(shares) <= set(SHAREABLE):
        raise ValueError(f"{where}: shares should be a list of {', '.join(SHAREABLE)}")
    if shares and not item.get("organisation"):
        raise ValueError(f"{where}: shares needs an organisation")
    try:
        return SandboxAccount(**{**item, **times, "shares": tuple(shares)})
    except TypeError as error:
        raise ValueError(f"{where}: name, access_key and secret_key are needed") from error
