"""``cdsed config init``, ``import`` and ``schema``: new settings and accounts files, and their JSON Schema."""

import argparse
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdsed.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from cdsed.compat.conversion import Conversion
    from cdsed.config.new_files import NewPlace

_KINDS = ("settings", "accounts")


def add_actions(actions: Any) -> None:
    """Add the actions to the parser of ``cdsed config``."""
    init = actions.add_parser(
        "init",
        help="write commented settings and accounts files, and make the directories",
        description="Write a commented settings file and an accounts file (mode 0600) for this user, and make the "
        "directories that they name. If you have one of the two files, it stays as it is, and only the other one is "
        "written. Fill in the accounts file, then run `cdsed config check`.",
    )
    _add_places(init)
    init.add_argument("--spool", type=Path, action="append", metavar="DIR", help="where products appear (repeatable)")
    init.add_argument("--pre-spool", type=Path, metavar="DIR", help="private staging directory")
    init.add_argument(
        "--archive", type=Path, action="append", default=[], metavar="DIR", help="tree of products (repeatable)"
    )
    init.add_argument("--group", default="default", metavar="NAME", help="name of the group of accounts")
    init.add_argument("--no-directories", action="store_true", help="make no directory")
    init.set_defaults(command=run_init)
    taken = actions.add_parser(
        "import",
        help="make settings and accounts files of cdsodatacli's localconfig.yml",
        description="Read a localconfig.yml of cdsodatacli, and write settings and accounts files (mode 0600) for "
        "cdsed. Prints what was taken, what has no counterpart, and what is missing; never a secret.",
    )
    taken.add_argument("localconfig", type=Path, metavar="LOCALCONFIG", help="the localconfig.yml")
    _add_places(taken)
    taken.add_argument("--group", metavar="NAME", help="its group that becomes the default one (default: logins)")
    taken.set_defaults(command=run_import)
    schema = actions.add_parser(
        "schema",
        help="print the JSON Schema of the settings or the accounts file, for editors",
        description="Print the JSON Schema of the settings or the accounts file, or the path of it. The first line of "
        "a file tells the YAML language server where it is: # yaml-language-server: $schema=PATH",
    )
    schema.add_argument("file", nargs="?", choices=_KINDS, default="settings", help="which file (default: settings)")
    schema.add_argument("--path", action="store_true", help="print the path of the schema that came with cdsed")
    schema.set_defaults(command=run_schema)


def _add_places(action: argparse.ArgumentParser) -> None:
    action.add_argument("--config", type=Path, metavar="FILE", help="settings file to write (default: the usual one)")
    action.add_argument("--accounts", type=Path, metavar="FILE", help="accounts file (default: beside the settings)")
    action.add_argument("--state-dir", type=Path, metavar="DIR", help="directory of the state, on a local disk")
    action.add_argument("--inbox", type=Path, metavar="DIR", help="directory for listings")
    action.add_argument("--force", action="store_true", help="replace files that exist")


def run_init(arguments: argparse.Namespace) -> int:
    """Write both files and make the directories.

    Returns
    -------
    int
        0; raises `UsageError` when both files exist, and `ConfigError` when the settings are not valid.
    """
    from dataclasses import replace

    from cdsed.config.new_files import accounts_text, settings_text

    place = _place(arguments)
    place = replace(
        place,
        spools=tuple(map(_absolute, arguments.spool)) if arguments.spool else place.spools,
        pre_spool=arguments.pre_spool and _absolute(arguments.pre_spool),
        archives=tuple(map(_absolute, arguments.archive)),
        group=arguments.group,
    )
    if place.settings.exists() and not arguments.force:
        place = _as_in_settings(place, arguments.accounts)
    texts = settings_text(place.values()), accounts_text(place.group)
    _write(place, *texts, force=arguments.force, keeps_one=True)
    for directory in () if arguments.no_directories else place.directories:
        if not directory.is_dir():
            directory.mkdir(mode=0o750, parents=True)
            print(f"made: {directory}")
    print("next: fill in the accounts file, then run `cdsed config check` and `cdsed doctor --online`")
    return ExitCode.OK


def _as_in_settings(place: "NewPlace", accounts: Path | None) -> "NewPlace":
    """Return the place that a settings file names, so that an accounts file can be written for it."""
    from dataclasses import replace

    from cdsed.config.load import load_settings

    settings = load_settings(place.settings, os.environ)
    return replace(
        place,
        accounts=place.accounts if accounts else settings.accounts_file,
        state_dir=settings.state_dir,
        inbox=settings.inbox.path,
        spools=tuple(settings.spools),
        pre_spool=settings.pre_spool,
        group=settings.default_group,
    )


def run_import(arguments: argparse.Namespace) -> int:
    """Write both files, and print what became of each key.

    Returns
    -------
    int
        0; raises `UsageError` when a file exists, and `ConfigError` when one of the files would not be valid.
    """
    from cdsed.compat.configuration import read_localconfig
    from cdsed.compat.conversion import convert
    from cdsed.config.new_files import modeline, settings_text, yaml_text
    from cdsed.config.schema import FileKind

    place = _place(arguments)
    made = convert(read_localconfig(arguments.localconfig, os.environ), place, arguments.group)
    accounts = modeline(FileKind.ACCOUNTS) + yaml_text(made.accounts)
    _write(place, settings_text(made.settings), accounts, force=arguments.force)
    for line in _summary(made):
        print(line)
    print("next: run `cdsed config check` and `cdsed doctor`")
    return ExitCode.OK


def run_schema(arguments: argparse.Namespace) -> int:
    """Print a schema, or its path.

    Returns
    -------
    int
        0.
    """
    from cdsed.config.schema import FileKind

    shipped = FileKind(arguments.file).shipped
    print(shipped if arguments.path else shipped.read_text(encoding="utf-8"), end="\n" if arguments.path else "")
    return ExitCode.OK


def _place(arguments: argparse.Namespace) -> "NewPlace":
    from dataclasses import replace

    from cdsed.config.new_files import usual_place

    place = usual_place(arguments.config, os.environ, is_root=os.geteuid() == 0)
    return replace(
        place,
        accounts=_absolute(arguments.accounts or place.accounts),
        state_dir=_absolute(arguments.state_dir or place.state_dir),
        inbox=_absolute(arguments.inbox or place.inbox),
    )


def _write(place: "NewPlace", settings: str, accounts: str, *, force: bool, keeps_one: bool = False) -> None:
    """Write both files with mode 0600, or neither: they are checked first.

    `keeps_one`: if one of them exists, write only the other one.
    """
    from cdsed.config.private import replace_private

    files = {place.settings: settings, place.accounts: accounts}
    if len(files) == 1:
        raise UsageError(f"{place.settings}: the settings and the accounts need a file each")
    existing = [] if force else [file for file in files if os.path.lexists(file)]
    if existing and not (keeps_one and len(existing) == 1):
        names = " and ".join(map(str, existing))
        raise UsageError(f"{names} exist{'s' * (len(existing) == 1)}; give --force to replace")
    _check(files, place)
    for file in existing:
        print(f"left as it is: {file}")
    for file, text in files.items():
        if file in existing:
            continue
        file.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        replace_private(file, text)
        print(f"wrote: {file}")


def _check(files: Mapping[Path, str], place: "NewPlace") -> None:
    """Raise `ConfigError` unless the settings are valid, and the accounts too where they are filled in."""
    import tempfile

    from cdsed.config.accounts import load_accounts
    from cdsed.config.load import load_settings
    from cdsed.errors import ConfigError

    with tempfile.TemporaryDirectory(prefix="cdsed-") as folder:
        copies = {file: Path(folder, "cdsed.yml" if file == place.settings else "accounts.yml") for file in files}
        for file, copy in copies.items():
            copy.touch(mode=0o600)
            copy.write_text(files[file], encoding="utf-8")
        try:
            settings = load_settings(copies[place.settings], {})
            if "put the access key here" not in files[place.accounts]:
                load_accounts(settings.model_copy(update={"accounts_file": copies[place.accounts]}), {})
        except ConfigError as error:
            names = {str(copy): str(file) for file, copy in copies.items()}
            raise ConfigError([_renamed(problem, names) for problem in error.problems]) from None


def _renamed(problem: str, names: Mapping[str, str]) -> str:
    for copy, file in names.items():
        problem = problem.replace(copy, file)
    return problem


def _summary(made: "Conversion") -> Iterator[str]:
    yield "taken:"
    yield from (f"  {key} -> {what}" for key, what in made.taken.items())
    yield from ["without a counterpart:"] if made.left_out else []
    yield from (f"  {key}: {why}" for key, why in made.left_out.items())
    yield "missing:"
    yield from (f"  {each}" for each in made.missing)


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path.expanduser()))  # noqa: PTH100 - Path.resolve would follow links
