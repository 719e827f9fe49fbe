"""Write receipts and reports: complete, durable, and in memory that does not grow with their length."""

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Self

from cdsed.inbox.durable_files import DurableFileBatch

_HELD_BYTES_MAX = 1024 * 1024  # limit of a section in memory; a longer one goes to a temporary file


@contextmanager
def atomic_text(path: Path) -> Iterator[IO[str]]:
    """Open a file that appears under its name only when it is complete and on the disk."""
    with DurableFileBatch() as batch, batch.text(path) as file:
        yield file


class JsonWriter:
    """A JSON object with one list, which is written item by item.

    Parameters
    ----------
    file
        The file to write to, one item per line.
    before
        The members before the list.
    items
        The name of the list.
    """

    def __init__(self, file: IO[str], before: Mapping[str, object], items: str) -> None:
        self._file = file
        self._separator = ""
        file.write("{" + "".join(f"{_member(*member)},\n " for member in before.items()) + f'"{items}": [')

    def add(self, item: Mapping[str, object]) -> None:
        """Write one item of the list."""
        self._file.write(f"{self._separator}\n  {json.dumps(item, ensure_ascii=False)}")
        self._separator = ","

    def end(self, after: Mapping[str, object]) -> None:
        """End the list, and the object with the members after the list."""
        self._file.write("]" + "".join(f",\n {_member(*member)}" for member in after.items()) + "}\n")


def _member(name: str, value: object) -> str:
    return f'"{name}": {json.dumps(value, ensure_ascii=False)}'


class TextWriter:
    """The sections of a text: filled in any order, written in the order of their titles."""

    def __init__(self, *titles: str) -> None:
        self._titles = titles
        self._sections: dict[str, tempfile.SpooledTemporaryFile[str]] = {}  # only those that have lines
        self._open = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def add(self, title: str, line: str) -> None:
        """Add one line to a section."""
        if title not in self._sections:
            self._sections[title] = self._open.enter_context(  # closed by `__exit__`
                tempfile.SpooledTemporaryFile(_HELD_BYTES_MAX, "w+", encoding="utf-8", newline="\n")  # noqa: SIM115
            )
        self._sections[title].write(f"{line}\n")

    def write_to(self, file: IO[str]) -> None:
        """Write the sections that have lines."""
        for title in self._titles:
            if (section := self._sections.get(title)) is not None:
                section.seek(0)
                file.write(f"\n{title}\n")
                file.writelines(f"  {line}" for line in section)
