"""The command line options of the sandbox, in a module of its own so that other commands do not import its server."""

import argparse
import re
from pathlib import Path

_UNITS = {"": 1, "B": 1}
_UNITS |= {f"{unit}B": 1000**power for power, unit in enumerate("kMGT", start=1)}
_UNITS |= {f"{unit}iB": 1024**power for power, unit in enumerate("KMGT", start=1)}


def parse_size(text: str) -> int:
    """Return bytes for ``20MB``, ``32MiB`` or ``1000``; ArgumentTypeError for anything else."""
    match = re.fullmatch(r"(\d+)\s*([A-Za-z]*)", text.strip())
    if match is None or match[2] not in _UNITS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size; write e.g. 20MB, 32MiB or 1000000")
    return int(match[1]) * _UNITS[match[2]]


def parse_rate(text: str) -> int | None:
    """Return bytes per second as `parse_size`; None for ``none``."""
    return None if text == "none" else parse_size(text)


def _port(text: str) -> int:
    return _whole_number(text, 0, 65_535)


def _accounts(text: str) -> int:
    return _whole_number(text, 1, 1000)


def _whole_number(text: str, least: int, most: int) -> int:
    if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least} to {most}")
    return int(text)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the sandbox to `parser`."""
    parser.add_argument(
        "--port",
        type=_port,
        default=0,
        help="port on 127.0.0.1 (default: a free one)",
    )
    parser.add_argument("--seed", type=int, default=1, help="decides keys, names and contents (default: 1)")
    accounts = parser.add_mutually_exclusive_group()
    accounts.add_argument("--accounts", type=_accounts, default=2, metavar="N", help="make N accounts (default: 2)")
    accounts.add_argument("--accounts-file", type=Path, metavar="FILE", help="JSON list of accounts instead")
    parser.add_argument(
        "--listing", type=Path, metavar="FILE", help="offer the products that FILE names, one safename per line"
    )
    parser.add_argument("--size", type=parse_size, default=20_000_000, help="of each such product (default: 20MB)")
    parser.add_argument(
        "--bandwidth",
        type=parse_rate,
        default=20_000_000,
        metavar="RATE",
        help="bytes per second of each connection, or none (default: 20MB)",
    )
    parser.add_argument("--ready-file", type=Path, metavar="PATH", help="written as JSON once it answers")
    parser.add_argument(
        "--write", type=Path, metavar="DIR", help="write cdsed.yml, accounts.yml and listing.txt for cdsed"
    )
