"""``cdsed status``: show the daemon, its listings, products and accounts; it takes no lock."""

import argparse
import gc
import math
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Never

from cdsed.clock import iso
from cdsed.errors import CdsedError, ExitCode, StateDamaged, StateDiskError, UsageError

if TYPE_CHECKING:
    from cdsed.model.status_report import StatusReport
    from cdsed.view.status_view import StatusView
    from cdsed.view.terminal import Canvas

_WATCH_S = 2.0
_FAILED_SHOWN = 20


def add_parser(subparsers: Any) -> None:
    """Add the command to the program's."""
    command = subparsers.add_parser(
        "status",
        help="show what the daemon does and its progress",
        description="Show what the daemon does and its progress, whether it runs or not; or the details of one listing "
        "or product. Exits with 0 when the daemon runs, also while the work waits for a quota; 1 when it runs and "
        "something needs you at once, e.g. a worker crashes in a loop or no account can be used; 3 when it does not "
        "run; 72, 74 or 75 when its state cannot be read. With --check the exit codes are those of a monitoring "
        "plugin: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.",
    )
    command.add_argument("name", nargs="?", metavar="LISTING|PRODUCT", help="show the details of this one")
    command.add_argument("--config", type=Path, metavar="FILE", help="settings file (default: the search path)")
    command.add_argument(
        "--failed",
        action="store_true",
        help="show the products that failed, why, and what to do; of LISTING, or of all",
    )
    command.add_argument(
        "--limit",
        type=_positive,
        metavar="NUMBER",
        help=f"with --failed: show so many products (default: {_FAILED_SHOWN})",
    )
    form = command.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON; its member `schema` is 3")
    form.add_argument("--check", action="store_true", help="print one line for Icinga or Nagios, with performance data")
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
        0 when the daemon runs, `ExitCode.UNFINISHED` when it runs and an alarm is critical, else
        `ExitCode.NOT_RUNNING`; with ``--check`` the code of a monitoring plugin. Raises `StateError` when the state
        cannot be read, and `UsageError` for options that do not fit together.
    """
    # File names may have characters that this output cannot encode; print them escaped.
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    if arguments.limit is not None and not arguments.failed:
        raise UsageError("--limit needs --failed")
    if arguments.check and (arguments.failed or arguments.name or arguments.watch):
        raise UsageError("--check takes no name, --failed or --watch")
    if arguments.check:
        return _check(arguments)
    if arguments.watch is None:
        gc.disable()  # all that is imported stays: to look for garbage in it takes a twentieth of the time
        try:
            return _response(arguments)
        finally:
            gc.enable()
    try:
        _watch(arguments)
    except KeyboardInterrupt:
        return ExitCode.OK


def _watch(arguments: argparse.Namespace) -> Never:
    if arguments.json or not sys.stdout.isatty():
        while True:
            _response(arguments)
            time.sleep(arguments.watch)
    from cdsed.view.screen import Screen
    from cdsed.view.terminal import Canvas

    with Screen(sys.stdout) as screen:
        while True:
            view, canvas = _view(arguments), Canvas.of(sys.stdout)
            head = f"{iso(view.report.at)}, every {arguments.watch:g} s; ^C ends it"
            screen.draw([head, *_lines(view, canvas)][: canvas.height])
            screen.wait(arguments.watch)


def _response(arguments: argparse.Namespace) -> ExitCode:
    from cdsed.view.terminal import Canvas

    view = _view(arguments)
    if arguments.json:
        print(_as_json(view, indent=None if arguments.watch else 2), flush=True)
    else:
        head = [f"{iso(view.report.at)}, every {arguments.watch:g} s; ^C ends it"] if arguments.watch else []
        print("\n".join(head + _lines(view, Canvas.of(sys.stdout))), flush=True)
    return _exit_code(view.report)


def _view(arguments: argparse.Namespace) -> "StatusView":
    # Imported here, so that other commands do not load the database.
    from cdsed.config.locate import state_dir
    from cdsed.view.read import read_failed_products, read_status

    directory = state_dir(arguments.config, os.environ)
    if arguments.failed:
        return read_failed_products(directory, arguments.limit or _FAILED_SHOWN, arguments.name or None)
    return read_status(directory, arguments.name or None)


def _exit_code(report: "StatusReport") -> ExitCode:
    from cdsed.model.alarm import Severity, alarms
    from cdsed.model.status_report import DaemonState

    if report.daemon.state is not DaemonState.RUNNING:
        return ExitCode.NOT_RUNNING
    urgent = any(alarm.severity is Severity.CRITICAL for alarm in alarms(report))
    return ExitCode.UNFINISHED if urgent else ExitCode.OK


def _check(arguments: argparse.Namespace) -> int:
    """Print the line of a monitoring plugin; an error is a result too, because 64 to 78 mean nothing to a monitor."""
    from cdsed.view import monitoring

    try:
        result = monitoring.check(_view(arguments))
    except (StateDamaged, StateDiskError) as error:
        result = monitoring.CheckResult(
            monitoring.CheckStatus.CRITICAL, f"CRITICAL - {monitoring.one_line(str(error))}"
        )
    except (CdsedError, OSError) as error:
        result = monitoring.unknown(str(error))
    print(result.text)
    return result.status


def _as_json(view: "StatusView", indent: int | None) -> str:
    import json

    from cdsed.view import as_json

    return json.dumps(as_json.render(view), indent=indent, ensure_ascii=False)


def _lines(view: "StatusView", canvas: "Canvas") -> list[str]:
    from cdsed.view import text

    return text.render(view, canvas)


def _positive(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= 1_000_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 1000000")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0.1 <= seconds <= 86_400:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 0.1 to 86400")
    return seconds
