"""What a worker of Dask must see to have connections: looked at on the worker, for ``cdsed engine check``."""

import os
import platform
import socket
from importlib.metadata import version
from pathlib import Path

from cdsed._version import __version__
from cdsed.config.accounts import load_accounts
from cdsed.config.load import load_settings
from cdsed.engine.visibility import seen_after_s
from cdsed.errors import ConfigError
from cdsed.frozen import frozen


@frozen
class WorkerLook:
    """What one worker said: host, versions, what is wrong, and how late it saw a new file (None: not at all)."""

    host: str
    versions: str
    problems: tuple[str, ...]
    seen_after_s: float | None


def versions() -> str:
    """Return the versions that head and workers must share."""
    return f"cdsed {__version__}, distributed {version('distributed')}, Python {platform.python_version()}"


def look(config: str, marker: str, within_s: float) -> tuple[str, str, tuple[str, ...], float | None]:
    """Look, on a worker, at all that holders need; return the fields of a `WorkerLook`.

    Parameters
    ----------
    marker
        A file that the head has just written.
    within_s
        How long to wait until it can be seen here.
    """
    problems: list[str] = []
    try:
        settings = load_settings(Path(config), os.environ)
        accounts = load_accounts(settings, os.environ)
        problems += [
            f"account {each.name} has no S3 keys in the accounts file" for each in accounts if not each.s3_keys
        ]
        problems += [f"{spool} cannot be written" for spool in settings.spools if not os.access(spool, os.W_OK)]
    except ConfigError as error:
        problems += error.problems
    return socket.gethostname(), versions(), tuple(problems), seen_after_s([Path(marker)], within_s)[0]
