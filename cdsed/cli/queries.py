"""``cdsed queries``: list standing queries, run, pause or resume them."""

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdsed.clock import SYSTEM_CLOCK, iso
from cdsed.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from cdsed.config.settings import Settings
    from cdsed.config.standing_queries import StandingQuery
    from cdsed.store.database import Database
    from cdsed.store.standing import QueryState


def add_parser(subparsers: Any) -> None:
    """Add the command to the program's."""
    command = subparsers.add_parser(
        "queries",
        help="list, run, pause or resume standing queries",
        description="Standing queries are searches of the settings that the daemon repeats on a schedule. Each run "
        "puts a listing of what was published since into the inbox.",
    )
    actions = command.add_subparsers(metavar="ACTION", required=True)
    _action(actions, "list", "list the queries, with their last and next run", run_list, names=False)
    _action(actions, "run", "run queries now, whatever their schedule", run_now, names=True)
    _action(actions, "pause", "let queries rest until they are resumed; nothing is lost", run_pause, names=True)
    _action(actions, "resume", "end the pause of queries", run_resume, names=True)


def _action(actions: Any, name: str, purpose: str, run: Callable[..., int], *, names: bool) -> None:
    action = actions.add_parser(name, help=purpose, description=f"{purpose.capitalize()}.")
    if names:
        action.add_argument("names", nargs="+", metavar="NAME", help="name of a query in the settings")
    action.add_argument("--json", action="store_true", help="print JSON; its member `schema` is 1")
    action.add_argument("--config", type=Path, metavar="FILE", help="settings file (default: the search path)")
    action.set_defaults(command=run)


def run_list(arguments: argparse.Namespace) -> int:
    """Print each query of the settings.

    Returns
    -------
    int
        0; 1 if the last run of a query failed.
    """
    from cdsed.store import standing
    from cdsed.view.read import open_status

    settings = _settings(arguments)
    with open_status(settings.state_dir) as (_, db):
        states = {} if db is None else {each.name: each for each in standing.of_all(db)}
    rows = [_row(query, states.get(query.name)) for query in settings.queries]
    if arguments.json:
        print(json.dumps({"schema": 1, "queries": rows}, indent=2))
    elif not rows:
        print("the settings have no queries")
    for row in [] if arguments.json else rows:
        print("\n".join(_lines(row)))
    return ExitCode.UNFINISHED if any(row["error"] for row in rows) else ExitCode.OK


def run_now(arguments: argparse.Namespace) -> int:
    """Request a run of each named query.

    Returns
    -------
    int
        0; raises `UsageError` for a query that the settings do not have.
    """
    from cdsed.process.lock import is_running
    from cdsed.store import standing

    settings = _settings(arguments)
    when = "within seconds" if is_running(settings.state_dir) else "when the daemon starts"

    def request(db: "Database", name: str) -> str:
        standing.request(db, name)
        state = standing.get(db, name)
        is_paused = state is not None and state.paused
        return f"{name} runs {f'after `cdsed queries resume {name}`, because it is paused' if is_paused else when}"

    return _change(arguments, settings, request)


def run_pause(arguments: argparse.Namespace) -> int:
    """Pause each named query; returns and raises as `run_now`."""
    return _change(arguments, _settings(arguments), lambda db, name: _paused(db, name, paused=True))


def run_resume(arguments: argparse.Namespace) -> int:
    """Resume each named query; returns and raises as `run_now`."""
    return _change(arguments, _settings(arguments), lambda db, name: _paused(db, name, paused=False))


def _paused(db: "Database", name: str, *, paused: bool) -> str:
    from cdsed.store import standing

    changed = standing.pause(db, name, paused=paused)
    if paused:
        return f"{name} is paused until `cdsed queries resume {name}`" if changed else f"{name} was paused already"
    return f"{name} is resumed: its next run looks back to the last one" if changed else f"{name} was not paused"


def _change(arguments: argparse.Namespace, settings: "Settings", change: Callable[["Database", str], str]) -> int:
    from cdsed.cli.commanding import open_for_change
    from cdsed.store import standing

    known = {query.name: query for query in settings.queries}
    if unknown := [name for name in arguments.names if name not in known]:
        raise UsageError(f"the settings have no query {unknown[0]!r}; they have {', '.join(known) or 'none'}")
    with open_for_change(settings.state_dir) as db, db.write():
        for name in arguments.names:
            standing.begin_as_configured(db, SYSTEM_CLOCK, known[name])
        done = [change(db, name) for name in dict.fromkeys(arguments.names)]
    print(json.dumps({"schema": 1, "done": done}, indent=2) if arguments.json else "\n".join(done))
    return ExitCode.OK


def _settings(arguments: argparse.Namespace) -> "Settings":
    from cdsed.config.load import load_settings

    return load_settings(arguments.config, os.environ)


def _row(query: "StandingQuery", state: "QueryState | None") -> dict[str, Any]:
    from cdsed.schedule.query_times import next_run_at

    next_at = None if state is None or state.paused else next_run_at(query, state.anchor_at)
    return {
        "name": query.name,
        "schedule": query.cron or f"every {query.every_s:g} s",
        "paused": state is not None and state.paused,
        "last_run_at": iso(state.ran_at) if state and state.ran_at else None,
        "next_run_at": iso(max(next_at, SYSTEM_CLOCK.utc_s())) if next_at is not None else None,
        "mark_at": iso(state.mark_at) if state else None,
        "found": state.found if state else 0,
        "found_last": state.found_last if state else 0,
        "listing": state.listing if state else None,
        "failures": state.failures if state else 0,
        "error": state.error if state else None,
    }


def _lines(row: dict[str, Any]) -> list[str]:
    from cdsed.view.terminal import printable

    then = "paused" if row["paused"] else f"next {row['next_run_at'] or 'when the daemon reads it'}"
    lines = [
        f"{row['name']}  {row['schedule']}",
        f"  last run {row['last_run_at'] or 'never'}; {then}",
        f"  found {row['found']} products, {row['found_last']} in the last run",
    ]
    if row["listing"]:
        lines.append(f"  last listing {row['listing']}")
    if row["error"]:
        lines.append(printable(f"  failed {row['failures']} times in a row: {row['error']}"))
    return lines
