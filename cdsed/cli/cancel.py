"""``cdsed cancel``: give up listings or products that are not finished."""

import argparse
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from cdsed.cli.choosing import NAMES_HELP, choose
from cdsed.cli.commanding import SCHEMA, add_options, changing, print_some
from cdsed.clock import SYSTEM_CLOCK
from cdsed.errors import ExitCode
from cdsed.view.wording import plural, size

if TYPE_CHECKING:
    from cdsed.store.cancelling import Cancelled


def add_parser(subparsers: Any) -> None:
    """Add the command to the program's."""
    command = subparsers.add_parser(
        "cancel",
        help="give up listings or products that are not finished",
        description="Give up listings or products that are not finished. Finished products stay, and so does a product "
        "that another listing wants, unless you name the product itself. What has arrived of the others is removed. "
        "The report of the listing is written and says cancelled. `cdsed retry` undoes it.",
    )
    command.add_argument("names", nargs="+", metavar="LISTING|PRODUCT", help=NAMES_HELP)
    add_options(command, asks=True)
    command.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Cancel listings and products.

    Returns
    -------
    int
        0; 1 if you do not agree; raises `UsageError` (64) for an unknown name, or without a terminal to ask on.
    """
    with changing(arguments.config, dry=arguments.dry_run) as change:
        from cdsed.store import cancelling

        chosen = choose(change.db, arguments.names)

        def work() -> "Cancelled":
            change.record(f"cancel {' '.join(arguments.names)}")
            return cancelling.cancel(change.db, SYSTEM_CLOCK, chosen.listings, chosen.products, change.owner)

        found = change.do_if_agreed(work, _question, yes=arguments.yes)
    if found is None:
        return ExitCode.UNFINISHED
    _tell_json(arguments, found) if arguments.json else _tell(arguments, found)
    return ExitCode.OK


def _question(found: "Cancelled") -> str:
    count = len(found.products) + len(found.undecided)
    lost = f", of which {size(found.lost_bytes)} have arrived" if found.lost_bytes else ""
    counts = [(found.listings, "listing"), (count, "product")]
    named = " and ".join(plural(each, word) for each, word in counts if each)
    return f"Cancel {named}{lost}?" if named else ""


def _tell(arguments: argparse.Namespace, found: "Cancelled") -> None:
    if arguments.dry_run:
        print("dry run: nothing is changed")
    listings = f" of {plural(found.listings, 'listing')}" if found.listings else ""
    lost = f"; {size(found.lost_bytes)} that had arrived are removed" if found.lost_bytes else ""
    print(f"{plural(len(found.products), 'product')}{listings} cancelled{lost}")
    print_some(found.products)
    if found.undecided:
        print(f"{plural(len(found.undecided), 'product')} had arrived: cancelled unless published first")
        print_some(found.undecided)
    if found.kept:
        print(f"{plural(found.kept, 'product')} kept, because another listing wants them")
    if found.finished:
        print(f"{plural(found.finished, 'product')} finished before: not changed")


def _tell_json(arguments: argparse.Namespace, found: "Cancelled") -> None:
    print(json.dumps({"schema": SCHEMA, "dry_run": arguments.dry_run, **asdict(found)}, indent=2))
