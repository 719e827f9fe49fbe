"""``cdsed check --state``: check that the state, the disks and the live processes agree, without changing anything."""

import argparse
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdsed.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from cdsed.work.checking import Checked

SCHEMA = 2  # of the JSON; grows when a member changes its name or meaning


def add_parser(subparsers: Any) -> None:
    """Add the command to the program's."""
    command = subparsers.add_parser(
        "check",
        help="check that the state, the disks and the live processes agree",
        description="Check that nothing is lost, duplicate, half published or held by a dead worker, whether the "
        "daemon runs or not; change nothing. Exits with 0 when all is well, else 1; 72, 74 or 75 when the state cannot "
        "be read.",
    )
    command.add_argument("--state", action="store_true", help="compare the state with the disks and the processes")
    command.add_argument(
        "--every", action="store_true", help="check every product and listing, not only the latest 1000 products"
    )
    command.add_argument("--json", action="store_true", help="print JSON; its member `schema` is 2")
    command.add_argument("--config", type=Path, metavar="FILE", help="settings file (default: the search path)")
    command.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Compare, and print every violation.

    Returns
    -------
    int
        0, or `ExitCode.UNFINISHED` when something is wrong; `StateError` when the state cannot be read.
    """
    # Imported here, so that other commands start faster.
    from cdsed.config.load import load_settings
    from cdsed.process.lock import is_running
    from cdsed.store.database import open_read_only
    from cdsed.work.checking import Checked, check_state

    if not arguments.state:
        raise UsageError("say what to check: cdsed check --state")
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    settings = load_settings(arguments.config, os.environ)
    runs = is_running(settings.state_dir)
    db = open_read_only(settings.state_dir, daemon_runs=runs)
    if db is None:
        checked = Checked()
    else:
        try:
            checked = check_state(db, settings, runs=runs, every=arguments.every, wait=time.sleep)
        finally:
            db.close()
    print(_as_json(checked) if arguments.json else "\n".join(_lines(checked)))
    return ExitCode.UNFINISHED if checked.violations else ExitCode.OK


def _as_json(checked: "Checked") -> str:
    import json
    from dataclasses import asdict

    return json.dumps(
        {"schema": SCHEMA, "good": not checked.violations, **asdict(checked)}, indent=2, ensure_ascii=False
    )


def _lines(checked: "Checked") -> list[str]:
    from cdsed.view.terminal import printable
    from cdsed.view.wording import number, plural

    lines = []
    for violation in checked.violations:
        lines += [printable(f"{violation.rule}: {violation.subject}: {violation.text}"), f"    {violation.remedy}"]
    lines.append(
        f"{plural(checked.products, 'product')} on disk, {number(checked.opened)} of them checked, "
        f"{plural(checked.listings, 'listing')}: "
        + (f"{number(len(checked.violations))} things wrong" if checked.violations else "nothing is wrong")
    )
    if checked.gone:
        lines.append(f"{plural(checked.gone, 'product')} not found where put: taken away, or the disk is not mounted")
    if checked.replaced:
        kept = plural(checked.replaced, "thing")
        lines.append(f"{kept} set aside in .cdsed/replaced to make room for products; remove what you do not need")
    for folder in checked.unseen:
        lines.append(f"this user may not read {folder}, so it was not checked; run this as the daemon's user")
    for owner, count in sorted(checked.others.items()):
        lines.append(printable(f"another cdsed ({owner}) has begun {plural(count, 'product')} at the same place"))
    if checked.left_by_dead_workers:
        left = plural(checked.left_by_dead_workers, "lock")
        lines.append(f"the daemon died and left {left} behind; its next start releases them")
    return lines
