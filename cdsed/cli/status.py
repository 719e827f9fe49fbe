"""``cdsed status``: the truth about the daemon, its listings, products and accounts; it takes no lock."""

import argparse
import json
import math
import os
import sys
import time
from pathlib import Path
from typing import Any

from cdsed.errors import ExitCode

_WATCH_S = 2.0


def add_parser(subparsers: Any) -> None:
    """Add the command to the program's."""
    command = subparsers.add_parser(
        "status",
        help="say what the daemon does and how far it is",
        description="Say what the daemon does and how far it is, whether it runs or not; or all about one listing or "
        "product. Exits with 0 when the daemon runs, 3 when it does not, 75 when its state cannot be used.",
    )
    command.add_argument("name", nargs="?", metavar="LISTING|PRODUCT", help="tell about this one instead")
    command.add_argument("--config", type=Path, metavar="FILE", help="settings file (default: the usual places)")
    command.add_argument("--json", action="store_true", help="answer in JSON; its member `schema` is 1")
    command.add_argument(
        "--watch",
        nargs="?",
        type=_seconds,
        const=_WATCH_S,
        metavar="SECONDS",
        help=f"answer again every so many seconds (default: {_WATCH_S:g}), until ^C",
    )
    command.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Answer once, or again and again.

    Returns
    -------
    int
        0 when the daemon runs, else `ExitCode.NOT_RUNNING`; `StateError` when the state cannot be read.
    """
    # Imported here: no other command should wait for the database.
    from cdsed.cli.terminal import Live
    from cdsed.config.locate import state_dir

    # Names of files may hold what this output cannot: that is no reason to say nothing.
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    directory = state_dir(arguments.config, os.environ)
    if arguments.watch is None:
        return _answer(arguments, directory, Live())
    live = Live()
    try:
        while True:
            _answer(arguments, directory, live)
            time.sleep(arguments.watch)
    except KeyboardInterrupt:
        return ExitCode.OK


def _answer(arguments: argparse.Namespace, directory: Path, live: Any) -> ExitCode:
    from cdsed.cli import as_json, look, screen
    from cdsed.cli.details import details
    from cdsed.model.status import DaemonState

    with look.looking(directory) as (seen, db):
        about = look.at(db, arguments.name) if db and arguments.name else None
        if arguments.json:
            value = as_json.details(seen, about) if about else as_json.overview(seen)
            print(json.dumps(value, indent=None if arguments.watch else 2, ensure_ascii=False), flush=True)
        else:
            canvas = live.canvas()
            live.draw(details(seen, about, canvas) if about else screen.overview(seen, canvas))
    return ExitCode.OK if seen.report.daemon.state is DaemonState.RUNNING else ExitCode.NOT_RUNNING


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0.1 <= seconds <= 86_400:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds from 0.1 to 86400")
    return seconds
