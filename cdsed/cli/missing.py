"""``cdsed missing``: find the products of a listing that are not on disk."""

import argparse
import json
import os
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdsed.cli.listing import (
    Contents,
    add_listing,
    as_file,
    check_output,
    read_contents,
    rejected_lines,
    say,
    write_listing,
)
from cdsed.clock import SYSTEM_CLOCK
from cdsed.errors import ExitCode

if TYPE_CHECKING:
    from cdsed.config.settings import Settings
    from cdsed.local.presence import Presence
    from cdsed.model.listing import ListingHead


def add_parser(subparsers: Any) -> None:
    """Add the command to the program's."""
    command = subparsers.add_parser(
        "missing",
        help="count the products of a listing in each place, and those that are on no disk",
        description="Look for the products of a listing in its output directory, the spools and the archives. Print "
        "how many are in each place, and list those that are in none. An incomplete product counts as absent.",
    )
    add_listing(command)
    command.add_argument("--output", type=Path, metavar="FILE", help="write the listing of the absent products here")
    command.add_argument("--outputdir", type=Path, metavar="DIR", help="look here first")
    command.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the counts.

    Returns
    -------
    int
        0, also when products are absent.
    """
    from cdsed.config.load import load_settings
    from cdsed.local.presence import presence_of

    check_output(arguments.output)
    settings = load_settings(arguments.config, os.environ)
    on_disk = presence_of(settings, SYSTEM_CLOCK)
    for root in on_disk.missing_roots():
        say(f"{root} does not exist, perhaps not mounted: its products count as absent")
    with as_file(arguments.listing) as file:
        contents = read_contents(file)
        head = _head(file, settings)
    outputdir = arguments.outputdir or (Path(head.outputdir) if head.outputdir else None)
    found = {name: _find(on_disk, name, outputdir, head) for name in contents.products}
    places = _places(settings, outputdir)
    counts = Counter(_place(path, places) for path in found.values() if path)
    absent = [contents.products[name] for name, path in found.items() if path is None]
    if arguments.output:
        write_listing([(each.product_id, each.known_name, each.s3_path) for each in absent], arguments.output)
    if arguments.json:
        response = {
            "schema": 2,
            "products": len(found),
            "places": {str(place): counts[place] for place in places},
            "absent": [each.safename for each in absent],
            "rejected": rejected_lines(contents),
        }
        print(json.dumps(response, ensure_ascii=False, indent=1))
    else:
        _print(contents, {str(place): counts[place] for place in places}, len(absent), arguments.output)
    return ExitCode.OK


def _head(listing: Path, settings: "Settings") -> "ListingHead":
    """Return what a listing asks for by its first line, or else by the settings of its group."""
    from cdsed.config.groups import completed
    from cdsed.inbox.options import read_options
    from cdsed.model.listing import ListingHead

    options = read_options(listing)
    group = options.group or settings.default_group
    blank = ListingHead(0, listing.name, "", "", 0, None, taken_at=0.0, user=None)
    return blank.asking(completed(options, settings.groups.get(group)), group, "")


def _find(on_disk: "Presence", safename: str, outputdir: Path | None, head: "ListingHead") -> Path | None:
    below = ""
    with suppress(ValueError):  # a name without a field of the layout is looked for elsewhere only
        below = head.below(safename)
    return on_disk.find(safename, outputdir, below, head.choice)


def _places(settings: "Settings", outputdir: Path | None) -> list[Path]:
    roots = [*settings.spools, *(archive.root for archive in settings.archives)]
    return list(dict.fromkeys([outputdir, *roots] if outputdir else roots))


def _place(path: Path, places: list[Path]) -> Path:
    """Return the place of a path: the innermost one, because places may be nested."""
    return max((place for place in places if path.is_relative_to(place)), key=lambda place: len(place.parts))


def _print(contents: Contents, counts: dict[str, int], absent: int, output: Path | None) -> None:
    import sys

    from cdsed.view.table import Column, table
    from cdsed.view.terminal import Canvas, printable
    from cdsed.view.wording import number, plural

    print(f"{printable(contents.name)}: {plural(len(contents.products), 'product')}")
    rows = [[place, number(count)] for place, count in counts.items()]
    rows.append(["on no disk", number(absent)])
    heads = (Column(shrinks_to=12), Column(right=True))
    print("\n".join(table(Canvas.of(sys.stdout), heads, rows)))
    if output:
        print(f"those on no disk are listed in {printable(str(output))}")
