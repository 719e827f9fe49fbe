"""``cdsed refetch``: fetch published products again."""

import argparse
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from cdsed.cli.choosing import NAMES_HELP, choose
from cdsed.cli.commanding import SCHEMA, add_options, agreed, changing
from cdsed.clock import SYSTEM_CLOCK
from cdsed.errors import ExitCode
from cdsed.view.wording import number, plural

if TYPE_CHECKING:
    from cdsed.work.refetch import Refetched

_SHOWN = 20


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

        done = change.do(work, dry=True)
        count = sum(each.refused is None for each in done)
        if count and not arguments.dry_run:
            question = f"Fetch {plural(count, 'product')} again, and replace the copies on disk by the new ones?"
            if not agreed(question, yes=arguments.yes):
                return ExitCode.UNFINISHED
            done = change.do(work)
    _tell(arguments, done)
    return ExitCode.OK if done and all(each.refused is None for each in done) else ExitCode.UNFINISHED


def _tell(arguments: argparse.Namespace, done: "list[Refetched]") -> None:
    from cdsed.view.terminal import printable

    if arguments.json:
        rows = [asdict(each) for each in done]
        print(json.dumps({"schema": SCHEMA, "dry_run": arguments.dry_run, "products": rows}, indent=2))
        return
    queued = [each for each in done if each.refused is None]
    if arguments.dry_run:
        print("dry run: nothing is changed")
    print(f"{plural(len(queued), 'product')} fetched again; each copy stays until the new one is verified")
    for each in queued[:_SHOWN]:
        print(printable(f"  {each.path}"))
    if len(queued) > _SHOWN:
        print(f"  and {number(len(queued) - _SHOWN)} more")
    refused = [each for each in done if each.refused is not None]
    for each in refused[:_SHOWN]:
        print(printable(f"  {each.safename} is not fetched again: {each.refused}"))
    if len(refused) > _SHOWN:
        print(f"  and {number(len(refused) - _SHOWN)} more that are not fetched again")
