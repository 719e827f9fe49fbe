"""Write cdsed/completions from the parsers of the command line: ``make docs``."""

import argparse
from collections.abc import Iterator
from pathlib import Path

import shtab

import cdsed
from cdsed.cli.completion import FILES
from cdsed.cli.main import parser

FOLDER = Path(cdsed.__file__).with_name("completions")


def script(shell: str) -> str:
    """Return the completion script of a shell."""
    top = parser()
    for action in _actions(top):
        if action.type is Path and not action.choices:
            action.complete = shtab.DIRECTORY if action.metavar == "DIR" else shtab.FILE  # type: ignore[attr-defined]
    text: str = shtab.complete(top, shell=shell)
    # Its indentation alone on empty lines would not survive an editor.
    return "\n".join(line.rstrip() for line in text.split("\n")).rstrip() + "\n"


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                yield from _actions(each)
        else:
            yield action


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for shell, name in FILES.items():
        (FOLDER / name).write_text(script(shell), encoding="utf-8")
