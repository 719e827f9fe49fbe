"""``cdsed status``: show the daemon, its listings, products and accounts; it takes no lock."""

import argparse
import math
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdsed.clock import iso
from cdsed.errors import ExitCode

if TYPE_CHECKING:
    from cdsed.view.status_view import StatusView
    from cdsed.view.terminal import Canvas, Live

_WATCH_S = 2.0


def add_parser(subparsers: Any) -> None:
    """Add the command to the program's."""
    command = subparsers.add_parser(
        "status",
        help="show what the daemon does and its progress",
        description="Show what the daemon does and its progress, whether it runs or not; or the details of one listing "
        "or product. Exits with 0 when the daemon runs, also while the work waits for a quota; 1 when it runs and a "
        "worker crashes in a loop or no account can be used for the pending work; 3 when it does not run; 72, 74 or 75 "
        "when its state cannot be read.",
    )
    command.add_argument("name", nargs="?", metavar="LISTING|PRODUCT", help="show the details of this one")
    command.add_argument("--config", type=Path, metavar="FILE", help="settings file (default: the search path)")
    command.add_argument("--json", action="store_true", help="print JSON; its member `schema` is 2")
    command.add_argument(
        "--watch",
        nargs="?",
        type=_seconds,
        const=_WATCH_S,
        metavar="SECONDS",
        help=f"repeat every so many seconds (default: {_WATCH_S:g}), until ^C",
    )
    command.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the status once, or repeatedly.

    Returns
    -------
    int
        0 when the daemon runs, `ExitCode.UNFINISHED` when it runs and a worker crashes in a loop or no account can be
        used for the pending work, else `ExitCode.NOT_RUNNING`; raises `StateError` when the state cannot be read.
    """
    # Imported here, so that other commands do not load the database.
    from cdsed.config.locate import state_dir
    from cdsed.view.terminal import Live

    # File names may have characters that this output cannot encode; print them escaped.
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    directory = state_dir(arguments.config, os.environ)
    live = Live(sys.stdout)
    if arguments.watch is None:
        return _response(arguments, directory, live)
    try:
        while True:
            _response(arguments, directory, live)
            time.sleep(arguments.watch)
    except KeyboardInterrupt:
        return ExitCode.OK


def _response(arguments: argparse.Namespace, directory: Path, live: "Live") -> ExitCode:
    from cdsed.model.product_state import TERMINAL
    from cdsed.model.status_report import DaemonState
    from cdsed.view.read import read_status

    view = read_status(directory, arguments.name or None)
    report = view.report
    if arguments.json:
        print(_as_json(view, indent=None if arguments.watch else 2), flush=True)
    else:
        head = [f"{iso(report.at)}, every {arguments.watch:g} s; ^C ends it"] if arguments.watch else []
        live.draw(head + _lines(view, live.canvas()))
    if report.daemon.state is not DaemonState.RUNNING:
        return ExitCode.NOT_RUNNING
    to_do = any(tally.products for state, tally in report.products.items() if state not in TERMINAL)
    stuck = to_do and (report.needs_account or (report.why_idle is not None and not report.accounts))
    return ExitCode.UNFINISHED if stuck or report.crashing else ExitCode.OK


def _as_json(view: "StatusView", indent: int | None) -> str:
    import json

    from cdsed.view import as_json

    return json.dumps(as_json.render(view), indent=indent, ensure_ascii=False)


def _lines(view: "StatusView", canvas: "Canvas") -> list[str]:
    from cdsed.view import text

    return text.render(view, canvas)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0.1 <= seconds <= 86_400:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 0.1 to 86400")
    return seconds
