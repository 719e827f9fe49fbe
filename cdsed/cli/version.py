"""``cdsed version``: print versions for bug reports."""

import argparse
import platform
from typing import Any

from cdsed._version import __version__
from cdsed.errors import ExitCode


def add_parser(subparsers: Any) -> None:
    """Add the command to the program's."""
    command = subparsers.add_parser("version", help="print the versions for a bug report")
    command.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:  # noqa: ARG001 - every command takes its arguments
    """Print the versions of cdsed, Python, SQLite and the system."""
    from cdsed.store.sqlite_version import sqlite_version

    print(f"cdsed {__version__}")
    print(f"Python {platform.python_version()}, SQLite {sqlite_version()}, {platform.system()} {platform.release()}")
    return ExitCode.OK
