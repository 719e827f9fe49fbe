"""``cdsed sandbox``: simulate CDSE on loopback, for dry runs and tests."""

import argparse
from importlib.util import find_spec
from typing import Any

from cdsed.errors import CdsedError
from cdsed.sandbox.options import add_arguments


def add_parser(subparsers: Any) -> None:
    """Add the command ``sandbox`` to the subparsers of the program."""
    parser = subparsers.add_parser(
        "sandbox",
        help="simulate CDSE on loopback, for dry runs",
        description="Simulate CDSE on loopback until ^C: S3, catalogue, quotas, and faults on demand. Its products are "
        "made up; its keys are not secret.",
    )
    add_arguments(parser)
    parser.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT.

    Returns
    -------
    int
        0; raises `UsageError` when files or port are wrong.
    """
    check_installed("sandbox")
    from cdsed.sandbox.command import run as serve

    return serve(arguments)


def check_installed(command: str) -> None:
    """Raise `CdsedError` when this installation lacks a library that only the sandbox needs."""
    for module, name in (("odata_query", "odata-query"), ("jwt", "pyjwt"), ("cryptography", "cryptography")):
        if find_spec(module) is None:
            raise CdsedError(f"cdsed {command} needs {name}, which is not installed: pip install 'cdsed[sandbox]'")
