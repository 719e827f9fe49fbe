"""``cdsed hooks``: list hooks, try one, or try again what one did not accept."""

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdsed.clock import SYSTEM_CLOCK, iso
from cdsed.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from cdsed.config.event_hooks import EventHook
    from cdsed.config.settings import Settings
    from cdsed.store.outbox import HookState

_WAIT_BEYOND_S = 10.0


def add_parser(subparsers: Any) -> None:
    """Add the command to the program's."""
    command = subparsers.add_parser(
        "hooks",
        help="list hooks, test one, or retry its events",
        description="Hooks are programs, webhooks and mail addresses of the settings that are given events: a product "
        "was published, a listing is finished, a person is needed.",
    )
    actions = command.add_subparsers(metavar="ACTION", required=True)
    _action(actions, "list", "list the hooks, with the events that wait and the last error", run_list)
    test = _action(actions, "test", "give a test event to a hook: by the daemon if it runs, else from here", run_test)
    test.add_argument("name", metavar="NAME", help="name of a hook in the settings")
    retry = _action(actions, "retry", "try again at once, also what was given up", run_retry)
    retry.add_argument("names", nargs="*", metavar="NAME", help="names of hooks (default: all)")


def _action(actions: Any, name: str, purpose: str, run: Callable[..., int]) -> argparse.ArgumentParser:
    action: argparse.ArgumentParser = actions.add_parser(name, help=purpose, description=f"{purpose.capitalize()}.")
    action.add_argument("--json", action="store_true", help="print JSON; its member `schema` is 1")
    action.add_argument("--config", type=Path, metavar="FILE", help="settings file (default: the search path)")
    action.set_defaults(command=run)
    return action


def run_list(arguments: argparse.Namespace) -> int:
    """Print each hook of the settings.

    Returns
    -------
    int
        0; 1 if a hook fails, or was not given events.
    """
    settings = _settings(arguments)
    states = _states(settings)
    rows = [_row(hook, states.get(hook.name)) for hook in settings.hooks]
    if arguments.json:
        print(json.dumps({"schema": 1, "hooks": rows}, indent=2))
    elif not rows:
        print("the settings have no hooks")
    for row in [] if arguments.json else rows:
        print("\n".join(_lines(row)))
    return ExitCode.UNFINISHED if any(row["error"] or row["given_up"] for row in rows) else ExitCode.OK


def run_test(arguments: argparse.Namespace) -> int:
    """Give a test event to a hook.

    Returns
    -------
    int
        0 if the hook accepted it; raises `HookError` (1) if not, `UsageError` for a hook that the settings do not have.
    """
    from cdsed.process.lock import is_running

    settings = _settings(arguments)
    hook = _hook(settings, arguments.name)
    if is_running(settings.state_dir):
        by = "the daemon"
        _test_by_the_daemon(settings, hook)
    else:
        by = "this command"
        _test_from_here(settings, hook)
    said = f"hook {hook.name} accepted a test event from {by}"
    print(json.dumps({"schema": 1, "hook": hook.name, "accepted": True, "by": by}) if arguments.json else said)
    return ExitCode.OK


def run_retry(arguments: argparse.Namespace) -> int:
    """Let hooks be tried at once.

    Returns
    -------
    int
        0; raises `UsageError` for a hook that the settings do not have.
    """
    from cdsed.cli.commanding import open_for_change
    from cdsed.store import outbox

    settings = _settings(arguments)
    names = arguments.names or [hook.name for hook in settings.hooks]
    for name in names:
        _hook(settings, name)
    with open_for_change(settings.state_dir) as db, db.write():
        revived = {name: outbox.request_retry(db, name) or 0 for name in dict.fromkeys(names)}
    if arguments.json:
        print(json.dumps({"schema": 1, "revived": revived}, indent=2))
    for name, count in {} if arguments.json else revived.items():
        print(f"hook {name} is tried at once" + (f", with {count} events that were given up" if count else ""))
    return ExitCode.OK


def _test_by_the_daemon(settings: "Settings", hook: "EventHook") -> None:
    """Let the daemon give the event, in the environment in which all others are given, and wait for the end."""
    import time

    from cdsed.cli.commanding import open_for_change
    from cdsed.errors import HookError
    from cdsed.store import outbox

    with open_for_change(settings.state_dir) as db:
        before = next((each for each in outbox.of_all(db) if each.name == hook.name), None)
        if before is None:
            raise UsageError(f"the daemon does not know hook {hook.name} yet: reload it")
        with db.write():
            number = outbox.add_test(db, SYSTEM_CLOCK, hook.name)
            outbox.request_retry(db, hook.name)
        until_s = time.monotonic() + hook.batch_s + hook.time_limit_s + _WAIT_BEYOND_S
        while time.monotonic() < until_s:
            attempts = outbox.attempts_of(db, number)
            if attempts is None:
                return
            if attempts > 0:
                now = next((each.error for each in outbox.of_all(db) if each.name == hook.name), None)
                raise HookError(f"hook {hook.name} did not accept a test event: {now}")
            time.sleep(0.1)
    raise HookError(f"hook {hook.name}: the daemon has not tried it yet; see `cdsed hooks list`")


def _test_from_here(settings: "Settings", hook: "EventHook") -> None:
    from cdsed.store.outbox import OutboxEvent
    from cdsed.work.hook_payload import delivery_of
    from cdsed.work.hook_targets import give

    now_at = SYSTEM_CLOCK.utc_s()
    delivery = delivery_of("test", hook.name, 0, now_at, [OutboxEvent(0, "test", now_at, {})])
    give(hook, delivery, settings, SYSTEM_CLOCK, hook.time_limit_s)


def _settings(arguments: argparse.Namespace) -> "Settings":
    from cdsed.config.load import load_settings

    return load_settings(arguments.config, os.environ)


def _hook(settings: "Settings", name: str) -> "EventHook":
    known = {hook.name: hook for hook in settings.hooks}
    if name not in known:
        raise UsageError(f"the settings have no hook {name!r}; they have {', '.join(known) or 'none'}")
    return known[name]


def _states(settings: "Settings") -> "dict[str, HookState]":
    from cdsed.store import outbox
    from cdsed.view.read import open_status

    with open_status(settings.state_dir) as (_, db):
        return {} if db is None else {each.name: each for each in outbox.of_all(db)}


def _row(hook: "EventHook", state: "HookState | None") -> dict[str, Any]:
    kind = "command" if hook.command else "webhook" if hook.webhook else "mail"
    return {
        "name": hook.name,
        "kind": kind,
        "events": list(hook.events),
        "waiting": state.waiting if state else 0,
        "given_up": state.given_up if state else 0,
        "delivered": state.delivered if state else 0,
        "delivered_at": iso(state.delivered_at) if state and state.delivered_at else None,
        "failures": state.failures if state else 0,
        "error": state.error if state else None,
    }


def _lines(row: dict[str, Any]) -> list[str]:
    from cdsed.view.terminal import printable

    lines = [
        f"{row['name']}  {row['kind']}: {', '.join(row['events'])}",
        f"  {row['delivered']} events delivered, the last {row['delivered_at'] or 'never'}; {row['waiting']} wait",
    ]
    if row["error"]:
        lines.append(printable(f"  failed {row['failures']} times in a row: {row['error']}"))
    if row["given_up"]:
        lines.append(f"  {row['given_up']} given up: cdsed hooks retry {row['name']}")
    return lines
