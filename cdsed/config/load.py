"""Read the settings file into `Settings`."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from cdsed.config.document import Document, Key
from cdsed.config.instance import MAIN, InstancePaths, places_of
from cdsed.config.locate import default_state_dir, read_settings, settings_file
from cdsed.config.proxies import ProxyRules
from cdsed.config.settings import Settings
from cdsed.config.validate import validate
from cdsed.errors import ConfigError


def load_settings(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Read and validate the settings.

    Parameters
    ----------
    path
        The file named on the command line, or None for the default search path.
    environ
        The environment; ``STATE_DIRECTORY`` (set by systemd) replaces a missing ``state_dir``. Other paths that the
        file does not name follow from the name of the file, see `cdsed.config.instance`.

    Raises
    ------
    ConfigError
        With every problem of the file: file, line, key, what is wrong, what to do. Or ``https_proxy`` of the
        environment is not understood.
    """
    document = read_settings(path, environ)
    if not isinstance(document.content, dict):
        return validate(document, Settings)
    places = places_of(document.path)
    settings = validate(_with_places(document, places, environ), Settings)
    if problems := list(_of_the_main_daemon(document, settings, places)):
        raise ConfigError(problems)
    rules = ProxyRules(settings.services.proxy_url, environ)
    for url in settings.services.urls:
        rules.proxy_for(url)  # an environment that it does not understand ends it here, not in a worker
    return settings


def _with_places(document: Document, places: InstancePaths, environ: Mapping[str, str]) -> Document:
    """Add the paths that a file does not name."""
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
    """Yield the paths that an instance shares with the main daemon, for example after a copy of its settings."""
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
    """Return the settings as `load_settings` does, or the defaults if no file is named and none is found.

    Commands that only ask the catalogue use it, because they need no installation.
    """
    try:
        found = settings_file(path, environ)
    except ConfigError:
        return Settings()
    return load_settings(found, environ)
