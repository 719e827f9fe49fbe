"""How cdsed runs its own modules as further processes."""

import sys


def module_command(*arguments: str) -> tuple[str, ...]:
    """Return the command that runs a module with this Python.

    Nothing of the current directory is imported, and where this process is isolated (``-I``, as the installed launcher
    runs it), nothing that ``PYTHONPATH`` names either.

    Parameters
    ----------
    arguments
        The module and what it is given.
    """
    return (sys.executable, "-I" if sys.flags.isolated else "-P", "-m", *arguments)
