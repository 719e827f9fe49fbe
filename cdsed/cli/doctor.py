"""``cdsed doctor``: look at the installation, without changing it, and say what to do."""

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdsed.clock import SYSTEM_CLOCK
from cdsed.errors import ExitCode

if TYPE_CHECKING:
    from cdsed.doctor.finding import Finding
    from cdsed.view.terminal import Canvas

_MARKS = {"ok": "ok", "remark": "remark", "problem": "PROBLEM"}


def add_parser(subparsers: Any) -> None:
    """Add the command to the program's."""
    command = subparsers.add_parser(
        "doctor",
        help="look at settings, disks, machine and services, and say what to do",
        description="Look at the settings, accounts, directories, file systems, state, clock and limits of this "
        "machine, and with --online at the services. Nothing is changed: a temporary file tries each directory, and is "
        "removed. Run it as the daemon's user. Exits with 1 when there is a problem.",
    )
    command.add_argument(
        "--online",
        action="store_true",
        help="also ask the services: DNS, TLS, proxy, catalogue, identity, one signed request for each account",
    )
    command.add_argument("--all", action="store_true", help="show also what is as it should be")
    command.add_argument("--json", action="store_true", help="print JSON; its member `schema` is 2")
    command.add_argument("--config", type=Path, metavar="FILE", help="settings file (default: the search path)")
    command.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the findings.

    Returns
    -------
    int
        0, or 1 (`ExitCode.UNFINISHED`) when one of them is a problem.
    """
    from cdsed.doctor.examine import examine
    from cdsed.log import redact
    from cdsed.view.terminal import Canvas
    from cdsed.view.wording import plural

    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    found = []
    canvas = Canvas.of(sys.stdout)
    for finding in examine(arguments.config, os.environ, SYSTEM_CLOCK, online=arguments.online):
        found.append(finding)
        if not arguments.json and (arguments.all or finding.verdict != "ok"):
            print("\n".join(redact(line) for line in _lines(finding, canvas)), flush=True)
    counts = Counter(finding.verdict.value for finding in found)
    if arguments.json:
        findings = [asdict(finding) for finding in found]
        text = json.dumps(
            {"schema": 2, "good": not counts["problem"], "findings": findings}, indent=1, ensure_ascii=False
        )
        print(redact(text))
    else:
        print(f"{plural(counts['problem'], 'problem')}, {plural(counts['remark'], 'remark')}, {counts['ok']} ok")
    return ExitCode.UNFINISHED if counts["problem"] else ExitCode.OK


def _lines(finding: "Finding", canvas: "Canvas") -> Iterator[str]:
    from cdsed.view.terminal import Colour, printable

    colours = {"ok": Colour.SUCCEEDED, "remark": Colour.CAREFUL, "problem": Colour.BAD}
    mark = canvas.paint(_MARKS[finding.verdict], colours[finding.verdict])
    subject = f"{finding.subject}: " if finding.subject and finding.subject not in finding.text else ""
    yield f"{mark}  {finding.check}: {printable(subject + finding.text)}"
    for title, text in (("means", finding.means), ("do", finding.remedy)):
        if text:
            yield f"    {title}: {printable(text)}"
