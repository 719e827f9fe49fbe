"""``cdsed drain``: begin nothing new, and finish what is in transfer; of the daemon, accounts or machines."""

import argparse
import json
import time
from typing import TYPE_CHECKING, Any

from cdsed.cli.commanding import SCHEMA, StateChange, add_options, changing
from cdsed.clock import SYSTEM_CLOCK
from cdsed.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from cdsed.store.database import Database

_EVERY_S = 1.0
_KINDS = ("account", "machine")

#: Kind and name; ("account", "") is the daemon.
_Target = tuple[str, str]


def add_parser(subparsers: Any) -> None:
    """Add the command to the program's."""
    command = subparsers.add_parser(
        "drain",
        help="begin nothing new, and finish what is in transfer",
        description="Begin nothing new, and finish what is in transfer: of the whole daemon, of some accounts, or on "
        "some machines with workers of Dask. The daemon and an account finish their products. A machine gets no new "
        "connection, and those that it has end after the piece that they fetch: other machines fetch the rest. "
        "`cdsed resume`, `cdsed resume account NAME` or `cdsed resume machine NAME` undoes it.",
    )
    command.add_argument(
        "names", nargs="*", metavar="NAME", help="names or patterns of accounts or machines (default: the daemon)"
    )
    command.add_argument("--wait", action="store_true", help="return when nothing is in transfer any more")
    command.add_argument("--kind", choices=_KINDS, help="what NAME is, if both an account and a machine have it")
    add_options(command)
    command.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Drain the daemon, accounts or machines.

    Returns
    -------
    int
        0; with ``--wait`` 3 if no daemon runs that could finish them.
    """
    from cdsed.process.lock import is_running
    from cdsed.store import drains, machines

    with changing(arguments.config, dry=arguments.dry_run) as change:
        targets = _targets(change.db, arguments.names, arguments.kind)

        def drain(kind: str, name: str) -> bool:
            if kind == "machine":
                return machines.drain(change.db, SYSTEM_CLOCK, name)
            return drains.add(change.db, SYSTEM_CLOCK, name)

        def work() -> list[bool]:
            change.record(f"drain {', '.join(map(_words, targets))}")
            return [drain(*target) for target in targets]

        begun = change.do(work)
        running = is_running(change.settings.state_dir)
        done = not change.dry and _wait(change, targets, waits=arguments.wait and running)
    code = ExitCode.NOT_RUNNING if arguments.wait and not done and not running else ExitCode.OK
    if arguments.json:
        named = {f"{each}s": [name for kind, name in targets if kind == each] for each in _KINDS}
        found = {"schema": SCHEMA, "dry_run": arguments.dry_run, **named, "drained": done}
        print(json.dumps(found, indent=2))
        return code
    if arguments.dry_run:
        print("dry run: nothing is changed")
    for target, new in zip(targets, begun, strict=True):
        print(_sentence(target, new=new))
    if done:
        there = " there" if all(kind == "machine" for kind, _ in targets) else ""
        print(f"nothing is in transfer{there}")
    elif not running:
        print("no daemon runs: products in transfer are finished when it runs again")
    else:
        print("products in transfer are being finished; `cdsed drain --wait` waits for it")
    return code


def _words(target: _Target) -> str:
    kind, name = target
    return f"{kind} {name}" if name else "the daemon"


def _sentence(target: _Target, *, new: bool) -> str:
    from cdsed.store.pauses import resuming

    kind, name = target
    first, rest = ("gets", "no new connection") if kind == "machine" else ("begins", "no new product")
    undo = resuming(kind, name) if name else resuming("all")
    return f"{_words(target)} {first if new else f'was drained already, and {first}'} {rest} until `{undo}`"


def _targets(db: "Database", names: list[str], kind: str | None) -> list[_Target]:
    from fnmatch import filter as matching

    from cdsed.store import machines, selection

    known = {"account": selection.accounts(db), "machine": machines.names(db)}
    known = {each: there for each, there in known.items() if kind in (None, each)}
    chosen: list[_Target] = []
    for name in names:
        # A name may have the characters of a pattern.
        found = [(each, name) for each, there in known.items() if name in there]
        found = found or [(each, one) for each, there in known.items() for one in matching(there, name)]
        if not found:
            there = "; ".join(f"{each}s are {', '.join(all_of) or 'none'}" for each, all_of in known.items() if all_of)
            raise UsageError(f"no {kind or 'account or machine'} is named {name}; {there or 'none is known yet'}")
        if len({each for each, _ in found}) > 1:
            raise UsageError(f"{name} names accounts and machines: say which by --kind account or --kind machine")
        chosen += found
    return sorted(set(chosen)) if names else [("account", "")]


def _wait(change: StateChange, targets: list[_Target], *, waits: bool) -> bool:
    """Tell whether the drains are done; wait until they are if asked to, as long as a daemon runs."""
    from cdsed.process.lock import is_running
    from cdsed.store import drains, machines

    while True:
        done = {("account", drain.account) for drain in drains.active(change.db) if drain.done_at is not None}
        done |= {("machine", name) for name, over in machines.drains(change.db).items() if over}
        if done >= set(targets):
            return True
        if not waits or not is_running(change.settings.state_dir):
            return False
        time.sleep(_EVERY_S)
