"""``cdsed pause`` and ``cdsed resume``: let work rest, and continue it."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdsed.cli.choosing import listings_named
from cdsed.cli.commanding import SCHEMA, StateChange, add_options, changing
from cdsed.cli.moments import seconds_of, time_of
from cdsed.clock import SYSTEM_CLOCK, iso
from cdsed.errors import ExitCode, UsageError
from cdsed.view.wording import plural

if TYPE_CHECKING:
    from cdsed.model.operation import Pause
    from cdsed.store.database import Database

_KINDS = ("all", "listing", "account", "group", "disk")
_RESUMED_KINDS = (*_KINDS, "machine")

#: Kind and name as in the state, and the name to show.
_Key = tuple[str, str, str]


def add_parser(subparsers: Any) -> None:
    """Add both commands to the program's."""
    pause = subparsers.add_parser(
        "pause",
        help="let everything, a listing, an account, a group or a disk rest",
        description="Begin no new transfer of everything, a listing, an account, a group or a disk. Sessions at work "
        "finish the piece that they fetch; products keep what has arrived. It is remembered until you resume it, also "
        "while the daemon is stopped.",
    )
    _add_target(pause, _KINDS)
    end = pause.add_mutually_exclusive_group()
    end.add_argument("--until", metavar="TIME", help="until then, e.g. 18:00 or 2026-11-30T06:00Z")
    end.add_argument("--for", dest="duration", metavar="DURATION", help="for so long, e.g. 30min or 2h")
    pause.set_defaults(command=run_pause)
    resume = subparsers.add_parser(
        "resume",
        help="continue what was paused or drained",
        description="Continue what `cdsed pause`, `cdsed drain` or a time window of the settings lets rest. Without a "
        "name, that is what holds everything; a listing, an account, a group, a disk or a machine that was paused or "
        "drained by name is resumed by name. A window that you resume does not pause again before its own end.",
    )
    _add_target(resume, _RESUMED_KINDS)
    resume.set_defaults(command=run_resume)


def run_pause(arguments: argparse.Namespace) -> int:
    """Pause something.

    Returns
    -------
    int
        0; raises `UsageError` (64) for a name or a time that cannot be.
    """
    until_at = _end(arguments)
    with changing(arguments.config, dry=arguments.dry_run) as change:
        from cdsed.store import pauses

        keys = _keys(change, arguments.what, arguments.names)
        before = pauses.keys(change.db, SYSTEM_CLOCK)
        held = {key: pauses.held_by(change.db, key[0], key[1]) for key in keys}

        def work() -> "tuple[Pause, ...]":
            for key in keys:
                pauses.add(change.db, SYSTEM_CLOCK, key[0], key[1], until_at)
                change.record(f"pause {_words(key)} {_until(until_at)}")
            pauses.follow_spools(change.db, SYSTEM_CLOCK, map(str, change.settings.spools))
            return pauses.active(change.db, SYSTEM_CLOCK)

        now = change.do(work)
    lines = []
    for key in keys:
        again = " was paused already, and" if key[:2] in before else ""
        unit = "session" if key[0] == "account" else "unfinished product"
        lines.append(f"{_words(key)}{again} is paused {_until(until_at)}: {plural(held[key], unit)}")
    undo = pauses.resuming(arguments.what, *arguments.names)
    lines.append(f"sessions at work finish the piece that they fetch; `{undo}` undoes this")
    _tell(arguments, keys, now, lines)
    return ExitCode.OK


def run_resume(arguments: argparse.Namespace) -> int:
    """Resume something.

    Returns
    -------
    int
        0, also if it was not paused; raises `UsageError` (64) for a name that cannot be.
    """
    with changing(arguments.config, dry=arguments.dry_run) as change:
        from cdsed.store import drains, machines, pauses

        keys = _keys(change, arguments.what, arguments.names, resumes=True)
        lines: list[str] = []

        def work() -> "tuple[Pause, ...]":
            for key in keys:
                was = [each for each in pauses.active(change.db, SYSTEM_CLOCK) if (each.kind, each.name) == key[::2]]
                pauses.remove(change.db, key[0], key[1])
                drained = key[0] in ("all", "account") and drains.remove(change.db, key[1])
                drained = drained or (key[0] == "machine" and machines.resume(change.db, key[1]))
                if was or drained:
                    change.record(f"resume {_words(key)}")
                lines.extend(_resumed(key, was, drained=drained))
            pauses.follow_spools(change.db, SYSTEM_CLOCK, map(str, change.settings.spools))
            return pauses.active(change.db, SYSTEM_CLOCK)

        left = change.do(work)
        lines += [f"still paused: {pauses.sentence(pause)}" for pause in left]
        lines += [drains.sentence(drain) for drain in drains.active(change.db) if not change.dry]
    _tell(arguments, keys, left, lines)
    return ExitCode.OK


def _add_target(command: Any, kinds: tuple[str, ...]) -> None:
    first, *others, last = kinds
    said = f"what: {first} (the default), {', '.join(others)} or {last}"
    command.add_argument("what", nargs="?", choices=kinds, default="all", help=said)
    command.add_argument("names", nargs="*", metavar="NAME", help="names or patterns of these, or directories")
    add_options(command)


def _end(arguments: argparse.Namespace) -> float | None:
    if arguments.duration is not None:
        return SYSTEM_CLOCK.utc_s() + seconds_of(arguments.duration)
    return None if arguments.until is None else time_of(arguments.until, SYSTEM_CLOCK.utc_s())


def _keys(change: StateChange, kind: str, names: Sequence[str], *, resumes: bool = False) -> list[_Key]:
    """Return what is meant; raises UsageError for a name that the state and the settings do not know."""
    command = "resume" if resumes else "pause"
    if (kind == "all") != (not names):
        raise UsageError("`all` takes no name" if names else f"say which {kind}: cdsed {command} {kind} NAME")
    if kind == "all":
        return [("all", "", "")]
    finders = {"listing": _listings, "account": _accounts, "group": _groups, "disk": _disks, "machine": _machines}
    known = finders[kind]
    keys = [key for name in names for key in known(change, name, resumes)]
    return list(dict.fromkeys(keys))


def _listings(change: StateChange, name: str, resumes: bool) -> list[_Key]:
    from cdsed.store import listings

    found = [listings.get(change.db, number) for number in listings_named(change.db, name)]
    unfinished = [each for each in found if each.state in ("taking", "open")]
    if not unfinished and not resumes:
        raise UsageError(f"listing {name} is finished: there is nothing to pause")
    return [("listing", str(each.head.id), each.head.name) for each in unfinished]


def _accounts(change: StateChange, name: str, resumes: bool) -> list[_Key]:
    from cdsed.store import selection

    return _named(change.db, "account", name, selection.accounts(change.db), resumes=resumes)


def _groups(change: StateChange, name: str, resumes: bool) -> list[_Key]:
    from cdsed.store import snapshot

    return _named(change.db, "group", name, snapshot.groups(change.db), resumes=resumes)


def _machines(change: StateChange, name: str, resumes: bool) -> list[_Key]:
    from cdsed.store import machines

    known = sorted({*machines.names(change.db), *machines.drains(change.db)})
    return _named(change.db, "machine", name, known, resumes=resumes)


def _named(db: "Database", kind: str, name: str, known: list[str], *, resumes: bool) -> list[_Key]:
    from fnmatch import fnmatchcase

    from cdsed.store import drains, pauses

    if resumes:  # it may have left the accounts file
        known = known + [each for each_kind, each in pauses.keys(db, SYSTEM_CLOCK) if each_kind == kind]
        known += [drain.account for drain in drains.active(db) if drain.account and kind == "account"]
    found = sorted({each for each in known if each == name or fnmatchcase(each, name)})
    if not found:
        raise UsageError(
            f"no {kind} is named {name}; there are {', '.join(known) or 'none yet: start the daemon once'}"
        )
    return [(kind, each, each) for each in found]


def _disks(change: StateChange, name: str, resumes: bool) -> list[_Key]:
    from cdsed.store import pauses, selection

    known = [*map(str, change.settings.spools), *selection.outputdirs(change.db)]
    if resumes:
        known += [each for kind, each in pauses.keys(change.db, SYSTEM_CLOCK) if kind == "disk"]
    found = sorted({each for each in known if Path(each) == Path(name).absolute()})
    if not found:
        raise UsageError(
            f"no product is written to {name}; directories of products are {', '.join(dict.fromkeys(known))}"
        )
    return [("disk", each, each) for each in found]


def _resumed(key: _Key, was: "list[Pause]", *, drained: bool) -> list[str]:
    lines = []
    for pause in was:
        window = pause.source == "window"
        until = f", until the window ends ({_until(pause.until_at).removeprefix('until ')})" if window else ""
        lines.append(f"{_words(key)} is resumed{until}; it was paused since {iso(pause.since_at)}")
    if drained:
        gets = "gets connections" if key[0] == "machine" else "begins new products"
        lines.append(f"{_words(key)} {gets} again")
    return lines or [
        "nothing to resume: no pause of everything"
        if key[0] == "all"
        else f"{_words(key)} was not {'drained' if key[0] == 'machine' else 'paused'}"
    ]


def _words(key: _Key) -> str:
    return "everything" if key[0] == "all" else f"{key[0]} {key[2]}"


def _until(until_at: float | None) -> str:
    return "until you resume it" if until_at is None else f"until {iso(until_at)}"


def _tell(arguments: argparse.Namespace, keys: list[_Key], now: "Sequence[Pause]", lines: list[str]) -> None:
    from cdsed.view.terminal import printable

    if not arguments.json:
        print("\n".join(printable(line) for line in [*(["dry run: nothing is changed"] * arguments.dry_run), *lines]))
        return
    left = [
        {
            "kind": each.kind,
            "name": each.name,
            "source": each.source,
            "since_at": iso(each.since_at),
            "until_at": None if each.until_at is None else iso(each.until_at),
        }
        for each in now
    ]
    changed = [{"kind": key[0], "name": key[2]} for key in keys]
    print(json.dumps({"schema": SCHEMA, "dry_run": arguments.dry_run, "changed": changed, "paused": left}, indent=2))
