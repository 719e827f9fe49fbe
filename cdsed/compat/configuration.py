"""Reading a configuration of cdsodatacli (``localconfig.yml``), and the parts of it that cdsed needs."""

import logging
import os
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cdsed.compat.errors import ConfigKeyError, ConfigValueError, NoConfiguration
from cdsed.config.document import read_document
from cdsed.errors import ConfigError
from cdsed.local.presence import Archive

_log = logging.getLogger(__name__)

_NAME = "localconfig.yml"
_DEFAULT = Path(__file__).with_name("config.yml")


def read_localconfig(path: str | os.PathLike[str] | None, environ: Mapping[str, str]) -> dict[str, Any]:
    """Return a configuration; parameters and errors are those of `cdsed.compat.utils.get_conf`."""
    file = Path(path) if path is not None else next(filter(os.path.isfile, _places(environ)), _DEFAULT)
    _log.debug("configuration: %s", file)
    try:
        document = read_document(file, str(_DEFAULT), secret=True)
    except ConfigError as error:
        raise error if file.exists() else NoConfiguration(error.problems) from None
    if not isinstance(document.content, dict):
        raise ConfigError([f"{file}: should be a mapping of keys to values, as in {_DEFAULT}"])
    for problem in document.problems:
        _log.warning("%s", problem)
    return document.content


def _places(environ: Mapping[str, str]) -> Iterator[Path]:
    yield Path(__file__).with_name(_NAME)
    old = find_spec("cdsodatacli")
    if old is not None and old.origin:
        yield Path(old.origin).with_name(_NAME)
    home = environ.get("XDG_CONFIG_HOME") or (f"{environ['HOME']}/.config" if environ.get("HOME") else None)
    if home:
        yield Path(home, "cdsed", _NAME)
    yield Path("/etc/cdsed") / _NAME


def spools(conf: Mapping[str, Any]) -> list[Path]:
    """Return the directories of finished products."""
    return [Path(place) for place in (conf.get("spools") or {}).values()]


def archives(conf: Mapping[str, Any]) -> list[Archive]:
    """Return the trees of products by date; their layout is the built-in one."""
    return [Archive(Path(place), {}) for place in (conf.get("archives") or {}).values()]


def logins(conf: Mapping[str, Any], group: str) -> dict[str, dict[str, str]]:
    """Return the credentials of each login of a group.

    A group is a mapping of logins, or a list of mappings of one login each; the credentials of a login are a
    mapping with ``cdse-psswd``, ``s3-access-key`` and ``s3-secret``, or the bare password.

    Raises
    ------
    ConfigKeyError
        The group does not exist.
    ConfigValueError
        It has another form. The message does not show values of it.
    """
    if group not in conf:
        groups = [name for name, value in conf.items() if "login" in str(name) and isinstance(value, dict | list)]
        raise ConfigKeyError([f"there is no group of accounts {group!r}; there are {', '.join(groups) or 'none'}"])
    members = conf[group]
    mappings = members if isinstance(members, list) else [members]
    if not all(isinstance(mapping, dict) for mapping in mappings):
        raise ConfigValueError([f"{group}: should be a mapping of logins, or a list of such mappings"])
    return {
        str(login): dict(keys) if isinstance(keys, dict) else {"cdse-psswd": str(keys)}
        for mapping in mappings
        for login, keys in mapping.items()
    }
