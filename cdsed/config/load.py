"""From the settings file to `Settings`."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from cdsed.config.document import Document, Key
from cdsed.config.instance import MAIN, InstancePaths, places_of
from cdsed.config.locate import default_state_dir, read_settings, settings_file
from cdsed.config.settings import Settings
from cdsed.config.validate import validate
from cdsed.errors import ConfigError


def load_settings(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Read and validate the settings.

    Parameters
    ----------
    path
        The file named on the command line, or None for the usual places.
    environ
        The environment; ``STATE_DIRECTORY`` (set by systemd) stands in for an absent ``state_dir``. Other places
        that the file leaves out follow from its name, see `cdsed.config.instance`.

    Raises
    ------
    ConfigError
        With every problem of the file: file, line, key, what is wrong, what to do.
    """
    document = read_settings(path, environ)
    if not isinstance(document.content, dict):
        return validate(document, Settings)
    places = places_of(document.path)
    settings = validate(_with_places(document, places, environ), Settings)
    if problems := list(_of_the_main_daemon(document, settings, places)):
        raise ConfigError(problems)
    return settings


def _with_places(document: Document, places: InstancePaths, environ: Mapping[str, str]) -> Document:
    """Put in the places that a file leaves out."""
    content: dict[str, Any] = {
        "spools": [str(places.spool)],
        "accounts_file": str(places.accounts_file),
        **document.content,
    }
    if "state_dir" not in content:
        content["state_dir"] = str(default_state_dir(document.path, environ))
    inbox = content.get("inbox") or {}
    if isinstance(inbox, dict):
        content["inbox"] = {"path": str(places.inbox), **inbox}
    return replace(document, content=content)


def _of_the_main_daemon(document: Document, settings: Settings, places: InstancePaths) -> Iterator[str]:
    """Yield what an instance has taken over from the main daemon, as by a copy of its settings; both would use it."""
    if places == MAIN:
        return
    taken: dict[Key, tuple[Path, Path, Path]] = {
        ("state_dir",): (settings.state_dir, MAIN.state_dir, places.state_dir),
        ("inbox", "path"): (settings.inbox.path, MAIN.inbox, places.inbox),
        ("spools",): (settings.spools[0], MAIN.spool, places.spool),
        ("accounts_file",): (settings.accounts_file, MAIN.accounts_file, places.accounts_file),
    }
    for key, (given, main, own) in taken.items():
        if given == main:
            yield document.problem(key, f"{given} is that of cdsed.service; leave it out for {own}, or name another")


def settings_or_defaults(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Return the settings as `load_settings` does, or the defaults where no file is named and none is found.

    For whoever only asks the catalogue, which needs no installation.
    """
    try:
        found = settings_file(path, environ)
    except ConfigError:
        return Settings()
    return load_settings(found, environ)
