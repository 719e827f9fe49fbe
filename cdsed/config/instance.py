"""Where a daemon keeps its things when its settings do not say: by the name of the settings file.

``/etc/cdsed/NAME.yml`` belongs to the instance ``cdsed@NAME.service``. Its directories follow from NAME, so that the
unit, a shell and every command come to the same ones. Any other file gets the directories of ``cdsed.service``.
"""

import os
from dataclasses import dataclass
from pathlib import Path

SYSTEM_DIR = Path("/etc/cdsed")


@dataclass(frozen=True, slots=True)
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
    """Tell whether a settings file is in ``/etc/cdsed``, where those of services lie."""
    return _absolute(settings).parent == SYSTEM_DIR


def places_of(settings: Path) -> InstancePaths:
    """Return where the daemon of a settings file keeps its things unless the file says otherwise."""
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
    # Not resolved: a link from /etc/cdsed to where somebody keeps his settings is the instance that it is named after.
    return Path(os.path.abspath(path))  # noqa: PTH100
