"""``cdsed resolve``: look up the S3 paths of a listing's products in the catalogue."""

import argparse
import json
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdsed.cli.listing import Contents, add_listing, check_output, read_contents, rejected_lines, say, write_listing
from cdsed.clock import SYSTEM_CLOCK
from cdsed.errors import ExitCode

if TYPE_CHECKING:
    from cdsed.model.catalogue_entry import Absence, CatalogueEntry, Facts


def add_parser(subparsers: Any) -> None:
    """Add the command to the program's."""
    command = subparsers.add_parser(
        "resolve",
        help="look up the ids and S3 paths of a listing's products in the catalogue",
        description="Look up the products of a listing in the catalogue, and write a listing with the columns id, "
        "safename, S3Path of those that can be downloaded. For each other product the reason is printed on stderr, "
        "and the exit code is 1.",
    )
    add_listing(command)
    command.add_argument("--output", type=Path, metavar="FILE", help="write the listing here, not to stdout")
    command.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the listing.

    Returns
    -------
    int
        0, or 1 when a product cannot be downloaded; raises `ServiceError` when the catalogue cannot be asked.
    """
    from cdsed.catalogue.client import connect
    from cdsed.catalogue.names import Names
    from cdsed.config.load import settings_or_defaults

    check_output(arguments.output)
    settings = settings_or_defaults(arguments.config, os.environ)
    contents = read_contents(arguments.listing)
    with connect(settings, clock=SYSTEM_CLOCK, stop=threading.Event()) as service:
        facts = Names(service, per_filter=settings.catalogue.names_per_request).look_up(list(contents.products))
    absences = {name: absence for name in contents.products if (absence := facts.absence(name))}
    at_hand = [entry for name, entry in facts.found.items() if name not in absences]
    if arguments.json:
        print(json.dumps(_response(contents, facts, absences), ensure_ascii=False, indent=1))
    if arguments.output or not arguments.json:
        write_listing([(entry.product_id, entry.name, entry.s3_path) for entry in at_hand], arguments.output)
    for name, absence in absences.items():
        say(f"{name}: {absence.cause}")
    return ExitCode.UNFINISHED if absences else ExitCode.OK


def _response(contents: Contents, facts: "Facts", absences: "dict[str, Absence]") -> dict[str, Any]:
    missing = [
        {"safename": name, "code": absence.code, "cause": absence.cause, "id": _id(facts, name)}
        for name, absence in absences.items()
    ]
    found = [described(entry) for name, entry in facts.found.items() if name not in absences]
    return {"schema": 2, "found": found, "missing": missing, "rejected": rejected_lines(contents)}


def _id(facts: "Facts", name: str) -> str | None:
    row = facts.found.get(name) or facts.deleted.get(name)
    return row.product_id if row else None


def described(entry: "CatalogueEntry") -> dict[str, Any]:
    """Return an entry of the catalogue for JSON."""
    return {
        "id": entry.product_id,
        "safename": entry.name,
        "S3Path": entry.s3_path,
        "size_bytes": entry.size_bytes,
        "online": entry.online,
        "md5": entry.md5,
        "blake3": entry.blake3,
        "modified_at": entry.modified_at.isoformat(),
        "footprint_wkt": entry.footprint_wkt,
    }
