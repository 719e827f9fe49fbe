"""From the settings file to `Settings`."""

from collections.abc import Mapping
from pathlib import Path

from cdsed.config.locate import read_settings, systemd_state_dir
from cdsed.config.settings import Settings
from cdsed.config.validate import validate


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
