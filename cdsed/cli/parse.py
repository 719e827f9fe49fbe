"""``cdsed parse``: print the fields of product names."""

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from cdsed.errors import ExitCode

if TYPE_CHECKING:
    from cdsed.model.safename import Safename


def add_parser(subparsers: Any) -> None:
    """Add the command to the program's."""
    command = subparsers.add_parser(
        "parse",
        help="print the fields of a product's name",
        description="Print mission, sensing time, type and every other field of the names of products. Exits with 65 "
        "when one is not the name of a Sentinel product, or does not have the form of its mission.",
    )
    command.add_argument("names", nargs="+", metavar="SAFENAME", help="name, with or without its extension or a path")
    command.add_argument("--json", action="store_true", help="print JSON; its member `schema` is 2")
    command.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Print every field of every name.

    Returns
    -------
    int
        0, or 65 (`ExitCode.BAD_INPUT`) when a name is not one of a product, or does not have the form of its mission.
    """
    from cdsed.model.safename import misfit, normalise, parse
    from cdsed.view.terminal import printable

    complaints = 0
    described: list[dict[str, Any]] = []
    for word in arguments.names:
        try:
            name = normalise(word)
        except ValueError as error:
            wrong: str | None = str(error)
        else:
            described.append(_described(parse(name)))
            wrong = misfit(name) and f"{name}: {misfit(name)}"
        if wrong:
            complaints += 1
            print(f"cdsed: {printable(wrong)}", file=sys.stderr)
    if arguments.json:
        print(json.dumps({"schema": 2, "names": described}, indent=1))
    elif described:
        print("\n\n".join("\n".join(_lines(each)) for each in described))
    return ExitCode.BAD_INPUT if complaints else ExitCode.OK


def _described(name: "Safename") -> dict[str, Any]:
    from cdsed.clock import iso
    from cdsed.model.eodata import guess_s3_path

    return {
        "safename": name.name,
        "family": name.family.value,
        "unit": name.unit,
        "start": name.start and iso(name.start.timestamp()),
        "stop": name.stop and iso(name.stop.timestamp()),
        "mode": name.mode,
        "product_type": name.product_type,
        "level": name.level,
        "S3Path_guessed": guess_s3_path(name),
        "fields": dict(name.fields),
    }


def _lines(described: dict[str, Any]) -> list[str]:
    flat = {
        **described,
        **described["fields"],
        "start": described["start"],
        "stop": described["stop"],
        "level": described["level"],
    }
    del flat["fields"]
    width = max(map(len, flat))
    return [f"{key:<{width}}  {value}" for key, value in flat.items() if value]
