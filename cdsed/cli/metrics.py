"""``cdsed metrics``: print the metrics, or replace a file of them for node_exporter."""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from cdsed.errors import ExitCode, UsageError


def add_parser(subparsers: Any) -> None:
    """Add the command to the program's."""
    command = subparsers.add_parser(
        "metrics",
        help="print metrics for Prometheus, or write them to a file",
        description="Print the metrics of the state: the values of `cdsed status` for Prometheus. With --textfile, "
        "replace a file that the textfile collector of node_exporter reads.",
    )
    command.add_argument("--config", type=Path, metavar="FILE", help="settings file (default: the search path)")
    form = command.add_mutually_exclusive_group()
    form.add_argument("--openmetrics", action="store_true", help="print OpenMetrics, not the older text format")
    form.add_argument("--textfile", type=Path, metavar="FILE", help="replace this file, whose name ends in .prom")
    command.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the metrics, or replace a file; raises `StateError` when the state cannot be read."""
    from cdsed.clock import SYSTEM_CLOCK
    from cdsed.config.locate import state_dir
    from cdsed.model.alarm import alarms
    from cdsed.store import page
    from cdsed.view import metrics
    from cdsed.view.read import open_status

    if arguments.textfile and arguments.textfile.suffix != ".prom":
        raise UsageError(f"{arguments.textfile}: node_exporter reads only files whose name ends in .prom")
    with open_status(state_dir(arguments.config, os.environ)) as (view, db):
        counters = page.traffic_counters(db, SYSTEM_CLOCK) if db else []
    text = metrics.render(view.report, alarms(view.report), counters, openmetrics=arguments.openmetrics)
    if arguments.textfile:
        _replace(arguments.textfile, text)
    else:
        sys.stdout.write(text)
    return ExitCode.OK


def _replace(path: Path, text: str) -> None:
    """Replace a file by one rename, so that the collector never reads half of it; anyone may read it."""
    import tempfile  # most commands do not need it

    descriptor, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), 0o644)
            file.write(text)
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
