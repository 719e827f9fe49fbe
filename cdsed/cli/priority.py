"""``cdsed priority``: say which listings and products come first."""

import argparse
import json
import re
from typing import TYPE_CHECKING, Any

from cdsed.cli.choosing import NAMES_HELP, choose
from cdsed.cli.commanding import SCHEMA, StateChange, add_options, changing, print_some
from cdsed.errors import ExitCode, UsageError
from cdsed.view.wording import plural

if TYPE_CHECKING:
    from cdsed.cli.choosing import Chosen

_CHANGE = re.compile(r"([+=-])(\d{1,10})")


def add_parser(subparsers: Any) -> None:
    """Add the command to the program's."""
    command = subparsers.add_parser(
        "priority",
        help="say which listings and products come first",
        description="Change the priority of listings or products that are not finished; higher numbers come first. A "
        "product has the highest priority of the listings that want it, until you give it one of its own.",
    )
    command.add_argument("name", metavar="LISTING|PRODUCT", help=NAMES_HELP)
    command.add_argument("change", metavar="+N|-N|=N", help="add, subtract, or set")
    add_options(command)
    command.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Change priorities.

    Returns
    -------
    int
        0; 1 when everything of that name is finished; raises `UsageError` (64) for an unknown name or change.
    """
    found = _CHANGE.fullmatch(arguments.change)
    if found is None:
        raise UsageError(f"{arguments.change!r} should be +N, -N or =N, e.g. +5")
    with changing(arguments.config, dry=arguments.dry_run) as change:
        chosen = choose(change.db, [arguments.name])

        def work() -> list[dict[str, Any]]:
            change.record(f"priority {arguments.name} {arguments.change}")
            return [*_of_listings(change, chosen, found), *_of_products(change, chosen, found)]

        done = change.do(work)
    if arguments.json:
        print(json.dumps({"schema": SCHEMA, "dry_run": arguments.dry_run, "changed": done}, indent=2))
    else:
        _tell(arguments, done)
    return ExitCode.OK if done else ExitCode.UNFINISHED


def _of_listings(change: StateChange, chosen: "Chosen", by: "re.Match[str]") -> list[dict[str, Any]]:
    from cdsed.store import listings, priorities

    done = []
    for each in (listings.get(change.db, each) for each in chosen.listings):
        if each.state not in ("taking", "open"):
            continue
        now = _changed(each.head.priority, by)
        products = priorities.set_listing(change.db, each.head.id, now)
        done.append({"listing": each.head.name, "was": each.head.priority, "now": now, "products": products})
    return done


def _of_products(change: StateChange, chosen: "Chosen", by: "re.Match[str]") -> list[dict[str, Any]]:
    from cdsed.store import priorities, products

    done: list[dict[str, Any]] = []
    for product in (products.get(change.db, each) for each in chosen.products):
        now = _changed(product.priority, by)
        if priorities.set_product(change.db, product.id, now):
            done.append({"safename": product.safename, "was": product.priority, "now": now})
    return done


def _changed(before: int, by: "re.Match[str]") -> int:
    from cdsed.inbox.options import PRIORITY_MAX

    count = int(by[2])
    now = count if by[1] == "=" else before + count if by[1] == "+" else before - count
    if abs(now) > PRIORITY_MAX:
        raise UsageError(f"{by[0]} makes {now}; a priority is from -{PRIORITY_MAX} to {PRIORITY_MAX}")
    return now


def _tell(arguments: argparse.Namespace, done: list[dict[str, Any]]) -> None:
    from cdsed.view.terminal import printable

    if arguments.dry_run:
        print("dry run: nothing is changed")
    if not done:
        print(printable(f"{arguments.name} is finished: its priority does not matter any more"))
    lines = []
    for each in done:
        what = f"listing {each['listing']}" if "listing" in each else each["safename"]
        follow = f"; {plural(each['products'], 'unfinished product')} of it" if "listing" in each else ""
        lines.append(f"{what}: priority {each['now']}, was {each['was']}{follow}")
    print_some(lines, indent="")
