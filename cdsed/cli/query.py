"""``cdsed query``: search the catalogue; write the results, or put them into the inbox."""

import argparse
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdsed.cli.listing import check_output, say
from cdsed.clock import SYSTEM_CLOCK
from cdsed.dir_handle import whole_file
from cdsed.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

    from cdsed.catalogue.export import Format
    from cdsed.catalogue.query import Query
    from cdsed.catalogue.search import SearchProgress
    from cdsed.config.settings import Settings

_FORMATS = ("listing", "csv", "json", "geojson", "parquet", "cdsodatacli")  # as `cdsed.catalogue.export.Format`
_SLICE_MIN_DAYS = 0.01  # with shorter slices, a window of years has millions of them
_DESCRIPTION = """\
Search the catalogue for products that meet all given conditions, and write a listing of them, or another
format. Responses are cached for a day: an interrupted search is resumed, and a repeated search does not
find new products unless you give --no-cache."""


def add_parser(subparsers: Any) -> None:
    """Add the command to the program's."""
    command = subparsers.add_parser("query", help="search the catalogue", description=_DESCRIPTION)
    _add_conditions(command.add_argument_group("conditions"))
    results = command.add_argument_group("results")
    results.add_argument(
        "--output", type=Path, metavar="FILE", help="write here, not to stdout; .txt, .csv, .json, .geojson, .parquet"
    )
    results.add_argument("--format", choices=_FORMATS, help="default: by the name of FILE, else listing")
    results.add_argument("--column", action="append", default=[], metavar="NAME", help="add this attribute as a column")
    results.add_argument("--sea-min", type=float, metavar="PERCENT", help="keep those with at least so much sea")
    results.add_argument("--submit", action="store_true", help="put the result into the inbox as a listing")
    results.add_argument("--json", action="store_true", help="print JSON; its member `schema` is 2")
    command.add_argument(
        "--slice",
        type=float,
        metavar="DAYS",
        help="ask for at most so many days at once (default: the whole window, cut where it holds too many)",
    )
    command.add_argument("--everything", action="store_true", help="do not ask if no condition is given")
    command.add_argument("--no-cache", action="store_true", help="neither use nor store cached responses")
    command.add_argument("--config", type=Path, metavar="FILE", help="settings file (default: the search path)")
    command.set_defaults(command=run)


def _add_conditions(group: Any) -> None:
    group.add_argument(
        "--area", metavar="AREA", help="WKT, GeoJSON, or a file of either or of a vector format; longitude, latitude"
    )
    group.add_argument("--start", metavar="TIME", help="sensing starts at this time (UTC) or later")
    group.add_argument("--end", metavar="TIME", help="sensing starts before this time (UTC)")
    group.add_argument("--collection", metavar="NAME", help="e.g. SENTINEL-1; without one the catalogue is slow")
    group.add_argument("--name", metavar="PATTERN", help="of the name, * for any characters, e.g. 'S1A_IW_SLC_*'")
    group.add_argument("--mode", metavar="MODE", help="sensor mode, e.g. IW")
    group.add_argument("--type", metavar="TYPE", help="product type, whole, e.g. IW_GRDH_1S")
    group.add_argument("--polarisation", metavar="POL", help="VV, VH, HH, HV, VV&VH, HH&HV or SV, SH, DV, DH")
    group.add_argument("--orbit", type=int, metavar="NUMBER", help="absolute orbit")
    group.add_argument("--relative-orbit", type=int, metavar="NUMBER", help="relative orbit")
    group.add_argument("--direction", type=str.upper, metavar="DIRECTION", help="of the orbit: ascending or descending")
    group.add_argument("--cloud-max", type=float, metavar="PERCENT", help="cloud cover at most")
    group.add_argument(
        "--attribute",
        action="append",
        default=[],
        metavar="CONDITION",
        help="e.g. \"timeliness eq 'NRT-3h'\" or 'orbitNumber >= 100'; may be given several times",
    )
    group.add_argument("--online", action=argparse.BooleanOptionalAction, help="can (not) be fetched at once")


def run(arguments: argparse.Namespace) -> int:
    """Search, then write or submit.

    Returns
    -------
    int
        0, also when nothing is found; raises `UsageError` for conditions that are not valid, and `ServiceError` when
        the catalogue cannot be asked or its responses are incomplete.
    """
    from cdsed.catalogue.export import render
    from cdsed.catalogue.filter import selects_everything
    from cdsed.config.load import settings_or_defaults

    check_output(arguments.output)
    query, form = _query(arguments), _format(arguments)
    if not arguments.everything and selects_everything(query):
        _confirm()
    settings = settings_or_defaults(arguments.config, os.environ)
    found = _search(arguments, settings, query)
    if arguments.sea_min is not None:
        from cdsed.catalogue.sea import sea_percent

        found["sea_percent"] = sea_percent(found.geometry)
        found = found[found["sea_percent"] >= arguments.sea_min].reset_index(drop=True)
    if arguments.output:
        with whole_file(arguments.output) as file:
            file.write(render(found, form))
    submitted = _submit(found, settings) if arguments.submit and len(found) else None
    if arguments.json:
        print(_response(found, arguments.output, submitted))
    elif not arguments.output and not arguments.submit:
        sys.stdout.buffer.write(render(found, form))
        sys.stdout.buffer.flush()
    _say(found, submitted)
    return ExitCode.OK


def _query(arguments: argparse.Namespace) -> "Query":
    from cdsed.catalogue.areafile import read_area
    from cdsed.catalogue.attributes import parse_condition
    from cdsed.catalogue.query import Query

    if arguments.slice is not None and not _SLICE_MIN_DAYS <= arguments.slice < 1e6:
        raise UsageError(f"--slice {arguments.slice:g} should be a number of days, {_SLICE_MIN_DAYS:g} or more")
    if arguments.sea_min is not None and not 0 <= arguments.sea_min <= 100:
        raise UsageError(f"--sea-min {arguments.sea_min:g} is not between 0 and 100 %")
    try:
        return Query(
            start=arguments.start,
            end=arguments.end,
            area=None if arguments.area is None else read_area(arguments.area),
            collection=arguments.collection,
            name=arguments.name,
            sensor_mode=arguments.mode,
            product_type=arguments.type,
            polarisation=arguments.polarisation,
            orbit=arguments.orbit,
            relative_orbit=arguments.relative_orbit,
            orbit_direction=arguments.direction,
            cloud_max_percent=arguments.cloud_max,
            online=arguments.online,
            attributes=tuple(map(parse_condition, arguments.attribute)),
            columns=tuple(arguments.column),
        )
    except ValueError as error:
        raise UsageError(str(error)) from error


def _confirm() -> None:
    """Ask before the whole catalogue is read; without a terminal, refuse."""
    question = "no condition is given: this reads the whole catalogue, hundreds of millions of products"
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(f"{question}; give a condition, or --everything if you mean it")
    print(f"cdsed: {question}. Do you mean it? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise UsageError("give a condition, e.g. --collection SENTINEL-1 --start 2024-06-04 --end 2024-06-05")


def _format(arguments: argparse.Namespace) -> "Format":
    from cdsed.catalogue.export import Format, format_of

    if arguments.format or not arguments.output:
        form = Format(arguments.format or Format.LISTING)
        if form is Format.PARQUET and not arguments.output and sys.stdout.isatty():
            raise UsageError("parquet is not for a terminal; give --output")
        return form
    try:
        return format_of(arguments.output.suffix)
    except ValueError:
        raise UsageError(f"{arguments.output}: say by --format which one of {', '.join(_FORMATS)} it is") from None


def _search(arguments: argparse.Namespace, settings: "Settings", query: "Query") -> "GeoDataFrame":
    from cdsed.catalogue.cache import Cache, cache_directory
    from cdsed.catalogue.client import connect
    from cdsed.catalogue.search import search
    from cdsed.catalogue.unknown_words import unknown_words

    kept = None
    if not arguments.no_cache:
        kept = Cache(cache_directory(settings, os.environ), settings.catalogue.cache_ttl_s, SYSTEM_CLOCK)
    with (
        _dying_at_once(),
        _progress() as progress,
        connect(settings, clock=SYSTEM_CLOCK, stop=threading.Event()) as service,
    ):
        length = timedelta(days=arguments.slice) if arguments.slice else None
        found = search(query, service, cache=kept, progress=progress, slice_length=length)
        if found.empty and (unknown := unknown_words(query, service)):
            raise UsageError("\n".join(unknown))
        return found


@contextmanager
def _dying_at_once() -> Iterator[None]:
    """Let ^C end the process at once: a search may be killed at any time, and its threads may wait for a response."""
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _progress() -> "Iterator[Callable[[SearchProgress], None] | None]":
    """Yield a function that draws a bar on the terminal; None when stderr is not a terminal."""
    from cdsed.view.marks import bar
    from cdsed.view.terminal import Live
    from cdsed.view.wording import number

    live = Live(sys.stderr)
    if live.canvas().width is None:
        yield None
        return

    def draw(progress: "SearchProgress") -> None:
        slices = f"slice {number(progress.slices_done)} of {number(progress.slices)}"
        line = f"{bar(progress.slices_done, progress.slices)}  {slices}  {number(progress.rows)} products"
        live.draw([live.canvas().marks(line)])

    try:
        yield draw
    finally:
        live.erase()
        sys.stderr.flush()


def _submit(found: "GeoDataFrame", settings: "Settings") -> Path:
    import tempfile  # imported here, because `cdsed status` does not need it

    from cdsed.catalogue.export import Format, render
    from cdsed.inbox.directory import put

    with tempfile.TemporaryDirectory(prefix="cdsed-query-") as folder:
        listing = Path(folder, f"query-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.csv")
        listing.write_bytes(render(found, Format.LISTING))
        return put(listing, settings.inbox.path)


def _response(found: "GeoDataFrame", output: Path | None, submitted: Path | None) -> str:
    from cdsed.catalogue.export import records

    response = {
        "schema": 2,
        "count": len(found),
        "size_bytes": int(found["size_bytes"].sum()),
        "output": output and str(output),
        "submitted": submitted and str(submitted),
        "products": records(found),
    }
    return json.dumps(response, ensure_ascii=False, indent=1)


def _say(found: "GeoDataFrame", submitted: Path | None) -> None:
    from cdsed.view.wording import plural, size

    say(f"{plural(len(found), 'product')}, {size(int(found['size_bytes'].sum()))}")
    offline = int((~found["online"]).sum())
    if offline:
        say(f"{plural(offline, 'product')} offline at CDSE, to be ordered in the Data Workspace")
    if submitted:
        say(f"put into the inbox: {submitted}")
