"""How cdsed runs its own modules as further processes."""

import sys


def module_command(*arguments: str) -> tuple[str, ...]:
    """Return the command that runs a module with this Python.

    It imports nothing from the current directory. Where this process is isolated (``-I``, as the installed launcher
    runs it), it imports nothing from ``PYTHONPATH`` either.

    Parameters
    ----------
    arguments
        The module and its arguments.
    """
    return (sys.executable, "-I" if sys.flags.isolated else "-P", "-m", *arguments)
