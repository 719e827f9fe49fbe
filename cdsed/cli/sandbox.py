"""``cdsed sandbox``: a CDSE of our own on loopback, for dry runs and tests."""

import argparse
from importlib.util import find_spec
from typing import Any

from cdsed.errors import CdsedError
from cdsed.sandbox.options import add_arguments


def add_parser(subparsers: Any) -> None:
    """Add the command ``sandbox`` to the subparsers of the program."""
    parser = subparsers.add_parser(
        "sandbox",
        help="serve a CDSE of our own on loopback, for dry runs",
        description="Serve a CDSE of our own on loopback until ^C: S3, catalogue, quotas, and faults on demand. Its "
        "products are made up; its keys are no secrets.",
    )
    add_arguments(parser)
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT.

    Returns
    -------
    int
        0; a `UsageError` where files or port are wrong.
    """
    check_installed("sandbox")
    from cdsed.sandbox.command import run as serve

    return serve(arguments)


def check_installed(command: str) -> None:
    """Raise `CdsedError` when this installation lacks what the sandbox needs beyond the rest of cdsed."""
    if find_spec("odata_query") is None:
        raise CdsedError(f"cdsed {command} needs odata-query, which is not installed: pip install 'cdsed[sandbox]'")
