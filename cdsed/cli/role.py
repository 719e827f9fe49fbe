"""``cdsed role``: run one worker process. The daemon starts these; you can also start one by hand."""

import argparse
from pathlib import Path
from typing import Any


def add_parser(subparsers: Any) -> None:
    """Add the command to the program's."""
    command = subparsers.add_parser("role", help="run one worker process (the daemon starts these)")
    roles = ["intake", "resolve", "download", "publish", "keys", "queries", "hooks", "web"]
    command.add_argument("role", choices=roles)
    command.add_argument("--name", required=True, help="the worker's name in log lines")
    command.add_argument("--config", type=Path, required=True, metavar="FILE")
    command.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the worker."""
    from cdsed.roles import run_role

    return run_role(arguments.role, arguments.name, arguments.config)
