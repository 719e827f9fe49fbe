"""``cdsed keys``: list, make and delete the S3 keys of an account, at CDSE's keys manager."""

import argparse
import json
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdsed.clock import SYSTEM_CLOCK, iso
from cdsed.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from cdsed.credentials.keys_manager import KeysManager, NewKey

_DAYS_DEFAULT = 90
_DAYS_MAX = 36_500  # a hundred years; a much larger number would overflow the date


def add_parser(subparsers: Any) -> None:
    """Add the command to the program's."""
    keys = subparsers.add_parser(
        "keys",
        help="list, make and delete the S3 keys of an account",
        description="List, make and delete the S3 keys of an account, at CDSE's keys manager. The account needs its "
        "password in the accounts file.",
    )
    actions = keys.add_subparsers(metavar="ACTION", required=True)
    listing = _action(actions, "list", "list the keys, without their secrets")
    listing.set_defaults(command=run_list)
    create = _action(actions, "create", "make a key pair, and write it where only you can read it")
    place = create.add_mutually_exclusive_group(required=True)
    place.add_argument("--output", type=Path, metavar="FILE", help="new file for the pair, made with mode 0600")
    place.add_argument("--show", action="store_true", help="print the pair with its secret")
    create.add_argument("--days", type=int, default=_DAYS_DEFAULT, help=f"how long it lasts (default: {_DAYS_DEFAULT})")
    create.set_defaults(command=run_create)
    delete = _action(actions, "delete", "delete a key")
    delete.add_argument("key", metavar="KEY", help="its access key, as `cdsed keys list` shows it")
    delete.set_defaults(command=run_delete)


def run_list(arguments: argparse.Namespace) -> int:
    """Print the keys of the account.

    Returns
    -------
    int
        0.
    """
    from cdsed.view.terminal import printable

    with _manager(arguments) as manager:
        listed = manager.listed()
    rows = [
        {
            "access_key": key.access_key,
            "user_name": key.user_name,
            "expires": iso(key.expires.timestamp()) if key.expires else None,
        }
        for key in listed
    ]
    if arguments.json:
        _print_json({"keys": rows})
    elif rows:
        for row in rows:
            print(printable(f"{row['access_key']}  expires {row['expires'] or 'never'}  {row['user_name']}"))
    else:
        print("no S3 keys")
    return ExitCode.OK


def run_create(arguments: argparse.Namespace) -> int:
    """Make a key pair; its secret is shown only now, in the file or on the screen.

    Returns
    -------
    int
        0; raises `UsageError` when the file exists, or the number of days is not valid.
    """
    if not 1 <= arguments.days <= _DAYS_MAX:
        raise UsageError(f"--days is {arguments.days}; give 1 to {_DAYS_MAX}")
    expires = datetime.fromtimestamp(int(SYSTEM_CLOCK.utc_s()) + arguments.days * 86_400, UTC)
    with _manager(arguments) as manager:
        if arguments.output is None:
            made = manager.create(expires)
            _show(made, as_json=arguments.json)
            return ExitCode.OK
        with _new_file(arguments.output) as file:  # before the key: do not make a key that cannot be stored
            made = manager.create(expires)
            try:
                file.write(_pair(made))
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                manager.delete(made.keys.access_key.reveal())  # without its secret the key is useless
                raise
    end = iso(made.expires.timestamp()) if made.expires else None
    if arguments.json:
        access_key = made.keys.access_key.reveal()
        _print_json({"access_key": access_key, "expires": end, "output": str(arguments.output)})
    else:
        print(f"made a key that expires {end or 'never'}; the pair is in {arguments.output}")
    return ExitCode.OK


def run_delete(arguments: argparse.Namespace) -> int:
    """Delete a key.

    Returns
    -------
    int
        0; 1 when the account has no such key.
    """
    with _manager(arguments) as manager:
        there = manager.delete(arguments.key)
    if arguments.json:
        _print_json({"access_key": arguments.key, "deleted": there})
    elif there:
        print(f"deleted {arguments.key}")
    else:
        print(f"cdsed: the account has no key {arguments.key}; see cdsed keys list", file=sys.stderr)
    return ExitCode.OK if there else ExitCode.UNFINISHED


def _action(actions: Any, name: str, purpose: str) -> argparse.ArgumentParser:
    action: argparse.ArgumentParser = actions.add_parser(name, help=purpose, description=f"{purpose.capitalize()}.")
    action.add_argument("--account", metavar="NAME", help="which account (default: the only one with a password)")
    action.add_argument("--json", action="store_true", help="print JSON")
    action.add_argument("--config", type=Path, metavar="FILE", help="settings file (default: the search path)")
    return action


@contextmanager
def _manager(arguments: argparse.Namespace) -> Iterator["KeysManager"]:
    """Yield the keys manager of the account that the command line names."""
    from cdsed.catalogue.http_client import HttpClient
    from cdsed.config.accounts import load_accounts
    from cdsed.config.load import load_settings
    from cdsed.credentials.keys_manager import KeysManager
    from cdsed.credentials.tokens import Tokens

    settings = load_settings(arguments.config, os.environ)
    account = _account(load_accounts(settings, os.environ), arguments.account)
    settings.sessions_dir.mkdir(mode=0o750, parents=True, exist_ok=True)
    services = settings.services
    with HttpClient.from_settings(settings, clock=SYSTEM_CLOCK, stop=threading.Event()) as http_client:
        tokens = Tokens(services.identity_url, account, settings.sessions_dir, http_client)
        yield KeysManager(services.keys_manager_url, account.name, tokens, http_client)


def _account(accounts: Any, name: str | None) -> Any:
    able = {account.name: account for account in accounts if account.password is not None}
    if name is None and len(able) == 1:
        return next(iter(able.values()))
    if name in able:
        return able[name]
    known = ", ".join(able) or "none; give one its password in the accounts file"
    wrong = "say which account with --account" if name is None else f"account {name!r} is not one with a password"
    raise UsageError(f"{wrong}; accounts with a password: {known}")


@contextmanager
def _new_file(path: Path) -> Iterator[Any]:
    """Yield a new file of mode 0600; it is removed when the block fails."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise UsageError(f"{path} exists; name a new file") from None
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no such directory") from None
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            yield file
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _pair(made: "NewKey") -> str:
    """Return the lines of an accounts file for the pair."""
    lines = [
        f'        s3_access_key: "{made.keys.access_key.reveal()}"',
        f'        s3_secret_key: "{made.keys.secret_key.reveal()}"',
    ]
    if made.expires:
        lines.append(f"        s3_key_expires: {iso(made.expires.timestamp())}")
    return "\n".join([*lines, ""])


def _show(made: "NewKey", *, as_json: bool) -> None:
    if as_json:
        expires = iso(made.expires.timestamp()) if made.expires else None
        keys = made.keys
        _print_json(
            {"access_key": keys.access_key.reveal(), "secret_key": keys.secret_key.reveal(), "expires": expires}
        )
    else:
        print(_pair(made), end="")


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2))
