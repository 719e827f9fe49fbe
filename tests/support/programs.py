"""Whether the programs are here that a test needs."""

import shutil
from collections.abc import Mapping


def missing(needed: Mapping[str, str]) -> str:
    """Return which program is missing, and what to install; '' if all are here.

    Parameters
    ----------
    needed
        The Debian package of each program.
    """
    for program, package in needed.items():
        if shutil.which(program) is None:
            return f"{program} is missing: install the Debian package {package}"
    return ""
