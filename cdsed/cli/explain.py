"""``cdsed explain``: why a product is where it is, and what you can do."""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from cdsed.errors import ExitCode, UsageError


def add_parser(subparsers: Any) -> None:
    """Add the command to the program's."""
    command = subparsers.add_parser(
        "explain",
        help="say where a product is, why it does not move, and what you can do",
        description="Say of a product where it is, what happened to it, why it does not move now, what happens next "
        "and when, and what you can do. It reads the state only, and takes no lock.",
    )
    command.add_argument("product", metavar="PRODUCT", help="the name of a product")
    command.add_argument("--json", action="store_true", help="print JSON; its member `schema` is 1")
    command.add_argument("--config", type=Path, metavar="FILE", help="settings file (default: the search path)")
    command.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Explain a product.

    Returns
    -------
    int
        0; raises `UsageError` (64) for a product that was never asked for.
    """
    import json

    from cdsed.config.locate import state_dir
    from cdsed.view.explain import as_json, explain, render
    from cdsed.view.read import details_of, open_status
    from cdsed.view.status_view import ProductDetails
    from cdsed.view.terminal import Canvas

    directory = state_dir(arguments.config, os.environ)
    with open_status(directory) as (view, db):
        if db is None:
            raise UsageError(f"no state at {directory}: nothing was ever asked for")
        details = details_of(db, arguments.product)
        if not isinstance(details, ProductDetails):
            raise UsageError(f"{arguments.product!r} is a listing; `cdsed status {arguments.product}` shows it")
        explanation = explain(db, view.report, details)
    if arguments.json:
        print(json.dumps(as_json(explanation), indent=2))
    else:
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
        print("\n".join(render(explanation, Canvas.of(sys.stdout))))
    return ExitCode.OK
