"""``cdsed config``: check the settings and the accounts, and write new ones."""

import argparse
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cdsed.cli import config_files
from cdsed.clock import SYSTEM_CLOCK
from cdsed.errors import ConfigError, ExitCode
from cdsed.log import print_error


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
    from cdsed.doctor.configured import proxy_lines, warnings_of_file

    source = settings_file(config, os.environ)
    settings = load_settings(config, os.environ)
    summary = _accounts(settings) if with_accounts else ["the accounts were not checked"]
    print(f"settings: {source}")
    _check_queries(settings)
    proxies = (f"proxy: {line}" for line in proxy_lines(settings))
    warnings = (*warnings_of_file(source, settings), *_warnings_of_hooks(settings))
    for line in (*proxies, *summary, *(f"warning: {warning}" for warning in warnings)):
        print(line)


def _check_queries(settings: Any) -> None:
    """Check the conditions of the standing queries; ConfigError for one that is not valid."""
    if not settings.queries:
        return
    from cdsed.catalogue.changes import query_of

    problems = []
    for query in settings.queries:
        try:
            query_of(query.search)
        except ValueError as error:
            problems.append(f"queries: {query.name}: search: {error}")
        except OSError as error:
            problems.append(f"queries: {query.name}: search: {error.filename}: {error.strerror}")
    if problems:
        raise ConfigError(problems)


def _warnings_of_hooks(settings: Any) -> Iterator[str]:
    """Yield what will keep hooks from being given events."""
    if not settings.hooks:
        return
    from cdsed.errors import HookError
    from cdsed.work.hook_targets import read_secret

    for hook in settings.hooks:
        program = Path(hook.command[0]) if hook.command else hook.mail.sendmail if hook.mail else None
        if program is not None and not os.access(program, os.X_OK):
            yield f"hook {hook.name}: {program} is not there, or you may not run it"
        if hook.webhook is not None:
            try:
                read_secret(hook.webhook.secret_file, os.environ)
            except HookError as error:
                yield f"hook {hook.name}: {error}"


def _accounts(settings: Any) -> list[str]:
    """Return the lines of a summary of the accounts."""
    from cdsed.config.accounts import accounts_file, load_accounts
    from cdsed.doctor.configured import warnings_of_accounts

    accounts = load_accounts(settings, os.environ)
    expiries = sorted(account.s3_key_expires for account in accounts if account.s3_key_expires)
    sessions = sum(group.sessions for group in accounts.groups.values())
    now = datetime.fromtimestamp(SYSTEM_CLOCK.utc_s(), UTC)
    return [
        f"accounts: {accounts_file(settings, os.environ)}",
        f"{_count(len(accounts.groups), 'group')}, {_count(len(list(accounts)), 'account')}, "
        f"{_count(sessions, 'session')}; "
        + (f"keys expire from {expiries[0]:%Y-%m-%d} on" if expiries else "no expiry of keys is given"),
        *(f"warning: {warning}" for warning in warnings_of_accounts(accounts, settings, now)),
    ]


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
