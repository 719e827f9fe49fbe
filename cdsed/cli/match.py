"""``cdsed match``: find Sentinel-1 products of another type from the same acquisitions as a listing's products."""

import argparse
import json
import os
import threading
from pathlib import Path
from typing import Any

from cdsed.cli.listing import COLUMNS, add_listing, check_output, read_contents, rejected_lines, say, write_listing
from cdsed.clock import SYSTEM_CLOCK
from cdsed.errors import ExitCode, UsageError
from cdsed.model.families import Family

_TYPES = tuple(each for family in Family for each in family.mission.types)
_TOLERANCE_S = 2.0
_TOLERANCE_MAX_S = 86_400.0


def add_parser(subparsers: Any) -> None:
    """Add the command to the program's."""
    command = subparsers.add_parser(
        "match",
        help="find Sentinel-1 products of another type from the same acquisitions",
        description="Find the Sentinel-1 products of another type from the same acquisitions as the products of a "
        "listing: of the same unit, orbit and datatake, with the same or else the closest start. The output is a "
        "listing; its column counterpart_of has the given names. Exits with 1 when one has no counterpart.",
    )
    add_listing(command)
    command.add_argument("--to", required=True, choices=_TYPES, help="the type to find")
    command.add_argument(
        "--tolerance-s",
        type=float,
        default=_TOLERANCE_S,
        metavar="SECONDS",
        help=f"how far the starts may be apart (default: {_TOLERANCE_S:g})",
    )
    command.add_argument("--cog", action="store_true", help="find the cloud-optimised copies (…_COG.SAFE) instead")
    command.add_argument("--output", type=Path, metavar="FILE", help="write the listing here, not to stdout")
    command.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the counterparts.

    Returns
    -------
    int
        0, or 1 when a product does not have one; raises `UsageError` for a tolerance that is not valid, and
        `ServiceError` when the catalogue cannot be asked.
    """
    from cdsed.catalogue.client import connect
    from cdsed.catalogue.counterparts import counterparts
    from cdsed.cli.resolve import described
    from cdsed.config.load import settings_or_defaults
    from cdsed.model.safename import parse

    if not 0 <= arguments.tolerance_s <= _TOLERANCE_MAX_S:
        raise UsageError(f"--tolerance-s {arguments.tolerance_s:g} is not between 0 and {_TOLERANCE_MAX_S:g} seconds")
    check_output(arguments.output)
    settings = settings_or_defaults(arguments.config, os.environ)
    contents = read_contents(arguments.listing)
    wanted = [parse(name) for name in contents.products]
    with connect(settings, clock=SYSTEM_CLOCK, stop=threading.Event()) as service:
        found = counterparts(wanted, arguments.to, service, arguments.tolerance_s, cog=arguments.cog)
    alone = [each.name for each in wanted if each.name not in found]
    if arguments.json:
        matches = [{"counterpart_of": name, **described(found[name])} for name in contents.products if name in found]
        response = {"schema": 2, "matches": matches, "without": alone, "rejected": rejected_lines(contents)}
        print(json.dumps(response, ensure_ascii=False, indent=1))
    if arguments.output or not arguments.json:
        entries = [(found[each.name], each.name) for each in wanted if each.name in found]
        rows = [(entry.product_id, entry.name, entry.s3_path, name) for entry, name in entries]
        write_listing(rows, arguments.output, (*COLUMNS, "counterpart_of"))
    for name in alone:
        say(f"{name}: no {arguments.to} within {arguments.tolerance_s:g} s")
    return ExitCode.UNFINISHED if alone else ExitCode.OK
