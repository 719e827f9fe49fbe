"""``cdsed refetch``: fetch published products again."""

import argparse
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from cdsed.cli.choosing import NAMES_HELP, choose
from cdsed.cli.commanding import SCHEMA, add_options, changing, print_some
from cdsed.clock import SYSTEM_CLOCK
from cdsed.errors import ExitCode
from cdsed.view.wording import plural

if TYPE_CHECKING:
    from cdsed.work.refetch import Refetched


def add_parser(subparsers: Any) -> None:
    """Add the command to the program's."""
    command = subparsers.add_parser(
        "refetch",
        help="fetch published products again",
        description="Fetch published products again. The copy of each stays until the new one is verified. Then, if "
        "the two differ, the former one moves to .cdsed/replaced beside it. If no new copy comes, it stays.",
    )
    command.add_argument("names", nargs="+", metavar="PRODUCT|LISTING", help=NAMES_HELP)
    add_options(command, asks=True)
    command.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Fetch products again.

    Returns
    -------
    int
        0; 1 when one of them is not published where cdsed may write, or if you do not agree; raises `UsageError` (64)
        for an unknown name, or without a terminal to ask on.
    """
    with changing(arguments.config, dry=arguments.dry_run) as change:
        from cdsed.work.refetch import refetch

        chosen = choose(change.db, arguments.names).every_product(change.db)

        def work() -> "list[Refetched]":
            change.record(f"refetch {' '.join(arguments.names)}")
            return refetch(change.db, SYSTEM_CLOCK, chosen, change.settings.spools, change.owner)

        done = change.do_if_agreed(work, _question, yes=arguments.yes)
    if done is None:
        return ExitCode.UNFINISHED
    _tell(arguments, done)
    return ExitCode.OK if done and all(each.refused is None for each in done) else ExitCode.UNFINISHED


def _question(done: "list[Refetched]") -> str:
    count = sum(each.refused is None for each in done)
    return f"Fetch {plural(count, 'product')} again, and replace the copies on disk by the new ones?" if count else ""


def _tell(arguments: argparse.Namespace, done: "list[Refetched]") -> None:

    if arguments.json:
        rows = [asdict(each) for each in done]
        print(json.dumps({"schema": SCHEMA, "dry_run": arguments.dry_run, "products": rows}, indent=2))
        return
    queued = [each for each in done if each.refused is None]
    if arguments.dry_run:
        print("dry run: nothing is changed")
    print(f"{plural(len(queued), 'product')} fetched again; each copy stays until the new one is verified")
    print_some([str(each.path) for each in queued])
    refused = [f"{each.safename} is not fetched again: {each.refused}" for each in done if each.refused is not None]
    print_some(refused, more="more that are not fetched again")
