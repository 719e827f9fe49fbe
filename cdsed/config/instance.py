"""Default directories of a daemon, by the name of its settings file.

``/etc/cdsed/NAME.yml`` belongs to the instance ``cdsed@NAME.service``. Its directories follow from NAME, so that the
unit, a shell and every command use the same ones. Any other file gets the directories of ``cdsed.service``.
"""

import os
from pathlib import Path

from cdsed.frozen import frozen

SYSTEM_DIR = Path("/etc/cdsed")


@frozen
class InstancePaths:
    """The directories and the accounts file of one daemon."""

    state_dir: Path
    inbox: Path
    spool: Path
    accounts_file: Path


MAIN = InstancePaths(
    state_dir=Path("/var/lib/cdsed"),
    inbox=Path("/var/lib/cdsed/inbox"),
    spool=Path("/var/spool/cdsed"),
    accounts_file=SYSTEM_DIR / "accounts.yml",
)


def is_of_the_system(settings: Path) -> bool:
    """Tell whether a settings file is in ``/etc/cdsed``, the directory for services."""
    return _absolute(settings).parent == SYSTEM_DIR


def places_of(settings: Path) -> InstancePaths:
    """Return the default directories of the daemon of a settings file; the file may name others."""
    name = _absolute(settings).stem
    if not is_of_the_system(settings) or name == "cdsed":
        return MAIN
    return InstancePaths(
        state_dir=MAIN.state_dir.with_name(f"cdsed-{name}"),
        inbox=MAIN.state_dir.with_name(f"cdsed-{name}") / "inbox",
        spool=MAIN.spool.with_name(f"cdsed-{name}"),
        accounts_file=SYSTEM_DIR / f"{name}.accounts.yml",
    )


def _absolute(path: Path) -> Path:
    # Not resolved: if /etc/cdsed/NAME.yml is a link, the name of the link is that of the instance.
    return Path(os.path.abspath(path))  # noqa: PTH100
