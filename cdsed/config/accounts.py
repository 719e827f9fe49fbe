"""The accounts: groups of CDSE logins with their keys and quotas, from a file that only its owner may read."""

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cdsed import log
from cdsed.config.account_entries import AccountEntry, AccountsFile, GroupEntry, Quotas, own_limits
from cdsed.config.document import Document, read_document
from cdsed.config.secrets import Secret
from cdsed.config.settings import Settings
from cdsed.config.time_windows import unknown_names
from cdsed.config.validate import validate
from cdsed.errors import ConfigError
from cdsed.model.quota import Limit


@dataclass(frozen=True)
class S3Keys:
    """The key pair that signs S3 requests of one account."""

    access_key: Secret
    secret_key: Secret


@dataclass(frozen=True)
class Account:
    """One CDSE login, and what it may use.

    Parameters
    ----------
    name
        Its name in cdsed. Logs and names of files show it, and not the login.
    group
        The name of its group.
    login
        The CDSE user name.
    password
        The CDSE password; only needed to make S3 keys.
    s3_keys
        The S3 key pair; without it the account downloads with temporary keys, which need its password.
    s3_key_expires
        When the key pair expires, UTC.
    sessions
        Connections it may hold at once.
    bandwidth_bytes_per_s
        Limit per connection; None for that of the service.
    requests_per_minute
        S3 requests in a minute.
    volume_bytes
        Bytes in any 30 days.
    totp
        The second factor of its login: a base32 seed, or one code; None if the login has no second factor.
    shares
        The quotas whose limits are those of all accounts of its group together.
    pool_sessions
        Connections that all accounts of its group may hold together; None: each has its own.
    """

    name: str
    group: str
    login: str
    password: Secret | None
    s3_keys: S3Keys | None
    s3_key_expires: datetime | None
    sessions: int
    bandwidth_bytes_per_s: int | None
    requests_per_minute: int
    volume_bytes: int
    totp: Secret | None = None
    shares: frozenset[Limit] = frozenset()
    pool_sessions: int | None = None

    @property
    def login_mark(self) -> str:
        """A hash that identifies its login in the state, which does not have the login itself."""
        return hashlib.sha256(_plain_login(self.login).encode()).hexdigest()[:16]

    @property
    def needs_temporary_keys(self) -> bool:
        """Whether it has no S3 keys of its own, but a password to make temporary ones."""
        return self.s3_keys is None and self.password is not None


@dataclass(frozen=True)
class Group:
    """A named set of accounts that a listing may use."""

    name: str
    accounts: tuple[Account, ...]

    @property
    def sessions(self) -> int:
        """Connections that its accounts may hold together."""
        each = sum(account.sessions for account in self.accounts)
        return min([each, *(account.pool_sessions for account in self.accounts if account.pool_sessions)])


@dataclass(frozen=True)
class Accounts:
    """Every group by its name; a name of an account is unique over all groups."""

    groups: dict[str, Group]

    def __iter__(self) -> Iterator[Account]:
        """Yield every account of every group."""
        for group in self.groups.values():
            yield from group.accounts


def accounts_file(settings: Settings, environ: Mapping[str, str]) -> Path:
    """Return the accounts file: systemd's credential if it exists, else the one of the settings."""
    return _credential(environ) or settings.accounts_file


def build_checks() -> None:
    """Build what checks the accounts, so that the processes that are forked from here have it."""
    AccountsFile.model_rebuild()


def load_accounts(settings: Settings, environ: Mapping[str, str]) -> Accounts:
    """Read and validate the accounts, and hide their secrets from the log.

    Parameters
    ----------
    settings
        Names the file and the default group.
    environ
        The environment; ``CREDENTIALS_DIRECTORY`` is set by systemd's ``LoadCredential=``.

    Raises
    ------
    ConfigError
        With every problem, without the values of the file.
    """
    path = accounts_file(settings, environ)
    # systemd protects its credentials with an ACL, which the mode does not show
    guarded = path == _credential(environ)
    try:
        document = read_document(
            path,
            "etc/accounts.example.yml",
            secret=True,
            guard=lambda status: [] if guarded else _loose(path, status),
        )
    except ConfigError as error:
        raise ConfigError([*error.problems, *_without_credential(path, environ)]) from None
    file = validate(document, AccountsFile)
    accounts = _build(file)
    for account in accounts:
        for secret in _secrets(account):
            log.hide(secret.reveal())
    problems = [
        *_unknown_members(document, settings),
        *_unknown_targets(settings, accounts),
        *_twins(document, accounts),
        *own_limits(document, file),
    ]
    if problems:
        raise ConfigError(problems)
    return accounts


def _credential(environ: Mapping[str, str]) -> Path | None:
    directory = environ.get("CREDENTIALS_DIRECTORY")
    path = Path(directory) / "accounts.yml" if directory else None
    try:
        return path if path and path.is_file() else None
    except PermissionError:  # systemd 252 closes the directory if it could not pass the file
        return None


def _without_credential(path: Path, environ: Mapping[str, str]) -> Iterator[str]:
    """Yield the remedy for a service without a credential: perhaps only root may read the accounts file."""
    if os.access(path, os.R_OK, effective_ids=True) or not environ.keys() & {"CREDENTIALS_DIRECTORY", "INVOCATION_ID"}:
        return
    where = environ.get("CREDENTIALS_DIRECTORY")
    missing = f"there is no accounts.yml in it ({where})" if where else "it is not set"
    yield (
        f"a systemd service reads its accounts from $CREDENTIALS_DIRECTORY/accounts.yml, and {missing}: the unit needs "
        f"the line LoadCredential=accounts.yml:{path}, then run systemctl daemon-reload and restart it"
    )
    if where:
        yield (
            "if the unit has that line and this is a container: systemd before 262 passes on nothing where the mounts "
            "are private, and does not say so; run mount --make-rshared / in the container, then restart it"
        )


def _loose(path: Path, status: os.stat_result) -> list[str]:
    problems = []
    if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        problems.append(f"{path}: other users than its owner may read or write it; run: chmod 600 {path}")
    if status.st_uid not in {os.geteuid(), 0}:
        problems.append(f"{path}: belongs to another user; run: chown {os.geteuid()} {path}")
    return problems


def _build(file: AccountsFile) -> Accounts:
    groups = {}
    for name, group in file.groups.items():
        accounts = tuple(_account(name, group, alias, entry) for alias, entry in group.accounts.items())
        groups[name] = Group(name, accounts)
    return Accounts(groups)


def _account(group_name: str, group: GroupEntry, name: str, entry: AccountEntry) -> Account:
    # A value of the account itself, even null, overrides that of its group.
    quotas = {key: getattr(entry if key in entry.model_fields_set else group, key) for key in Quotas.model_fields}
    access_key, secret_key = entry.s3_access_key, entry.s3_secret_key
    return Account(
        name=name,
        group=group_name,
        login=entry.login,
        password=entry.password,
        s3_keys=S3Keys(access_key, secret_key) if access_key and secret_key else None,
        s3_key_expires=entry.s3_key_expires,
        totp=entry.totp,
        shares=frozenset(group.shared),
        pool_sessions=group.sessions if Limit.CONNECTIONS in group.shared else None,
        **quotas,
    )


def _secrets(account: Account) -> Iterator[Secret]:
    yield from filter(None, (account.password, account.totp))
    if account.s3_keys:
        yield from (account.s3_keys.access_key, account.s3_keys.secret_key)


def _plain_login(login: str) -> str:
    """Return a login as CDSE stores it: its identity service (Keycloak) has all of them in lower case."""
    return login.strip().lower()


def _unknown_members(document: Document, settings: Settings) -> Iterator[str]:
    groups = document.content["groups"]
    if settings.default_group not in groups:
        known = ", ".join(str(document.shown(name)) for name in groups)
        yield document.problem(
            ("groups",), f"lacks the default_group of the settings, {settings.default_group!r}; has {known}"
        )


def _unknown_targets(settings: Settings, accounts: Accounts) -> Iterator[str]:
    """Yield limits and pauses of the settings for a group or account that does not exist."""
    known = {"groups": list(accounts.groups), "accounts": [account.name for account in accounts]}
    for key, name in unknown_names(settings.limits, settings.pauses, known):
        kind = key.partition(".")[2]
        yield f"{key} of the settings: the accounts file has no {name!r}; its {kind} are {', '.join(known[kind])}"


def _twins(document: Document, accounts: Accounts) -> Iterator[str]:
    """Yield accounts with the same login or key: each would use the whole quota of the login."""
    first: dict[tuple[str, object], Account] = {}
    for account in accounts:
        marks: list[tuple[str, object]] = [("name", account.name), ("login", _plain_login(account.login))]
        if account.s3_keys:
            marks.append(("s3_access_key", account.s3_keys.access_key))
        for what, mark in marks:
            twin = first.setdefault((what, mark), account)
            if twin is not account:
                yield document.problem(
                    ("groups", account.group, "accounts", account.name),
                    f"has the same {what} as account '{document.shown(twin.name)}' of group "
                    f"'{document.shown(twin.group)}'; each stands once",
                )
