"""Find the settings file and the state directory, without the slow import of pydantic."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from cdsed.config.document import Document, read_document
from cdsed.config.instance import is_of_the_system, places_of
from cdsed.errors import ConfigError


def settings_file(path: Path | None, environ: Mapping[str, str]) -> Path:
    """Return the settings file to use.

    Parameters
    ----------
    path
        The file named on the command line (``--config``), or None.
    environ
        The environment: ``CDSED_CONFIG`` names a file; ``XDG_CONFIG_HOME`` and ``HOME`` are searched.

    Raises
    ------
    ConfigError
        No file is named, and the search path has no file.
    """
    if path is not None:
        return path
    if named := environ.get("CDSED_CONFIG"):
        return Path(named)
    places = list(_places(environ))
    for place in places:
        # Path.is_file raises if this user may not look there, as in the home of root after sudo
        if os.path.isfile(place):  # noqa: PTH113
            return place
    looked = " or ".join(map(str, places))
    raise ConfigError([f"no settings file: write one at {looked}, or name one with --config or $CDSED_CONFIG"])


def read_settings(path: Path | None, environ: Mapping[str, str]) -> Document:
    """Return the settings file as read, not validated; parameters and errors as `settings_file`."""
    return read_document(settings_file(path, environ), "etc/cdsed.yml")


def state_dir(path: Path | None, environ: Mapping[str, str]) -> Path:
    """Return the state directory without validating any other setting.

    ``cdsed status`` needs only this, and works even while the settings are edited.

    Parameters
    ----------
    path, environ
        As for `settings_file`; for an absent key see `default_state_dir`.

    Raises
    ------
    ConfigError
        The file cannot be read, or its ``state_dir`` is not an absolute path.
    """
    document = read_settings(path, environ)
    content = document.content if isinstance(document.content, dict) else {}
    if "state_dir" not in content:
        return default_state_dir(document.path, environ)
    try:
        return absolute(Path(content["state_dir"]))
    except (TypeError, ValueError) as error:
        raise ConfigError([document.problem(("state_dir",), "should be an absolute path")]) from error


def default_state_dir(settings: Path, environ: Mapping[str, str]) -> Path:
    """Return the state directory of a settings file that does not name one.

    That is the first of ``STATE_DIRECTORY``, which systemd sets (systemd.exec(5) separates them by colons), else the
    one of `places_of`.

    Raises
    ------
    ConfigError
        The file is in ``/etc/cdsed``, and the two differ: a command in a shell would read another state.
    """
    default = places_of(settings).state_dir
    first = environ.get("STATE_DIRECTORY", "").split(":")[0]
    if not first:
        return default
    if is_of_the_system(settings) and Path(first).resolve() != default.resolve():
        message = f"{settings}: names no state_dir; the unit gives {first}, and commands in a shell would use {default}"
        remedy = f"write `state_dir: {first}` into the file, or `StateDirectory={default.name}` into the unit"
        raise ConfigError([f"{message}: {remedy}"])
    return Path(first)


def absolute(path: Path) -> Path:
    """Return `path` with ``~`` expanded; raise `ValueError` unless it is absolute and free of ``..``."""
    try:
        path = path.expanduser()
    except RuntimeError as error:
        raise ValueError("begins with ~, but the home directory of this user is not known") from error
    if not path.is_absolute() or ".." in path.parts or "\0" in str(path):
        raise ValueError("should be an absolute path without '..' in it")
    return path


def _places(environ: Mapping[str, str]) -> Iterator[Path]:
    if home := environ.get("XDG_CONFIG_HOME"):
        yield Path(home) / "cdsed" / "cdsed.yml"
    elif home := environ.get("HOME"):
        yield Path(home) / ".config" / "cdsed" / "cdsed.yml"
    yield Path("/etc/cdsed/cdsed.yml")
