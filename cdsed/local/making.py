"""Whether a directory of products that is not there can be made, and what to do where it cannot."""

import os
import pwd
import shlex
from contextlib import suppress
from pathlib import Path


def why_not_made(place: Path) -> str | None:
    """Say that an absent directory cannot be made by this process, and what to do; None where it can, or is there.

    Below a service's ``ProtectSystem=strict`` everything is read-only but what its unit names; a name that was absent
    when the service started stays so until it is started again.
    """
    if os.path.lexists(place):
        return None
    above = next(parent for parent in place.parents if parent.exists())
    if os.access(above, os.W_OK | os.X_OK, effective_ids=True):
        return None
    why = f"; {above} is read-only (EROFS): is its disk mounted for writing?" if is_read_only(place) else ""
    return f"{place} is not there, and cannot be made here; {remedy(place)}{why}"


def is_read_only(place: Path) -> bool:
    """Tell whether a directory lies, or would lie, on a disk that is mounted read-only."""
    above = next(parent for parent in (place, *place.parents) if parent.exists())
    return bool(os.statvfs(above).f_flag & os.ST_RDONLY)


def remedy(place: Path) -> str:
    """Say how to make a directory for this user, inside of a service, too."""
    user = str(os.geteuid())
    with suppress(KeyError):
        user = pwd.getpwuid(os.geteuid()).pw_name
    make = f"install -d -o {user} -m 750 {shlex.quote(str(place))}"
    return f"as root: {make}; the unit of a service also needs ReadWritePaths={place} (systemctl edit), and a restart"
