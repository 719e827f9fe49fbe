"""What is worth a warning in settings and accounts that are valid."""

import stat
from collections.abc import Iterable, Iterator
from datetime import datetime
from math import ceil
from pathlib import Path

from cdsed.config.accounts import Account
from cdsed.config.proxies import ProxyRules
from cdsed.config.settings import Settings
from cdsed.credentials.key_ledger import accounts_to_keep
from cdsed.doctor.finding import DoctorVerdict, Finding, fine, problem, remark

_WARN_BEFORE_EXPIRY_DAYS = 14
_NEW_KEYS = "make new ones (`cdsed keys create`), put them into the accounts file and restart the daemon"


def proxy_lines(settings: Settings) -> Iterator[str]:
    """Yield a line for each proxy that leads to a service, without its login."""
    services = settings.services
    rules = ProxyRules(services.proxy_url)
    by = "services.proxy_url" if services.proxy_url else "of the environment"
    for proxy in dict.fromkeys(filter(None, map(rules.proxy_for, services.urls))):
        yield f"{proxy}{', with a login' if proxy.authorization else ''} ({by})"


def warnings_of_file(source: Path, settings: Settings) -> Iterator[str]:
    """Yield what other users may do to the settings file."""
    mode, proxy_url = source.stat().st_mode, settings.services.proxy_url
    if mode & stat.S_IWOTH:
        yield f"{source}: every user may change it; run: chmod o-w {source}"
    if mode & stat.S_IROTH and proxy_url and "@" in proxy_url.reveal():
        yield f"{source}: every user may read the login of the proxy in it; run: chmod o-r {source}"


def check_keys(accounts: Iterable[Account], settings: Settings, now: datetime) -> Iterator[Finding]:
    """Yield one finding for each account: whether it has S3 keys, and how long they last."""
    several = list(accounts)
    kept = {account.name for account in accounts_to_keep(settings, several)}
    for account in several:
        yield _of_account(account, now, is_kept=account.name in kept)


def warnings_of_accounts(accounts: Iterable[Account], settings: Settings, now: datetime) -> Iterator[str]:
    """Yield a sentence for each account that downloads nothing, or soon nothing."""
    for finding in check_keys(accounts, settings, now):
        if finding.verdict is not DoctorVerdict.OK:
            yield finding.text


def _of_account(account: Account, now: datetime, *, is_kept: bool) -> Finding:
    name = account.name
    if is_kept:
        return fine("keys", name, f"account {name} gets temporary S3 keys with its password")
    if account.s3_keys is None:
        text = f"account {name} has no S3 keys and gets no temporary ones: it downloads nothing"
        return problem("keys", name, text, "its sessions are not used", _NEW_KEYS)
    if account.s3_key_expires is None:
        return fine("keys", name, f"account {name} has S3 keys; when they expire is not given")
    left_days = (account.s3_key_expires - now).total_seconds() / 86_400
    when = f"{account.s3_key_expires:%Y-%m-%d}"
    if left_days <= 0:
        text = f"the S3 keys of account {name} expired on {when}; make new ones"
        return problem("keys", name, text, "S3 refuses it", _NEW_KEYS)
    if left_days <= _WARN_BEFORE_EXPIRY_DAYS:
        left = ceil(left_days)
        text = f"the S3 keys of account {name} expire in {left} day{'s' * (left > 1)}, on {when}; make new ones"
        return remark("keys", name, text, "S3 refuses it then", _NEW_KEYS)
    return fine("keys", name, f"the S3 keys of account {name} expire on {when}")
