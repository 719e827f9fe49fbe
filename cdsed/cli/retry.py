"""``cdsed retry``: start products again that wait, or are failed, unavailable, corrupt or cancelled."""

import argparse
import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from cdsed.cli.choosing import choose, is_pattern, listings_named
from cdsed.cli.commanding import StateChange, add_options, changing, print_some
from cdsed.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from cdsed.model.product_state import State
    from cdsed.work.requeue import RetryResult

_SCHEMA = 2
_SELECTIONS = {
    "failed": "products that failed, e.g. after their last attempt",
    "unavailable": "products that did not exist, were deleted or offline, or are refused to your accounts",
    "corrupt": "products that were corrupt at their source",
    "retry_wait": "products that wait for their next attempt, which then starts at once",
}


def add_parser(subparsers: Any) -> None:
    """Add the command to the program's."""
    command = subparsers.add_parser(
        "retry",
        help="start products again that are failed, unavailable or corrupt, or wait",
        description="Start products again, at once and with all their attempts. Finished listings that name them get a "
        "new report. It works whether the daemon runs or not.",
    )
    command.add_argument("names", nargs="*", metavar="PRODUCT", help="names of products, or patterns such as 'S1A_*'")
    command.add_argument("--listing", metavar="LISTING", help="of this listing only; alone: all of the kinds below")
    for name, meaning in _SELECTIONS.items():
        command.add_argument(f"--{name.replace('_', '-')}", action="store_true", help=meaning)
    command.add_argument(
        "--state",
        action="append",
        choices=[*_SELECTIONS, "cancelled"],
        default=[],
        help="all in this state; repeatable",
    )
    command.add_argument("--code", metavar="CODE", help="only those with this class of error, e.g. NotInCatalogue")
    command.add_argument("--all", action="store_true", help="all of these states, and cancelled ones")
    add_options(command, schema=_SCHEMA)
    command.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Start products again.

    Returns
    -------
    int
        0; 1 when a named product is in progress or on disk; raises `UsageError` (64) for a product or listing that the
        state does not know.
    """
    states = _states(arguments)
    with changing(arguments.config, dry=arguments.dry_run) as change:
        done = _named(change, arguments.names) if arguments.names else _in_states(change, arguments, states)
    _tell_json(arguments, done) if arguments.json else _tell(arguments, done)
    exact = not any(is_pattern(name) for name in arguments.names)
    return ExitCode.UNFINISHED if exact and not all(each.started for each in done) else ExitCode.OK


def _states(arguments: argparse.Namespace) -> "frozenset[State]":
    """Return which states the options mean."""
    from cdsed.model.product_state import State
    from cdsed.work.requeue import RETRYABLE

    chosen = frozenset(State(name) for name in _SELECTIONS if getattr(arguments, name))
    chosen |= {State(name) for name in arguments.state}
    if arguments.names and (chosen or arguments.all or arguments.listing or arguments.code):
        raise UsageError("name products, or choose them with options; not both")
    if arguments.all or ((arguments.listing or arguments.code) and not chosen):
        return RETRYABLE
    if not arguments.names and not chosen:
        raise UsageError("say what to start again: PRODUCT ..., --listing LISTING, --state failed, --all ...")
    return chosen


def _named(change: StateChange, names: list[str]) -> "list[RetryResult]":
    from cdsed.clock import SYSTEM_CLOCK
    from cdsed.store import products
    from cdsed.work.requeue import requeue

    numbers = []
    for name in names:
        chosen = choose(change.db, [name])
        if chosen.listings and not is_pattern(name):
            raise UsageError(f"{name!r} is a listing; give it with --listing")
        numbers += chosen.products
    named = [products.get(change.db, number) for number in dict.fromkeys(numbers)]

    def work() -> "list[RetryResult]":
        change.record(f"retry {' '.join(names)}")
        return requeue(change.db, SYSTEM_CLOCK, named)

    return change.do(work)


def _in_states(change: StateChange, arguments: argparse.Namespace, states: "frozenset[State]") -> "list[RetryResult]":
    """Start all products in some states again, in batches, so that the daemon is not kept waiting."""
    from cdsed.clock import SYSTEM_CLOCK
    from cdsed.work.requeue import requeue_all

    chosen: list[int | None] = list(listings_named(change.db, arguments.listing)) if arguments.listing else [None]

    def work() -> "list[RetryResult]":
        found = (requeue_all(change.db, SYSTEM_CLOCK, states, each, arguments.code) for each in chosen)
        return [result for results in found for result in results]

    done = change.do(work) if change.dry else work()
    where = f" of {arguments.listing}" if arguments.listing else ""
    if done:
        change.do(lambda: change.record(f"retry {len(done)} products that are {', '.join(sorted(states))}{where}"))
    return done


def _tell(arguments: argparse.Namespace, done: "list[RetryResult]") -> None:
    from cdsed.view.wording import number, plural

    started = [each for each in done if each.started]
    left = [each for each in done if not each.started]
    if arguments.dry_run:
        print("dry run: nothing is changed")
    if not done:
        print("nothing to start again")
    if started:
        was = Counter(each.was.value for each in started)
        by_state = ", ".join(f"{number(count)} {state}" for state, count in was.items())
        print(f"{plural(len(started), 'product')} started again: {by_state}")
    print_some([f"{each.safename}  was {each.was}, is {each.now}" for each in started])
    print_some([f"{each.safename}  is {each.now}: nothing to start again" for each in left])


def _tell_json(arguments: argparse.Namespace, done: "list[RetryResult]") -> None:
    rows = [{"safename": each.safename, "was": each.was, "now": each.now, "started": each.started} for each in done]
    started = sum(each.started for each in done)
    print(json.dumps({"schema": _SCHEMA, "dry_run": arguments.dry_run, "started": started, "products": rows}, indent=2))
