"""From the settings file to `Settings`."""

from collections.abc import Mapping
from pathlib import Path

from cdsed.config.locate import read_settings, settings_file, systemd_state_dir
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
        The environment; ``STATE_DIRECTORY`` (set by systemd) stands in for an absent ``state_dir``.

    Raises
    ------
    ConfigError
        With every problem of the file: file, line, key, what is wrong, what to do.
    """
    settings = validate(read_settings(path, environ), Settings)
    standing_in = systemd_state_dir(environ)
    if standing_in and "state_dir" not in settings.model_fields_set:
        return settings.model_copy(update={"state_dir": standing_in})
    return settings


def settings_or_defaults(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Return the settings as `load_settings` does, or the defaults where no file is named and none is found.

    For whoever only asks the catalogue, which needs no installation.
    """
    try:
        found = settings_file(path, environ)
    except ConfigError:
        return Settings()
    return load_settings(found, environ)
