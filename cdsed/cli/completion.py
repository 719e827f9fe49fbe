"""``cdsed completion``: print the completion script of a shell, if the shell does not find it (after pip install)."""

import argparse
import sys
from pathlib import Path
from typing import Any

from cdsed.errors import ExitCode

FILES = {"bash": "cdsed.bash", "zsh": "_cdsed", "fish": "cdsed.fish"}
"""The script of each shell, in ``cdsed/completions``; they are generated from the parsers by ``make docs``."""


def add_parser(subparsers: Any) -> None:
    """Add the command to the program's."""
    command = subparsers.add_parser(
        "completion",
        help="print the completion script for your shell",
        description="Print the completion script for your shell. To use it in bash, put\n\n"
        "  source <(cdsed completion bash)\n\ninto ~/.bashrc. The Debian package and `make install` put it where your "
        "shell finds it.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("shell", choices=list(FILES))
    command.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the script."""
    script = Path(__file__).parents[1] / "completions" / FILES[arguments.shell]
    sys.stdout.write(script.read_text(encoding="utf-8"))
    return ExitCode.OK
