"""``cdsed config``: check the settings and the accounts, and write new ones."""

import argparse
import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from math import ceil
from pathlib import Path
from typing import Any

from cdsed.cli import config_files
from cdsed.clock import SYSTEM_CLOCK
from cdsed.errors import ConfigError, ExitCode
from cdsed.log import print_error

_WARN_BEFORE_EXPIRY_DAYS = 14


def add_parser(subparsers: Any) -> None:
    """Add the command ``config`` to the subparsers of the program."""
    config = subparsers.add_parser("config", help="work with the settings")
    actions = config.add_subparsers(metavar="ACTION", required=True)
    check = actions.add_parser(
        "check",
        help="validate the settings and the accounts, and print a summary",
        description="Validate the settings and the accounts, and print a summary; or print every problem with its key "
        "and remedy. Exits with 0 when a daemon can run with them, else 78.",
    )
    check.add_argument("--config", type=Path, metavar="FILE", help="settings file (default: the search path)")
    check.add_argument(
        "--no-accounts", action="store_true", help="do not check the accounts, which only the daemon's user may read"
    )
    check.set_defaults(command=run)
    config_files.add_actions(actions)


def run(arguments: argparse.Namespace) -> int:
    """Print a summary of the settings, or every problem of them.

    Returns
    -------
    int
        0, or 78 (`ExitCode.CONFIG`) when a daemon could not run with them.
    """
    try:
        _check(arguments.config, with_accounts=not arguments.no_accounts)
    except ConfigError as error:
        print_error(str(error))
        return ExitCode.CONFIG
    return ExitCode.OK


def _check(config: Path | None, *, with_accounts: bool) -> None:
    # Imported here: pydantic takes 80 ms, which other commands do not need.
    from cdsed.config.load import load_settings
    from cdsed.config.locate import settings_file

    source = settings_file(config, os.environ)
    settings = load_settings(config, os.environ)
    summary = _accounts(settings) if with_accounts else ["the accounts were not checked"]
    print(f"settings: {source}")
    warnings = (f"warning: {warning}" for warning in _warnings_of_file(source, settings))
    for line in (*_proxies(settings), *summary, *warnings):
        print(line)


def _proxies(settings: Any) -> Iterator[str]:
    """Yield a line for each proxy that leads to a service, without its login."""
    from cdsed.config.proxies import ProxyRules

    services = settings.services
    rules = ProxyRules(services.proxy_url)
    by = "services.proxy_url" if services.proxy_url else "of the environment"
    for proxy in dict.fromkeys(filter(None, map(rules.proxy_for, services.urls))):
        yield f"proxy: {proxy}{', with a login' if proxy.authorization else ''} ({by})"


def _accounts(settings: Any) -> list[str]:
    """Return the lines of a summary of the accounts."""
    from cdsed.config.accounts import accounts_file, load_accounts

    accounts = load_accounts(settings, os.environ)
    expiries = sorted(account.s3_key_expires for account in accounts if account.s3_key_expires)
    sessions = sum(group.sessions for group in accounts.groups.values())
    now = datetime.fromtimestamp(SYSTEM_CLOCK.utc_s(), UTC)
    return [
        f"accounts: {accounts_file(settings, os.environ)}",
        f"{_count(len(accounts.groups), 'group')}, {_count(len(list(accounts)), 'account')}, "
        f"{_count(sessions, 'session')}; "
        + (f"keys expire from {expiries[0]:%Y-%m-%d} on" if expiries else "no expiry of keys is given"),
        *(f"warning: {warning}" for warning in _warnings_of_accounts(accounts, settings, now)),
    ]


def _warnings_of_file(source: Path, settings: Any) -> Iterator[str]:
    mode, proxy_url = source.stat().st_mode, settings.services.proxy_url
    if mode & stat.S_IWOTH:
        yield f"{source}: every user may change it; run: chmod o-w {source}"
    if mode & stat.S_IROTH and proxy_url and "@" in proxy_url.reveal():
        yield f"{source}: every user may read the login of the proxy in it; run: chmod o-r {source}"


def _warnings_of_accounts(accounts: Any, settings: Any, now: datetime) -> Iterator[str]:
    from cdsed.credentials.key_ledger import accounts_to_keep

    kept = {account.name for account in accounts_to_keep(settings, accounts)}
    for account in accounts:
        if account.name in kept:
            continue
        if account.s3_keys is None:
            yield f"account {account.name} has no S3 keys and gets no temporary ones: it downloads nothing"
        elif account.s3_key_expires:
            left_days = (account.s3_key_expires - now).total_seconds() / 86_400
            when = f"{account.s3_key_expires:%Y-%m-%d}; make new ones"
            if left_days <= 0:
                yield f"the S3 keys of account {account.name} expired on {when}"
            elif left_days <= _WARN_BEFORE_EXPIRY_DAYS:
                left = _count(ceil(left_days), "day")
                yield f"the S3 keys of account {account.name} expire in {left}, on {when}"


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
