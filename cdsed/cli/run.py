"""``cdsed run``: run the daemon in the foreground."""

import argparse
import gc
import os
from pathlib import Path
from typing import Any, NoReturn


def add_parser(subparsers: Any) -> None:
    """Add the command to the program's."""
    command = subparsers.add_parser(
        "run",
        help="run the daemon in the foreground",
        description="Run the daemon in the foreground until TERM or ^C. A second TERM or ^C stops it at once; HUP "
        "reloads settings and accounts.",
    )
    command.add_argument("--config", type=Path, metavar="FILE", help="settings file (default: the search path)")
    command.add_argument(
        "--once",
        action="store_true",
        help="exit when the inbox is empty and every listing has its report: 0 if all products are on disk, else 1",
    )
    command.add_argument(
        "--idle-timeout",
        type=_seconds,
        default=600.0,
        metavar="SECONDS",
        help="with --once: exit with 1 after this time without progress (default: %(default)g)",
    )
    command.add_argument(
        "--log-format",
        choices=["text", "json"],
        help="form of the log: text, or json for one object per line (default: log_format of the settings)",
    )
    command.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> NoReturn:
    """Run the daemon."""
    gc.disable()  # imports leave hardly any garbage, and each collection looks through all that they made
    os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"  # a search for them would read every installed package
    from cdsed import daemon, log
    from cdsed.cli.main import main
    from cdsed.config.locate import settings_file
    from cdsed.process.exits import leave
    from cdsed.process.template import Template

    if arguments.log_format:
        os.environ[log.VARIABLE] = arguments.log_format  # the workers inherit it
    # Not resolved: a link in /etc/cdsed names an instance, see `cdsed.config.instance`.
    config = Path(os.path.abspath(settings_file(arguments.config, os.environ)))  # noqa: PTH100
    leave(
        daemon.run(
            config,
            once=arguments.once,
            idle_timeout_s=arguments.idle_timeout,
            make_template=lambda: Template.forked("cdsed", _import_workers, main),
        )
    )


def _import_workers() -> None:
    import cdsed.cli.role  # noqa: F401 - each worker runs it
    from cdsed.roles import import_work

    import_work()


def _seconds(text: str) -> float:
    seconds = float(text)
    if not seconds > 0:
        raise argparse.ArgumentTypeError("should be more than 0 seconds")
    return seconds
