"""``cdsed export``: what the archive holds and how it came there, as CSV, JSON lines, GeoJSON, GeoParquet or STAC."""

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from cdsed.cli.listing import check_output, say
from cdsed.cli.output import target
from cdsed.errors import CdsedError, ExitCode, UsageError
from cdsed.model.families import Family
from cdsed.model.product_state import SUCCEEDED, State

if TYPE_CHECKING:
    from cdsed.config.settings import Settings
    from cdsed.holdings.export_formats import ExportFormat
    from cdsed.holdings.product_records import ExportFilter, Record
    from cdsed.store.database import Database

_FORMATS = ("csv", "jsonl", "geojson", "geoparquet", "stac")
_SUFFIXES = {".ndjson": "jsonl", ".parquet": "geoparquet"}
_ALL = "all"


def add_parser(subparsers: Any) -> None:
    """Add the command to the program's."""
    command = subparsers.add_parser(
        "export",
        help="export what the archive holds and how it came there",
        description="Write one record for each product on disk: where it is, its size, listings, group, times and "
        "source. The output file appears when it is complete.",
    )
    command.add_argument("--format", choices=_FORMATS, help="the format (default: by the name of --output, else csv)")
    command.add_argument("--output", type=Path, metavar="FILE", help="write to this file, not to stdout")
    command.add_argument("--listing", metavar="LISTING", help="only the products of this listing")
    command.add_argument(
        "--state",
        action="append",
        choices=[_ALL, *State],
        help="products in this state (repeatable; default: done and already_present, which are on disk)",
    )
    command.add_argument("--family", action="append", choices=list(Family), help="only this mission (repeatable)")
    command.add_argument(
        "--since", metavar="TIME", help="only products whose state changed since then, such as 2026-11-01"
    )
    command.add_argument(
        "--footprints",
        choices=("none", "disk", "catalogue"),
        help="where footprints come from: manifests on disk, or the catalogue (default: disk; none for csv and jsonl)",
    )
    command.add_argument("--config", type=Path, metavar="FILE", help="settings file (default: the search path)")
    command.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the export.

    Returns
    -------
    int
        0, also when no product fits; raises `UsageError` for options that are not valid, and `StateError` when the
        state cannot be read.
    """
    from cdsed.config.load import load_settings
    from cdsed.holdings.product_records import read_records
    from cdsed.process.lock import is_running
    from cdsed.store.database import open_read_only
    from cdsed.view.wording import plural

    check_output(arguments.output)
    form = _format(arguments)
    write = _writer(form)
    settings = load_settings(arguments.config, os.environ)
    db = open_read_only(settings.state_dir, daemon_runs=is_running(settings.state_dir))
    if db is None:
        raise CdsedError(f"no state at {settings.state_dir}: the daemon has never run")
    try:
        records = read_records(db, _filter(arguments, db))
        with _footprints(arguments.footprints, form, settings) as add, target(arguments.output) as file:
            count = write(add(records), file)
    finally:
        db.close()
    say(plural(count, "product"))
    return ExitCode.OK


def _format(arguments: argparse.Namespace) -> "ExportFormat":
    from cdsed.holdings.export_formats import ExportFormat

    if arguments.format:
        form = ExportFormat(arguments.format)
    elif arguments.output is None:
        form = ExportFormat.CSV
    else:
        suffix = arguments.output.suffix.lower()
        name = _SUFFIXES.get(suffix, suffix.removeprefix("."))
        if name not in _FORMATS:
            raise UsageError(f"{arguments.output}: say by --format which one of {', '.join(_FORMATS)} it is")
        form = ExportFormat(name)
    if form is ExportFormat.GEOPARQUET and arguments.output is None and sys.stdout.isatty():
        raise UsageError("geoparquet is not for a terminal; give --output")
    return form


def _writer(form: "ExportFormat") -> "Callable[[Iterator[Record], IO[bytes]], int]":
    from cdsed.holdings.export_formats import writer_of

    try:
        return writer_of(form)
    except ImportError as error:
        if error.name != "pystac":
            raise
        raise CdsedError("a STAC export needs pystac, which is not installed: pip install 'cdsed[stac]'") from None


def _filter(arguments: argparse.Namespace, db: "Database") -> "ExportFilter":
    from cdsed.catalogue.attributes import parse_timestamp
    from cdsed.holdings.product_records import ExportFilter
    from cdsed.store import listings

    number, since = None, 0.0
    if arguments.listing is not None:
        listing = listings.find(db, arguments.listing)
        if listing is None:
            raise UsageError(f"no listing is named {arguments.listing}; see cdsed status")
        number = listing.head.id
    if arguments.since is not None:
        try:
            since = parse_timestamp(arguments.since).timestamp()
        except ValueError as error:
            raise UsageError(f"--since: {error}") from None
    chosen = arguments.state or SUCCEEDED
    states = frozenset(State) if _ALL in chosen else frozenset(map(State, chosen))
    return ExportFilter(states, number, frozenset(each for each in Family if each in (arguments.family or ())), since)


@contextmanager
def _footprints(
    source: str | None, form: "ExportFormat", settings: "Settings"
) -> "Iterator[Callable[[Iterator[Record]], Iterator[Record]]]":
    """Yield the function that adds footprints to records."""
    import threading

    from cdsed.catalogue.client import connect
    from cdsed.catalogue.names import Names
    from cdsed.clock import SYSTEM_CLOCK
    from cdsed.holdings.footprint_source import from_catalogue, from_disk

    source = source or ("disk" if form.has_shapes else "none")
    if source != "catalogue":
        yield from_disk if source == "disk" else iter
        return
    with connect(settings, clock=SYSTEM_CLOCK, stop=threading.Event()) as service:
        names = Names(service, per_filter=settings.catalogue.names_per_request)

        def look_up(safenames: Sequence[str]) -> Mapping[str, str | None]:
            found = names.look_up(safenames).found
            return {name: entry.footprint_wkt for name, entry in found.items()}

        yield lambda records: from_catalogue(records, look_up)
