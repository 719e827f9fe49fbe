"""``cdsed status``: the truth about the daemon, its listings, products and accounts."""

import argparse
from typing import Any

from cdsed.errors import ExitCode


def add_parser(subparsers: Any) -> None:
    """Add the command to the program's."""
    command = subparsers.add_parser("status", help="say what the daemon does and how far it is")
    command.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:  # noqa: ARG001
    """Say it."""
    return ExitCode.OK
