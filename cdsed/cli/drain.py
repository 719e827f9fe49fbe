"""``cdsed drain``: begin no new product, and finish those in transfer."""

import argparse
import json
import time
from typing import TYPE_CHECKING, Any

from cdsed.cli.commanding import SCHEMA, StateChange, add_options, changing
from cdsed.clock import SYSTEM_CLOCK
from cdsed.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from cdsed.store.database import Database

_EVERY_S = 1.0


def add_parser(subparsers: Any) -> None:
    """Add the command to the program's."""
    command = subparsers.add_parser(
        "drain",
        help="begin no new product, and finish those in transfer",
        description="Begin no new product, and finish those in transfer: of the whole daemon, or of some accounts. "
        "`cdsed resume`, or `cdsed resume account NAME`, undoes it.",
    )
    command.add_argument("accounts", nargs="*", metavar="ACCOUNT", help="names or patterns of accounts (default: all)")
    command.add_argument("--wait", action="store_true", help="return when nothing is in transfer any more")
    add_options(command)
    command.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Drain the daemon or accounts.

    Returns
    -------
    int
        0; with ``--wait`` 3 if no daemon runs that could finish them.
    """
    from cdsed.process.lock import is_running
    from cdsed.store import drains

    with changing(arguments.config, dry=arguments.dry_run) as change:
        accounts = _accounts(change.db, arguments.accounts)

        def work() -> list[bool]:
            change.record(f"drain {', '.join(accounts) if arguments.accounts else 'the daemon'}")
            return [drains.add(change.db, SYSTEM_CLOCK, account) for account in accounts]

        begun = change.do(work)
        running = is_running(change.settings.state_dir)
        done = not change.dry and _wait(change, accounts, waits=arguments.wait and running)
    code = ExitCode.NOT_RUNNING if arguments.wait and not done and not running else ExitCode.OK
    if arguments.json:
        found = {"schema": SCHEMA, "dry_run": arguments.dry_run, "accounts": accounts, "drained": done}
        print(json.dumps(found, indent=2))
        return code
    if arguments.dry_run:
        print("dry run: nothing is changed")
    for account, new in zip(accounts, begun, strict=True):
        what = f"account {account}" if account else "the daemon"
        print(f"{what} {'begins' if new else 'was drained already, and begins'} no new product until `cdsed resume`")
    if done:
        print("nothing is in transfer")
    elif not running:
        print("no daemon runs: products in transfer are finished when it runs again")
    else:
        print("products in transfer are being finished; `cdsed drain --wait` waits for it")
    return code


def _accounts(db: "Database", names: list[str]) -> list[str]:
    from fnmatch import filter as matching

    from cdsed.store import selection

    known = selection.accounts(db)
    chosen: set[str] = set()
    for name in names:
        found = [name] if name in known else matching(known, name)  # a name may have the characters of a pattern
        if not found:
            raise UsageError(f"no account is named {name}; there are {', '.join(known) or 'none'}")
        chosen |= set(found)
    return sorted(chosen, key=known.index) if names else [""]


def _wait(change: StateChange, accounts: list[str], *, waits: bool) -> bool:
    """Tell whether the drains are done; wait until they are if asked to, as long as a daemon runs."""
    from cdsed.process.lock import is_running
    from cdsed.store import drains

    while True:
        done = {drain.account for drain in drains.active(change.db) if drain.done_at is not None}
        if done >= set(accounts):
            return True
        if not waits or not is_running(change.settings.state_dir):
            return False
        time.sleep(_EVERY_S)
