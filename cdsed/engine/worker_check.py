"""What a worker of Dask must see to have connections: looked at on the worker, for ``cdsed engine check``."""

import os
import platform
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from cdsed._version import __version__
from cdsed.config.accounts import load_accounts
from cdsed.config.load import load_settings
from cdsed.config.settings import Settings
from cdsed.errors import ConfigError
from cdsed.frozen import frozen

_POLL_S = 0.05


@frozen
class WorkerLook:
    """What one worker said: host, versions, what is wrong, and how late it saw a new file (None: not at all)."""

    host: str
    versions: str
    problems: tuple[str, ...]
    seen_after_s: float | None


@contextmanager
def marked(settings: Settings) -> Iterator[Path]:
    """Write a small file beside the products under way, for workers to look for; remove it at the end."""
    place = settings.pre_spool_for(settings.spools[0])
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    marker = place / f".check-{uuid.uuid4().hex}"
    marker.write_text(marker.name, encoding="ascii")
    try:
        yield marker
    finally:
        marker.unlink(missing_ok=True)


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
    return socket.gethostname(), versions(), tuple(problems), _seen_after_s(Path(marker), within_s)


def _seen_after_s(marker: Path, within_s: float) -> float | None:
    begun_s = time.monotonic()
    while True:
        passed_s = time.monotonic() - begun_s
        try:
            if marker.read_text(encoding="ascii") == marker.name:
                return passed_s
        except OSError:
            pass
        if passed_s >= within_s:
            return None
        time.sleep(_POLL_S)
