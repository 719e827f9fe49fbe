"""``cdsed metadata``: what the catalogue knows of products, by name or id, or of each day of Sentinel-1."""

import argparse
import csv
import io
import os
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from cdsed.cli.listing import check_output, read_contents, say
from cdsed.cli.output import target
from cdsed.clock import SYSTEM_CLOCK
from cdsed.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from cdsed.catalogue.metadata import Entry, MetadataLookup

_FORMATS = ("csv", "parquet")
_BATCH = 300
_SETTLE_DAYS = 7.0


def add_parser(subparsers: Any) -> None:
    """Add the command to the program's."""
    command = subparsers.add_parser(
        "metadata",
        help="write what the catalogue knows of products: attributes, footprints, digests",
        description="Write the catalogue's whole row of each product of a listing, as CSV or GeoParquet, with the "
        "columns of cdsodatacli. With --daily write one parquet file for each day of Sentinel-1 instead; days that are "
        "there already are skipped. Exits with 1 when a product or a day is missing.",
    )
    command.add_argument("listing", nargs="?", type=Path, metavar="LISTING", help="file with names or ids; - for stdin")
    command.add_argument("--output", type=Path, metavar="FILE", help="write to this file, not to stdout")
    command.add_argument("--format", choices=_FORMATS, help="the format (default: by the name of --output, else csv)")
    command.add_argument("--daily", type=Path, metavar="DIR", help="write DIR/s1_YYYY-MM-DD.parquet for each day")
    command.add_argument("--from", dest="first", metavar="DAY", help="first day, such as 2026-01-01")
    command.add_argument("--to", dest="last", metavar="DAY", help="last day, included (default: today)")
    command.add_argument(
        "--settle-days",
        type=float,
        default=_SETTLE_DAYS,
        metavar="DAYS",
        help=f"ask for a day again until its file is made so long after it (default: {_SETTLE_DAYS:g})",
    )
    command.add_argument("--overwrite", action="store_true", help="ask for every day again")
    command.add_argument("--cog", action="store_true", help="keep cloud-optimised copies (…_COG.SAFE), too")
    command.add_argument("--config", type=Path, metavar="FILE", help="settings file (default: the search path)")
    command.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the rows of products, or the files of days.

    Returns
    -------
    int
        0, or 1 when a product is not in the catalogue or a day failed; raises `UsageError` for options that are not
        valid, and `ServiceError` when the catalogue cannot be asked.
    """
    if (arguments.daily is None) == (arguments.listing is None):
        raise UsageError("give either a listing, or --daily DIR with --from DAY")
    of_other = ("output", "format") if arguments.listing is None else ("first", "last", "overwrite", "cog")
    for name in of_other:
        if getattr(arguments, name):
            option = {"first": "from", "last": "to"}.get(name, name)
            raise UsageError(f"--{option} does not go with {'--daily' if arguments.listing is None else 'a listing'}")
    return _write_names(arguments) if arguments.daily is None else _write_days(arguments)


def _write_names(arguments: argparse.Namespace) -> int:
    from cdsed.catalogue.client import connect
    from cdsed.catalogue.metadata import MetadataLookup, write_parquet
    from cdsed.config.load import settings_or_defaults

    check_output(arguments.output)
    form = _format(arguments)
    settings = settings_or_defaults(arguments.config, os.environ)
    contents = read_contents(arguments.listing)
    asked = list(contents.products)
    absent: dict[str, str] = {}
    with connect(settings, clock=SYSTEM_CLOCK, stop=threading.Event()) as service:
        lookup = MetadataLookup(service, per_filter=settings.catalogue.names_per_request)
        batches = _batches(lookup, asked, absent)
        with target(arguments.output) as file:
            count = _write_csv(batches, file) if form == "csv" else write_parquet(batches, file)
    for name, cause in absent.items():
        say(f"{name}: {cause}")
    say(f"{count} of {len(asked)} products")
    return ExitCode.UNFINISHED if absent or contents.rejected else ExitCode.OK


def _format(arguments: argparse.Namespace) -> str:
    form = arguments.format
    if form is None:
        suffix = "" if arguments.output is None else arguments.output.suffix.lower().removeprefix(".")
        form = "csv" if arguments.output is None else suffix
    if form not in _FORMATS:
        raise UsageError(f"{arguments.output}: say by --format which one of {', '.join(_FORMATS)} it is")
    if form == "parquet" and arguments.output is None and sys.stdout.isatty():
        raise UsageError("parquet is not for a terminal; give --output")
    return str(form)


def _batches(lookup: "MetadataLookup", asked: Sequence[str], absent: dict[str, str]) -> "Iterator[list[Entry]]":
    """Yield the rows of some names at a time, each row once; fill `absent`."""
    seen: set[str] = set()
    for first in range(0, len(asked), _BATCH):
        found = lookup.look_up(asked[first : first + _BATCH])
        absent |= found.absent
        rows = {row["Id"]: row for row in found.rows.values() if row["Id"] not in seen}
        seen |= rows.keys()
        yield list(rows.values())


def _write_csv(batches: "Iterable[Sequence[Entry]]", file: IO[bytes]) -> int:
    from cdsed.catalogue.metadata import COLUMNS_OF_NAMES, as_texts

    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    writer = csv.DictWriter(text, COLUMNS_OF_NAMES, lineterminator="\n")
    writer.writeheader()
    count = 0
    for rows in batches:
        writer.writerows(as_texts(rows))
        count += len(rows)
    text.flush()
    text.detach()
    return count


def _write_days(arguments: argparse.Namespace) -> int:
    from cdsed.catalogue.client import connect
    from cdsed.catalogue.daily import DailyTree, DayFate, make_days
    from cdsed.config.load import settings_or_defaults
    from cdsed.view.wording import plural

    first, last = _days(arguments)
    if not 0 <= arguments.settle_days < 1e5:
        raise UsageError(f"--settle-days {arguments.settle_days:g} should be a number of days, 0 or more")
    if arguments.daily.exists() and not arguments.daily.is_dir():
        raise UsageError(f"{arguments.daily} is not a directory")
    arguments.daily.mkdir(parents=True, exist_ok=True)
    tree = DailyTree(arguments.daily, arguments.settle_days * 86_400, arguments.overwrite, arguments.cog)
    settings = settings_or_defaults(arguments.config, os.environ)
    counts = dict.fromkeys(DayFate, 0)
    with connect(settings, clock=SYSTEM_CLOCK, stop=threading.Event()) as service:
        for result in make_days(tree, first, last, service, SYSTEM_CLOCK.utc_s):
            counts[result.fate] += 1
            if result.fate is DayFate.WRITTEN:
                say(f"{result.day}: {plural(result.products, 'product')}")
            elif result.fate is DayFate.FAILED:
                say(f"{result.day}: failed: {result.error}")
    left = (last - first).days + 1 - sum(counts.values())
    done = f"{plural(counts[DayFate.WRITTEN], 'day')} written, {counts[DayFate.SKIPPED]} skipped"
    say(f"{done}, {counts[DayFate.FAILED]} failed" + (f", {left} left for the next call" if left else ""))
    return ExitCode.UNFINISHED if counts[DayFate.FAILED] else ExitCode.OK


def _days(arguments: argparse.Namespace) -> tuple[date, date]:
    today = datetime.fromtimestamp(SYSTEM_CLOCK.utc_s(), UTC).date()
    if arguments.first is None:
        raise UsageError("--daily needs --from DAY, such as --from 2026-01-01")
    first = _day(arguments.first)
    last = min(today if arguments.last is None else _day(arguments.last), today)
    if first > last:
        raise UsageError(f"--from {first} is after {last}")
    return first, last


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text} is not a day such as 2026-01-31") from None
