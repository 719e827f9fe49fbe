"""``cdsed state``: check, back up, restore or rebuild the state."""

import argparse
import errno
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdsed.clock import SYSTEM_CLOCK, iso
from cdsed.errors import ExitCode, UsageError
from cdsed.view.wording import plural

if TYPE_CHECKING:
    from cdsed.config.settings import Settings
    from cdsed.work.remake import Source


def add_parser(subparsers: Any) -> None:
    """Add the command to the program's."""
    state = subparsers.add_parser(
        "state",
        help="check, back up, restore or rebuild the state",
        description="Maintain the state: the SQLite file of listings, products, their history and the traffic of the "
        "accounts. The daemon backs it up every day, and recovers it automatically when it starts.",
    )
    actions = state.add_subparsers(metavar="ACTION", required=True)
    check = _action(actions, "check", "check the state, and list backups and recoveries")
    check.set_defaults(command=run_check)
    backup = _action(actions, "backup", "make a backup now, whether the daemon runs or not")
    backup.set_defaults(command=run_backup)
    restore = _action(actions, "restore", "replace the state by a backup; the daemon must not run")
    _add_question(restore)
    restore.add_argument("backup", nargs="?", metavar="BACKUP", help="its name or path (default: the newest good one)")
    restore.set_defaults(command=run_restore)
    rebuild = _action(actions, "rebuild", "make a new state from accepted listings and disks; the daemon must not run")
    _add_question(rebuild)
    rebuild.set_defaults(command=run_rebuild)


def run_check(arguments: argparse.Namespace) -> int:
    """Print whether the state is sound.

    Returns
    -------
    int
        0 when it is sound, 1 when it does not exist yet, 72 (`ExitCode.DAMAGED`) when it is damaged.
    """
    from cdsed.store import backup, files
    from cdsed.store.database import FILE_NAME

    settings = _settings(arguments)
    file = settings.state_dir / FILE_NAME
    kept = backup.backups(settings.backups_dir)
    former = files.set_aside_before(settings.state_dir)
    schema, problems = _judge(settings)
    if schema is None and kept and not problems:
        problems = [f"the state {file} is gone, and there are backups of it; the next start of the daemon recovers it"]
    code = ExitCode.DAMAGED if problems else ExitCode.UNFINISHED if schema is None else ExitCode.OK
    if arguments.json:
        found = {
            "schema": 2,
            "path": str(file),
            "size_bytes": file.stat().st_size if file.exists() else None,
            "state_schema": schema,
            "problems": problems,
            "backups": [{"path": str(each.path), "made_at": iso(each.made_at)} for each in kept],
            "set_aside": [str(path) for path in former],
        }
        print(json.dumps(found, indent=2))
        return code
    words = "does not exist yet" if schema is None else f"schema {schema}, {file.stat().st_size / 1e6:.1f} MB, sound"
    print(f"{file}: {words if not problems else 'damaged' if file.exists() else 'gone'}")
    for problem in problems:
        print(f"  {problem}")
    print(f"{plural(len(kept), 'backup')} in {settings.backups_dir}")
    for each in kept:
        age_h = (SYSTEM_CLOCK.utc_s() - each.made_at) / 3600
        print(f"  {each.path.name}  {each.path.stat().st_size / 1e6:.1f} MB  {age_h:.1f} h old")
    for path in former:
        why = (path / files.WHY_NAME).read_text(encoding="utf-8").rstrip()
        print(f"set aside in {path}:")
        print("\n".join(f"  {line}" for line in why.split("\n")))
    if problems:
        print("start the daemon, which recovers it; or: cdsed state restore")
    return code


def run_backup(arguments: argparse.Namespace) -> int:
    """Make a backup.

    Returns
    -------
    int
        0; raises `StateError` when the backup cannot be made.
    """
    from cdsed.store.backup import back_up
    from cdsed.store.database import open_as_it_is

    settings = _settings_of_daemons_user(arguments)
    if not _file(settings).exists():
        raise UsageError(f"there is no state in {settings.state_dir} yet")
    db = open_as_it_is(settings.state_dir)
    try:
        made = back_up(db, settings.backups_dir, SYSTEM_CLOCK)
    finally:
        db.close()
    _say(arguments, {"backup": str(made.path)}, [f"the state is backed up: {made.path}"])
    return ExitCode.OK


def run_restore(arguments: argparse.Namespace) -> int:
    """Replace the state by a backup, after a question.

    Returns
    -------
    int
        0; 1 if you do not agree; raises `AlreadyRunning` while a daemon runs, `StateError` when the backup cannot be
        used, `UsageError` (64) when it does not exist, or without a terminal to ask on.
    """
    from cdsed.cli.restoring import chosen_backup
    from cdsed.work.remake import Source

    settings = _settings_of_daemons_user(arguments)
    backup = chosen_backup(settings, arguments.backup)
    newest = arguments.backup is None
    source = Source(newest=True) if newest else Source(path=backup)
    return _replace(arguments, settings, "cdsed state restore", source, backup)


def run_rebuild(arguments: argparse.Namespace) -> int:
    """Make a new state without a backup, after a question.

    Returns
    -------
    int
        As for `run_restore`.
    """
    from cdsed.work.remake import Source

    return _replace(arguments, _settings_of_daemons_user(arguments), "cdsed state rebuild", Source(), None)


def _add_question(action: argparse.ArgumentParser) -> None:
    action.add_argument("--yes", action="store_true", help="do not ask")
    action.add_argument("--dry-run", action="store_true", help="show what it would use and what is lost")


def _replace(
    arguments: argparse.Namespace, settings: "Settings", why: str, source: "Source", backup: Path | None
) -> int:
    """Replace the state if you agree; a running daemon is refused without a question."""
    from cdsed.cli.commanding import agreed
    from cdsed.cli.restoring import loss
    from cdsed.process.lock import is_running

    lines = loss(settings, backup, named=source.path is not None)
    if arguments.dry_run:
        _say(arguments, {"dry_run": True, "backup": str(backup) if backup else None, "loses": lines}, lines)
        return ExitCode.OK
    if not is_running(settings.state_dir) and not agreed(" ".join([*lines, "Replace the state?"]), yes=arguments.yes):
        return ExitCode.UNFINISHED
    return _remake(arguments, settings, why, source)


def _action(actions: Any, name: str, purpose: str) -> argparse.ArgumentParser:
    action: argparse.ArgumentParser = actions.add_parser(name, help=purpose, description=f"{purpose.capitalize()}.")
    action.add_argument("--json", action="store_true", help="print JSON")
    action.add_argument("--config", type=Path, metavar="FILE", help="settings file (default: the search path)")
    return action


def _settings(arguments: argparse.Namespace) -> "Settings":
    from cdsed.config.load import load_settings

    return load_settings(arguments.config, os.environ)


def _settings_of_daemons_user(arguments: argparse.Namespace) -> "Settings":
    """Refuse other users, even root: the daemon could not write the files that they make."""
    settings = _settings(arguments)
    if not settings.state_dir.is_dir():
        raise UsageError(f"there is no {settings.state_dir}; start the daemon once")
    if settings.state_dir.stat().st_uid != os.geteuid():
        raise PermissionError(errno.EPERM, "it belongs to the user of the daemon", str(settings.state_dir))
    return settings


def _file(settings: "Settings") -> Path:
    from cdsed.store.database import FILE_NAME

    return settings.state_dir / FILE_NAME


def _judge(settings: "Settings") -> tuple[int | None, list[str]]:
    """Return the schema of the state, None when it does not exist, and its problems; write nothing."""
    from cdsed.errors import StateDamaged
    from cdsed.process.lock import is_running
    from cdsed.store.database import open_read_only

    running = is_running(settings.state_dir)
    try:
        db = open_read_only(settings.state_dir, daemon_runs=running)
        if db is None:
            return None, [f"{_file(settings)} is gone while the daemon runs"] if running else []
        try:
            return int(db.value("PRAGMA user_version")), db.problems() or db.dangling()
        finally:
            db.close()
    except StateDamaged as error:
        return None, [str(error)]


def _remake(arguments: argparse.Namespace, settings: "Settings", why: str, source: "Source") -> int:
    from cdsed.process.lock import LOCK_NAME, DaemonLock
    from cdsed.store.filesystem import refuse_network_filesystem
    from cdsed.work.remake import remake

    refuse_network_filesystem(settings.state_dir)
    with DaemonLock(settings.state_dir / LOCK_NAME):
        made, aside = remake(settings, SYSTEM_CLOCK, f"{why} was asked for", source)
    facts = {"source": made.source, "listings_reported": made.reported, "listings_taken_again": made.again}
    facts |= {"products_found": made.present, "volumes_known": made.volumes_known, "set_aside": str(aside)}
    _say(arguments, facts, [*made.lines()[1:], f"the former state is in {aside}"])
    return ExitCode.OK


def _say(arguments: argparse.Namespace, facts: dict[str, Any], lines: list[str]) -> None:
    print(json.dumps(facts, indent=2) if arguments.json else "\n".join(lines))
