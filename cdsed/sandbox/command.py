"""What ``cdsed sandbox`` and ``python -m cdsed.sandbox`` do."""

import argparse
import json
import logging
import os
import signal
import sys
import threading
from dataclasses import asdict
from pathlib import Path

from cdsed import log
from cdsed.errors import ExitCode, UsageError
from cdsed.sandbox.accounts import SandboxAccount, make_accounts, read_accounts
from cdsed.sandbox.names import KINDS, parse_name
from cdsed.sandbox.products import ProductSpec, make_products
from cdsed.sandbox.server import Sandbox
from cdsed.sandbox.starter import accounts_yaml, settings_yaml, write_starter

_LOG = logging.getLogger(__name__)


def run(arguments: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code.

    Raises
    ------
    UsageError
        A file cannot be read or is not valid, or the port is in use.
    """
    log.setup("sandbox")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    accounts = _accounts(arguments)
    products = _products(arguments)
    with Sandbox(accounts, seed=arguments.seed, port=arguments.port) as sandbox:
        for product in products:
            sandbox.bucket.add(product)
        if arguments.write:
            names = [product.safename for product in products]
            write_starter(arguments.write, sandbox.url, accounts, names)
        _announce(sandbox, arguments.write)
        if arguments.ready_file:
            _write_ready_file(arguments.ready_file, sandbox)
        stop.wait()
    return ExitCode.OK


def _accounts(arguments: argparse.Namespace) -> list[SandboxAccount]:
    if arguments.accounts_file is None:
        return make_accounts(arguments.accounts, arguments.seed, arguments.bandwidth)
    try:
        return read_accounts(arguments.accounts_file)
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read the accounts: {error}") from error


def _products(arguments: argparse.Namespace) -> list[ProductSpec]:
    """Return the products of the listing; without one, some of each kind if a listing is to be written."""
    if arguments.listing is None:
        return make_products(KINDS, 2, arguments.size, arguments.seed) if arguments.write else []
    products = []
    try:
        with arguments.listing.open(encoding="utf-8") as listing:
            for line in listing:
                safename = line.strip()
                if safename and not safename.startswith("#"):
                    products += _product(safename, arguments.size)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the listing {arguments.listing}: {error}") from error
    return products


def _product(safename: str, size_bytes: int) -> list[ProductSpec]:
    try:
        parse_name(safename)
    except ValueError as error:
        _LOG.warning("left out: %s", error)
        return []
    return [ProductSpec(safename, size_bytes)]


def _announce(sandbox: Sandbox, directory: Path | None) -> None:
    lines = [f"The sandbox answers at {sandbox.url} (S3 bucket eodata, catalogue {sandbox.url}/odata/v1)."]
    if directory:
        lines += [
            f"Now run  cdsed run --config {directory / 'cdsed.yml'}",
            f"and      cdsed add --config {directory / 'cdsed.yml'} {directory / 'listing.txt'}",
        ]
    else:
        lines += ["", "# cdsed.yml", settings_yaml(sandbox.url, Path.cwd() / "sandbox")]
        lines += ["# accounts.yml (mode 0600)", accounts_yaml(sandbox.accounts)]
    sys.stdout.write("\n".join([*lines, ""]))
    sys.stdout.flush()


def _write_ready_file(path: Path, sandbox: Sandbox) -> None:
    """Write the file atomically, so that a reader gets all of it."""
    ready = {
        "url": sandbox.url,
        "pid": os.getpid(),
        "seed": sandbox.seed,
        "accounts": [asdict(account) for account in sandbox.accounts],
    }
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.write_text(json.dumps(ready, default=str), encoding="utf-8")
    unfinished.replace(path)
