"""Check that a product on disk is complete, quickly: its digests were checked when it was fetched."""

from pathlib import Path

from cdsed.local.contents import Pulse, no_pulse
from cdsed.local.intact import judge
from cdsed.model.choice import Choice
from cdsed.model.single_file import UNREADABLE_ZIP


def is_whole(path: Path, safename: str | None = None, pulse: Pulse = no_pulse) -> bool:
    """Tell whether a path has a complete product.

    Parameters
    ----------
    path
        A directory must have its manifest, and every file that the manifest names, with its size or else its digest;
        if the family has no manifest, the directory must not be empty. A zip must hold such a directory. Another file
        must look like what its name says. A product that was fetched in part is not complete.
    safename
        Of the product; None: the name of the path says it.
    pulse
        Called now and then while a digest is computed.

    Returns
    -------
    bool
        False also if the path does not exist or cannot be read.
    """
    return satisfies(path, safename, None, pulse)


def satisfies(path: Path, safename: str | None, choice: Choice | None, pulse: Pulse = no_pulse) -> bool:
    """Tell whether a path has a complete product, or a part of it that has all files of a choice.

    Parameters
    ----------
    path, safename, pulse
        As for `is_whole`.
    choice
        What is wanted; None: the whole product.
    """
    try:
        check = judge(path, safename, thorough=False, pulse=pulse)
    except (OSError, *UNREADABLE_ZIP):
        return False
    return check.good or (check.partial is not None and check.as_taken and check.partial.satisfies(choice))
