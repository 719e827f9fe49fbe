"""``cdsed convert``: turn a stored response of a catalogue, or any listing, into a listing of three columns."""

import argparse
import json
from pathlib import Path
from typing import Any

from cdsed.cli.listing import check_output, read_contents, rejected_lines, write_listing
from cdsed.errors import ExitCode


def add_parser(subparsers: Any) -> None:
    """Add the command to the program's."""
    command = subparsers.add_parser(
        "convert",
        help="turn a stored response of a catalogue into a listing",
        description="Turn a stored response of a catalogue (OData or OpenSearch JSON), or any other listing, into a "
        "listing with the columns id, safename, S3Path; each product once. Exits with 1 when an entry does not name "
        "a product.",
    )
    command.add_argument("response", type=Path, metavar="RESPONSE", help="file with the response; - for stdin")
    command.add_argument("--output", type=Path, metavar="FILE", help="write the listing here, not to stdout")
    command.add_argument("--json", action="store_true", help="print JSON; its member `schema` is 2")
    command.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the listing.

    Returns
    -------
    int
        0, or 1 when an entry does not name a product; raises `InboxError` (65) when no entry does.
    """
    check_output(arguments.output)
    contents = read_contents(arguments.response)
    rows = [(each.product_id, each.known_name, each.s3_path) for each in contents.products.values()]
    if arguments.json:
        products = [{"id": row[0], "safename": row[1], "S3Path": row[2]} for row in rows]
        response = {"schema": 2, "products": products, "rejected": rejected_lines(contents)}
        print(json.dumps(response, ensure_ascii=False, indent=1))
    if arguments.output or not arguments.json:
        write_listing(rows, arguments.output)
    return ExitCode.UNFINISHED if contents.rejected else ExitCode.OK
