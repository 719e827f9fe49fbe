"""``cdsed retry``: start products again that wait, or are failed, unavailable or corrupt."""

import argparse
import errno
import json
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdsed.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from cdsed.model.product_state import State
    from cdsed.store.database import Database
    from cdsed.work.requeue import RetryResult

_SHOWN = 20
_SELECTIONS = {
    "failed": "products that failed, e.g. after their last attempt",
    "unavailable": "products that did not exist, were deleted or offline, or are refused to your accounts",
    "corrupt": "products that were corrupt at their source",
    "retry_wait": "products that wait for their next attempt, which then starts at once",
}


def add_parser(subparsers: Any) -> None:
    """Add the command to the program's."""
    command = subparsers.add_parser(
        "retry",
        help="start products again that are failed, unavailable or corrupt, or wait",
        description="Start products again, at once and with all their attempts. Finished listings that name them get a "
        "new report. It works whether the daemon runs or not.",
    )
    command.add_argument("products", nargs="*", metavar="PRODUCT", help="the name of a product")
    command.add_argument("--listing", metavar="LISTING", help="of this listing only; alone: all of the kinds below")
    for name, meaning in _SELECTIONS.items():
        command.add_argument(f"--{name.replace('_', '-')}", action="store_true", help=meaning)
    command.add_argument("--all", action="store_true", help="all of these, and cancelled ones")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.add_argument("--config", type=Path, metavar="FILE", help="settings file (default: the search path)")
    command.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Start products again.

    Returns
    -------
    int
        0; 1 when a named product is in progress or on disk; raises `UsageError` (64) for a product or listing that the
        state does not know.
    """
    from cdsed.clock import SYSTEM_CLOCK
    from cdsed.config.load import load_settings
    from cdsed.store.database import FILE_NAME, open_state
    from cdsed.view.read import open_status
    from cdsed.work.requeue import requeue, requeue_all

    states = _states(arguments)
    state_dir = load_settings(arguments.config, os.environ).state_dir
    with open_status(state_dir) as (_, there):  # refuses what another version of cdsed has made
        if there is None:
            raise UsageError(f"there is no state at {state_dir}: nothing was ever asked for")
    if not os.access(state_dir / FILE_NAME, os.W_OK):
        raise PermissionError(errno.EACCES, "permission denied", str(state_dir / FILE_NAME))
    db = open_state(state_dir)
    try:
        if arguments.products:
            done = requeue(db, SYSTEM_CLOCK, [_product(db, name) for name in arguments.products])
        else:
            listing = _listing(db, arguments.listing) if arguments.listing else None
            done = list(requeue_all(db, SYSTEM_CLOCK, states, listing))
    finally:
        db.close()
    _tell_json(done) if arguments.json else _tell(done)
    return ExitCode.OK if all(each.started for each in done) else ExitCode.UNFINISHED


def _states(arguments: argparse.Namespace) -> "frozenset[State]":
    """Return which states the options mean."""
    from cdsed.model.product_state import State
    from cdsed.work.requeue import RETRYABLE

    chosen = frozenset(State(name) for name in _SELECTIONS if getattr(arguments, name))
    if arguments.products and (chosen or arguments.all or arguments.listing):
        raise UsageError("name products, or choose them with options; not both")
    if arguments.all or (arguments.listing and not chosen):
        return RETRYABLE
    if not arguments.products and not chosen:
        raise UsageError("say what to start again: PRODUCT ..., --listing LISTING, --failed, --unavailable, --all ...")
    return chosen


def _product(db: "Database", name: str) -> Any:
    from cdsed.view.read import details_of
    from cdsed.view.status_view import ProductDetails

    found = details_of(db, name)
    if not isinstance(found, ProductDetails):
        raise UsageError(f"{name!r} is a listing; give it with --listing")
    return found.product


def _listing(db: "Database", name: str) -> int:
    from cdsed.view.read import details_of
    from cdsed.view.status_view import ListingDetails

    found = details_of(db, name)
    if not isinstance(found, ListingDetails):
        raise UsageError(f"{name!r} is a product, not a listing")
    return found.listing.head.id


def _tell(done: "list[RetryResult]") -> None:
    from cdsed.view.terminal import printable
    from cdsed.view.wording import number, plural

    started = [each for each in done if each.started]
    left = [each for each in done if not each.started]
    if not done:
        print("nothing to start again")
    if started:
        was = Counter(each.was.value for each in started)
        by_state = ", ".join(f"{number(count)} {state}" for state, count in was.items())
        print(f"{plural(len(started), 'product')} started again: {by_state}")
    for each in started[:_SHOWN]:
        print(printable(f"  {each.safename}  was {each.was}, is {each.now}"))
    if len(started) > _SHOWN:
        print(f"  and {number(len(started) - _SHOWN)} more")
    for each in left:
        print(printable(f"  {each.safename}  is {each.now}: nothing to start again"))


def _tell_json(done: "list[RetryResult]") -> None:
    rows = [{"safename": each.safename, "was": each.was, "now": each.now, "started": each.started} for each in done]
    print(json.dumps({"schema": 2, "started": sum(each.started for each in done), "products": rows}, indent=2))
