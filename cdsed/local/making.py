"""Whether a missing directory of products can be made, and what you can do if it cannot."""

import os
import pwd
import shlex
from contextlib import suppress
from pathlib import Path


def why_not_made(place: Path) -> str | None:
    """Return why this process cannot make a missing directory, and what to do; None if it can, or if it exists.

    None also if its disk does not respond.
    With ``ProtectSystem=strict`` a service can write only to paths that its unit names. A path that was missing at its
    start stays read-only until it is restarted.
    """
    if os.path.lexists(place):
        return None
    try:
        above = next(parent for parent in place.parents if parent.exists())
    except OSError:  # its disk does not respond: the worker that writes there reports it, and the inbox is not held up
        return None
    if os.access(above, os.W_OK | os.X_OK, effective_ids=True):
        return None
    why = f"; {above} is read-only (EROFS): is its disk mounted for writing?" if is_read_only(place) else ""
    return f"{place} does not exist, and cannot be made here; {remedy(place)}{why}"


def is_read_only(place: Path) -> bool:
    """Tell whether a directory is, or would be, on a disk that is mounted read-only."""
    above = next(parent for parent in (place, *place.parents) if parent.exists())
    return bool(os.statvfs(above).f_flag & os.ST_RDONLY)


def remedy(place: Path) -> str:
    """Return how to make a directory for this user, also for a service."""
    user = str(os.geteuid())
    with suppress(KeyError):
        user = pwd.getpwuid(os.geteuid()).pw_name
    make = f"install -d -o {user} -m 750 {shlex.quote(str(place))}"
    return f"as root: {make}; the unit of a service also needs ReadWritePaths={place} (systemctl edit), and a restart"
